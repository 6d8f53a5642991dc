"""Counts of epochs as one vector of integers, so that they add up and can be taken back.

>>> layout = Layout(groups=10, bins=3)
>>> epoch = EpochCounts.empty(10, 3)
>>> layout.size, int(layout.vector(epoch).sum())
(69, 0)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.detection.counts import EpochCounts, IntArray
from monitor.detection.witnesses import WitnessCounts

_SCALARS = ("n", "degenerate", "blocked", "unjudged")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the counts of G groups and B bins lie in a vector of `size` integers:
    n, degenerate, blocked, unjudged, capped (source, template), volume, refused, answered."""

    groups: int
    bins: int

    @property
    def size(self) -> int:
        return 6 + self.bins + 2 * self.groups * self.bins

    def vector(self, counts: EpochCounts) -> IntArray:
        vector = np.empty(self.size, dtype=np.int64)
        vector[:6] = (*(getattr(counts, name) for name in _SCALARS), *counts.capped)
        tables = (counts.volume, counts.refused.ravel(), counts.answered.ravel())
        vector[6:] = np.concatenate(tables)
        return vector

    def n(self, vector: IntArray) -> int:
        return int(vector[0])

    def degenerate(self, vector: IntArray) -> int:
        return int(vector[1])

    def blocked(self, vector: IntArray) -> int:
        return int(vector[2])

    def capped(self, vector: IntArray) -> tuple[int, int]:
        return int(vector[4]), int(vector[5])

    def volume(self, vector: IntArray) -> IntArray:
        return vector[6 : 6 + self.bins]

    def refused(self, vector: IntArray) -> IntArray:
        """(G, B)"""
        cells = self.groups * self.bins
        return vector[6 + self.bins : 6 + self.bins + cells].reshape(self.groups, self.bins)

    def answered(self, vector: IntArray) -> IntArray:
        """(G, B)"""
        cells = self.groups * self.bins
        return vector[6 + self.bins + cells :].reshape(self.groups, self.bins)

    def witnesses(self, vector: IntArray) -> WitnessCounts:
        return WitnessCounts(
            self.refused(vector).sum(axis=0), self.answered(vector).sum(axis=0), vector[0]
        )
