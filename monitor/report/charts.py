"""Both witnesses and the evidence over time, with the change and the alert marked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from monitor.report.data import Approved, Lane
from monitor.report.series import FLOOR, FloatArray, Series, series_of
from monitor.report.svg import AFTER, ALARM, BEFORE, INK, MUTED, Size, inline, styled

PAGE_LINE: Final = 0.0
WARNING_LINE: Final = -2.0
_BROKEN: Final = 0.02
"""Share of broken answers in a stretch from which they get a panel of their own."""

_STEPS: Final = tuple(
    [60 * m for m in (1, 2, 5, 10, 15, 30)]
    + [3_600 * h for h in (1, 2, 3, 6, 12)]
    + [86_400 * d for d in (1, 2, 5, 10, 20, 50, 100, 200, 500)]
)
"""Seconds between two ticks."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What is marked on the time axis; event times in seconds."""

    change: float | None = None
    earliest: float | None = None
    latest: float | None = None
    alert: float | None = None


@dataclass(frozen=True, slots=True)
class _Panel:
    """One count over time, beside its approved count."""

    title: str
    counts: FloatArray
    approved: tuple[int, int] | None
    """Events and interactions of the baseline."""


def witness_chart(lane: Lane, marks: Marks, name: str, size: Size) -> str:
    """The plot of `lane`, which has at least one minute, as SVG; `name` makes its ids unique."""
    series = series_of(lane.minutes)
    panels = _panels(lane.approved, series)
    rows = len(panels) + int(series.watched.any())
    with styled(size):
        figure = Figure(figsize=(size.width, size.panel * rows + 0.75), layout="constrained")
        axes: list[Axes] = list(figure.subplots(rows, 1, sharex=True))
        for axis, panel in zip(axes, panels, strict=False):
            _draw(axis, series, panel, size)
        if rows > len(panels):
            _draw_evidence(axes[-1], series, size)
        for axis in axes:
            _mark(axis, marks)
        _time_axis(axes[-1], series, size)
        _label_marks(axes[0], marks, size)
        spoken = f"Refusals, answered risky prompts and evidence over time for {lane.deployment}"
        return inline(figure, name, spoken)


def _panels(approved: Approved | None, series: Series) -> list[_Panel]:
    def normal(count: int) -> tuple[int, int] | None:
        return (count, approved.judged) if approved is not None and approved.judged else None

    refused, answered, degenerate = (
        (normal(approved.refused), normal(approved.answered_risky), normal(approved.degenerate))
        if approved is not None
        else (None, None, None)
    )
    panels = [
        _Panel("Refusals per 1,000 interactions", series.refused, refused),
        _Panel("Answered risky prompts per 1,000 interactions", series.answered, answered),
    ]
    usual = degenerate[0] / degenerate[1] if degenerate else 0.0
    share = series.degenerate / np.maximum(series.judged, 1.0)
    if (share > max(_BROKEN, 3 * usual)).any():
        title = "Broken answers per 1,000 interactions"
        panels.append(_Panel(title, series.degenerate, degenerate))
    return panels


def _title(axis: Axes, text: str, size: Size) -> None:
    axis.set_title(text, fontsize=size.text + 0.5, color=INK, pad=7, fontweight="bold")


def _draw(axis: Axes, series: Series, panel: _Panel, size: Size) -> None:
    if panel.approved is not None:
        count, judged = panel.approved
        low, high = series.band(count, judged)
        times, bottom = series.line(low)
        _, top = series.line(high)
        axis.fill_between(times, bottom, top, color=BEFORE, alpha=0.13, linewidth=0)
        axis.axhline(1000 * count / judged, color=BEFORE, linewidth=1.3, linestyle=(0, (5, 3)))
    rates = series.per_thousand(panel.counts)
    axis.plot(
        *series.line(rates), color=AFTER, linewidth=1.8, marker="o", markersize=2.6, clip_on=False
    )
    highest = np.nanmax(np.append(rates, 0.0))
    axis.set_ylim(0, None if highest > 1 else 1.2)
    axis.yaxis.set_major_locator(MaxNLocator(4))
    _title(axis, panel.title, size)


def _draw_evidence(axis: Axes, series: Series, size: Size) -> None:
    both = np.fmin(series.evidence_refused, series.evidence_answered)
    for values in (series.evidence_refused, series.evidence_answered):
        axis.plot(*series.line(values), color=MUTED, linewidth=0.9, alpha=0.7)
    axis.plot(*series.line(both), color=AFTER, linewidth=2.0)
    _threshold(axis, PAGE_LINE, "page", ALARM, size)
    _threshold(axis, WARNING_LINE, "warning", MUTED, size)
    axis.set_ylim(min(FLOOR / 2, float(np.nanmin(both)) - 0.5), 3.0)
    axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    _title(axis, "Evidence for a changed model, powers of ten", size)
    if not series.watched[0]:
        _learning(axis, series, size)


def _threshold(axis: Axes, height: float, text: str, colour: str, size: Size) -> None:
    above = height == PAGE_LINE
    axis.axhline(height, color=colour, linewidth=1.1, linestyle=(0, (2, 2)))
    axis.annotate(
        text,
        (0, height),
        xycoords=("axes fraction", "data"),
        xytext=(2, 2 if above else -2),
        textcoords="offset points",
        va="bottom" if above else "top",
        fontsize=size.text - 1,
        color=colour,
    )


def _learning(axis: Axes, series: Series, size: Size) -> None:
    """Say why the first stretches have no evidence."""
    first = int(np.argmax(series.watched))
    axis.text(
        _day((series.start[0] + series.start[first]) / 2),
        0.3,
        "learning",
        transform=axis.get_xaxis_transform(),
        ha="center",
        va="center",
        color=MUTED,
        fontsize=size.text,
        fontstyle="italic",
    )


def _mark(axis: Axes, marks: Marks) -> None:
    if marks.earliest is not None and marks.latest is not None:
        axis.axvspan(_day(marks.earliest), _day(marks.latest), color=MUTED, alpha=0.14, linewidth=0)
    if marks.change is not None:
        axis.axvline(_day(marks.change), color=INK, linewidth=1.1, linestyle=(0, (4, 2)))
    if marks.alert is not None:
        axis.axvline(_day(marks.alert), color=ALARM, linewidth=1.6)


def _label_marks(axis: Axes, marks: Marks, size: Size) -> None:
    """Labels above the plot, each on a row of its own so that they never meet."""
    low, high = axis.get_xlim()
    rows = (
        (marks.change, "changed", INK, 22.0),
        (marks.alert, "alert", ALARM, 22 + 1.35 * size.text),
    )
    for at, word, colour, height in rows:
        if at is None:
            continue
        left = (_day(at) - low) / (high - low) < 0.5
        axis.annotate(
            f"{word} {datetime.fromtimestamp(at, UTC):%H:%M}",
            (_day(at), 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, height),
            textcoords="offset points",
            ha="left" if left else "right",
            va="bottom",
            fontsize=size.text,
            fontweight="bold",
            color=colour,
            annotation_clip=False,
        )


def _time_axis(axis: Axes, series: Series, size: Size) -> None:
    first, last = float(series.start[0]), float(series.start[-1]) + series.seconds
    pad = 0.01 * (last - first)
    axis.set_xlim(_day(first - pad), _day(last + pad))
    step = next((s for s in _STEPS if (last - first) / s <= size.ticks), _STEPS[-1])
    ticks = np.arange(np.ceil(first / step) * step, last + 1, step)
    pattern = "%H:%M" if step < 43_200 else "%d %b"
    labels = [f"{datetime.fromtimestamp(t, UTC):{pattern}}" for t in ticks.tolist()]
    axis.set_xticks([_day(t) for t in ticks.tolist()], labels)
    begun, ended = (f"{datetime.fromtimestamp(t, UTC):%Y-%m-%d}" for t in (first, last))
    span = begun if begun == ended else f"{begun} to {ended}"
    axis.set_xlabel(f"event time (UTC), {span}", fontsize=size.text - 0.5)


def _day(seconds: float) -> float:
    """Matplotlib counts in days since 1970."""
    return seconds / 86_400
