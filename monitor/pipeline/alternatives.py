"""What the usual alternatives would have paged on the same past.

Each compares the refusal rate per interaction with that of the baseline window, on all records,
without deduplication, as a dashboard or a drift tool would:

- *static threshold*: an hour under half the baseline's rate;
- *3-sigma*: an hour below p - 3 sqrt(p (1 - p) / n) (Shewhart's p-chart);
- *two-proportion z*: a window as long as the baseline's below it with p < .05, pooled variance.

All look for falls alone, which spares them half of their false alarms, and pass over stretches
with fewer than 100 interactions. One page is a run of stretches in a row that are out of bounds.

>>> past = Timeline(np.arange(600), np.full(600, 60), np.where(np.arange(600) < 420, 3, 0))
>>> [(rule.name, len(rule.pages)) for rule in alternatives(past, Normal(0.0, 7199.0, 0, 0))]
[('static threshold', 1), ('3-sigma', 1), ('two-proportion z', 1)]
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.pipeline.event_time import ReadClock, resolve
from monitor.records import Outcome

HOUR: Final = 3600.0
THRESHOLD: Final = 0.5
SIGMAS: Final = 3.0
Z: Final = 1.959964
"""Two-sided p < .05."""
LEAST: Final = 100
"""Interactions of a stretch that is looked at."""
_CHUNK: Final = 10_000
_JUDGED: Final = frozenset(o.label for o in (Outcome.COMPLIED, Outcome.REFUSED, Outcome.DEGENERATE))


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Counts of one deployment by minute of event time; arrays (minutes,), in time order."""

    minute: NDArray[np.int64]
    """Minutes since 1970."""
    judged: NDArray[np.int64]
    refused: NDArray[np.int64]

    def between(self, start: float, end: float) -> tuple[int, int]:
        """(judged, refused) of the minutes that begin in [start, end), seconds."""
        first, last = np.searchsorted(60.0 * self.minute, [start, end])
        return int(self.judged[first:last].sum()), int(self.refused[first:last].sum())


@dataclass(frozen=True, slots=True)
class Alternative:
    """One rule and when it would have paged."""

    name: str
    rule: str
    """In words."""
    pages: Sequence[float]
    """End of the stretch that paged, event time in seconds."""


class Normal(NamedTuple):
    """The baseline: its window, event time in seconds, and what it counted."""

    first: float
    last: float
    judged: int
    refused: int


class _Line(msgspec.Struct):
    """The part of a verdict that matters here."""

    timestamp: str | None
    deployment: str
    outcome: str


def timelines(verdicts: Path) -> dict[str, Timeline]:
    """Timelines by deployment from a file of verdicts, with event times as the pipeline has
    them."""
    decode = msgspec.json.Decoder(_Line).decode
    clock = ReadClock()
    watermarks: dict[str, float] = defaultdict(lambda: -math.inf)
    counts: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    with verdicts.open("rb") as file:
        while lines := [decode(line) for line in islice(file, _CHUNK)]:
            stamps = np.array([_seconds(line.timestamp) for line in lines])
            ingest = clock.ingest(stamps)
            names = np.array([line.deployment for line in lines])
            for name in np.unique(names).tolist():
                rows = np.flatnonzero(names == name)
                unknown = np.zeros(len(rows), dtype=np.bool_)
                times = resolve(stamps[rows], ingest[rows], unknown, watermarks[name])
                watermarks[name] = float(times.watermark[-1])
                for row, at in zip(rows.tolist(), times.at.tolist(), strict=True):
                    if lines[row].outcome in _JUDGED:
                        cell = counts[name][int(at // 60)]
                        cell[0] += 1
                        cell[1] += lines[row].outcome == Outcome.REFUSED.label
    return {name: _timeline(cells) for name, cells in sorted(counts.items())}


def _timeline(cells: dict[int, list[int]]) -> Timeline:
    minutes = sorted(cells)
    table = np.array([cells[minute] for minute in minutes], dtype=np.int64)
    return Timeline(np.array(minutes, dtype=np.int64), table[:, 0], table[:, 1])


def _seconds(timestamp: str | None) -> float:
    return math.nan if timestamp is None else datetime.fromisoformat(timestamp).timestamp()


def alternatives(past: Timeline, normal: Normal) -> list[Alternative]:
    """What each rule would have paged after the baseline's window, or on all of `past` if that
    window is not part of it. Nothing if there are no refusals to compare with.
    """
    # Minutes are counted whole, so the window ends with the minute of its last record.
    first, end = 60.0 * math.floor(normal.first / 60.0), 60.0 * (math.floor(normal.last / 60.0) + 1)
    judged, refused = past.between(first, end)
    start = end
    if not judged:
        judged, refused, start = normal.judged, normal.refused, 60.0 * int(past.minute[0])
    if not refused:
        return []
    p = refused / judged

    def below_threshold(n: int, x: int) -> bool:
        return x < THRESHOLD * p * n

    def below_sigmas(n: int, x: int) -> bool:
        return x / n < p - SIGMAS * math.sqrt(p * (1 - p) / n)

    def below_window(n: int, x: int) -> bool:
        pooled = (x + refused) / (n + judged)
        spread = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / judged))
        return x / n - p < -Z * spread

    def pages(length: float, out: Callable[[int, int], bool]) -> list[float]:
        found, before = [], False
        for begin, stop in pairwise(_cuts(past, start, length)):
            n, x = past.between(begin, stop)
            if n >= LEAST:
                now = out(n, x)
                if now and not before:
                    found.append(stop)
                before = now
        return found

    return [
        Alternative(
            "static threshold",
            f"an hour under {THRESHOLD:.0%} of the baseline's refusal rate",
            pages(HOUR, below_threshold),
        ),
        Alternative(
            "3-sigma",
            f"an hour {SIGMAS:.0f} standard deviations below it",
            pages(HOUR, below_sigmas),
        ),
        Alternative(
            "two-proportion z",
            "a window as long as the baseline's below it, p < .05",
            pages(end - first, below_window),
        ),
    ]


def _cuts(past: Timeline, start: float, length: float) -> list[float]:
    """Ends of stretches of `length` seconds from `start` over all there is; the last is cut."""
    end = 60.0 * (int(past.minute[-1]) + 1)
    stretches = max(0, math.ceil((end - start) / length))
    return [min(start + i * length, end) for i in range(stretches + 1)]
