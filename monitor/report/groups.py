"""Refusals by hazard group, before and after."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monitor.alerts.alert import GroupRates, Interval
from monitor.report.svg import AFTER, BEFORE, INK, RULE, Size, inline, styled


def drawable(groups: Sequence[GroupRates]) -> list[GroupRates]:
    """Groups in which there was at least one risky prompt."""
    return [group for group in groups if group.before.n or group.after.n]


def group_chart(groups: Sequence[GroupRates], name: str, size: Size) -> str:
    """Share of risky prompts refused by hazard group, before and after, with 95 % intervals.

    `groups` must hold a `drawable` one. `name` makes the ids of the SVG unique.
    """
    shown = drawable(groups)
    with styled(size, grid="x"):
        figure = Figure(figsize=(size.width, 0.42 * len(shown) + 0.95), layout="constrained")
        axis: Axes = figure.subplots()
        for row, group in enumerate(shown):
            _point(axis, row - 0.14, group.before, BEFORE, filled=False)
            _point(axis, row + 0.14, group.after, AFTER, filled=True)
            if row:
                axis.axhline(row - 0.5, color=RULE, linewidth=0.5)
        axis.set_yticks(range(len(shown)), [group.group for group in shown])
        axis.tick_params(axis="y", labelcolor=INK)
        axis.set_ylim(len(shown) - 0.45, -0.55)
        axis.set_xlim(-3, 103)
        axis.set_xticks(range(0, 101, 25), [f"{share} %" for share in range(0, 101, 25)])
        axis.set_xlabel("share of risky prompts refused", fontsize=size.text - 0.5)
        return inline(figure, name, "Share of risky prompts refused by hazard group")


def _point(axis: Axes, y: float, rate: Interval, colour: str, *, filled: bool) -> None:
    """Shape and fill tell before from after where colour cannot."""
    if not rate.n:
        return
    axis.plot([100 * rate.low, 100 * rate.high], [y, y], color=colour, linewidth=2, alpha=0.55)
    axis.plot(
        [100 * rate.rate],
        [y],
        color=colour,
        marker="D" if filled else "o",
        markersize=6,
        markerfacecolor=colour if filled else "none",
        markeredgewidth=1.8,
        linestyle="none",
    )
