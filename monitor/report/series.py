"""Minutes of a lane, added up to as many stretches as a plot can show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import nbinom

from monitor.report.data import Minute

MOST_POINTS: Final = 180
FLOOR: Final = -16.0
"""log10 below which evidence is drawn at the bottom: nothing worth seeing happens there."""
PRIOR_SHAPE: Final = 0.5

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Series:
    """Counts and evidence of stretches of equal length; arrays (points,) in time order."""

    start: FloatArray
    """Seconds since 1970."""
    seconds: float
    """Length of a stretch."""
    judged: FloatArray
    refused: FloatArray
    answered: FloatArray
    degenerate: FloatArray
    evidence_refused: FloatArray
    """Highest log10 of the stretch, so that a peak is never lost; NaN where there is none."""
    evidence_answered: FloatArray

    @property
    def middle(self) -> FloatArray:
        """Seconds since 1970."""
        return self.start + self.seconds / 2

    @property
    def watched(self) -> NDArray[np.bool_]:
        """Stretches in which there was evidence, that is, a baseline."""
        return np.isfinite(self.evidence_refused)

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Stretches that say something of a rate: not those cut short by the ends of the data."""
        enough = self.judged > 0
        for end in (0, -1):
            enough[end] &= self.judged[end] >= 0.6 * np.median(self.judged)
        return enough

    def per_thousand(self, counts: FloatArray) -> FloatArray:
        """Rate of each whole stretch, NaN for the others."""
        return 1000 * counts / np.where(self.whole, self.judged, np.nan)

    def band(self, count: int, exposure: int) -> tuple[FloatArray, FloatArray]:
        """95 % prediction interval of the rate per 1,000 of each whole stretch, if nothing
        changed since `count` events in `exposure` interactions (Gamma-Poisson)."""
        n = np.maximum(self.judged, 1.0)
        low, high = nbinom.interval(0.95, count + PRIOR_SHAPE, exposure / (exposure + n))
        return (
            np.where(self.whole, 1000 * np.asarray(low) / n, np.nan),
            np.where(self.whole, 1000 * np.asarray(high) / n, np.nan),
        )

    def line(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Middles in days since 1970 and `values`, with a gap wherever records are missing."""
        holes = np.flatnonzero(np.diff(self.start) > 2.5 * self.seconds) + 1
        return np.insert(self.middle / 86_400, holes, np.nan), np.insert(values, holes, np.nan)


def downsample(minutes: Sequence[Minute], most: int = MOST_POINTS) -> list[list[Minute]]:
    """`minutes` in time order, in at most `most` stretches of equal length; empty ones left out."""
    if not minutes:
        return []
    ordered = sorted(minutes, key=lambda point: point.minute)
    first, last = ordered[0].minute, ordered[-1].minute
    width = max(1, math.ceil((last - first + 1) / most))
    stretches: dict[int, list[Minute]] = {}
    for point in ordered:
        stretches.setdefault((point.minute - first) // width, []).append(point)
    return list(stretches.values())


def series_of(minutes: Sequence[Minute], most: int = MOST_POINTS) -> Series:
    """The series of at least one minute."""
    stretches = downsample(minutes, most)
    starts = [float(stretch[0].minute * 60) for stretch in stretches]
    seconds = min((b - a for a, b in pairwise(starts)), default=60.0)

    def total(field: str) -> FloatArray:
        return np.array([sum(getattr(p, field) for p in s) for s in stretches], dtype=np.float64)

    def highest(field: str) -> FloatArray:
        return np.array([_highest(stretch, field) for stretch in stretches], dtype=np.float64)

    return Series(
        start=np.array(starts),
        seconds=seconds,
        judged=total("judged"),
        refused=total("refused"),
        answered=total("answered_risky"),
        degenerate=total("degenerate"),
        evidence_refused=highest("evidence_refused"),
        evidence_answered=highest("evidence_answered"),
    )


def _highest(stretch: Sequence[Minute], field: str) -> float:
    values = [value for point in stretch if (value := getattr(point, field)) is not None]
    return max(max(values), FLOOR) if values else math.nan
