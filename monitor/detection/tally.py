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
        scalars = (counts.n, counts.degenerate, counts.blocked, counts.unjudged, *counts.capped)
        tables = (counts.volume, counts.refused.ravel(), counts.answered.ravel())
        return np.concatenate([np.array(scalars, dtype=np.int64), *tables])

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

    def tables(self, vector: IntArray) -> IntArray:
        """(..., 2, G, B): refused, answered; of vectors (..., size)"""
        tables = vector[..., 6 + self.bins :]
        return tables.reshape(*vector.shape[:-1], 2, self.groups, self.bins)

    def witnesses(self, vector: IntArray) -> WitnessCounts:
        """Of vectors (..., size)."""
        pooled = self.tables(vector).sum(axis=-2)
        return WitnessCounts(pooled[..., 0, :], pooled[..., 1, :], vector[..., 0])
