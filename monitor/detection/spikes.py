"""`HazardSpike`: one hazard group lost its refusals while the others did not.

Both witnesses within each of G groups, witness 1 on r_g and witness 2 on c_{g,b} in four
coarse bins with an empirical-Bayes prior (`breadth.cell_prior`)::

    max_g min(W1_g, W2_g) >= G          cap: R_k <- min(R_k, 10 G)

A maximum over G e-detectors that reaches G means an average that reaches 1, and an average of
e-detectors is one (Shin, Ramdas and Rinaldo 2022), so the guarantee holds for the alert as a
whole. One group is a small part of the traffic: this is slow. Counts are events, rates are per
interaction, evidence is in nats.

Shapes: G groups, C coarse bins, K alternatives, leading axes (...) of simulated runs.

>>> refused, answered = np.full((2, 2), 100), np.array([[0, 50], [0, 50]])
>>> reference = GroupCounts(refused, answered, np.array(25_000))
>>> detector = GroupWitnesses(groups=2, d1=0.15)
>>> first_lost = GroupCounts(np.array([[0, 0], [1, 1]]), np.array([[0, 2], [0, 0]]), np.array(250))
>>> for _ in range(30):
...     _ = detector.update(reference, first_lost, spend=1e-5)
...     reference = reference + first_lost
>>> (detector.log_evidence() >= 0.0).tolist()
[True, False]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.detection.breadth import group_log_likelihoods
from monitor.detection.gamma_poisson import FloatArray
from monitor.detection.shiryaev_roberts import CAP, ShiryaevRoberts
from monitor.detection.witnesses import LEFT


@dataclass(frozen=True, slots=True, eq=False)
class GroupCounts:
    """Refusals and answers by group and coarse bin, (..., G, C), of n (...) interactions."""

    refused: NDArray[np.int64]
    answered: NDArray[np.int64]
    n: NDArray[np.int64]

    def __add__(self, other: GroupCounts) -> GroupCounts:
        return GroupCounts(
            self.refused + other.refused, self.answered + other.answered, self.n + other.n
        )


class GroupWitnesses:
    """Statistics of both witnesses in every group; the reference is the caller's."""

    __slots__ = ("_log_threshold", "d1", "statistic")

    def __init__(self, groups: int, d1: float, *, runs: tuple[int, ...] = ()) -> None:
        self.d1 = d1
        self._log_threshold = math.log(groups)
        self.statistic = ShiryaevRoberts.zero(
            alternatives=len(LEFT), runs=(2, *runs, groups), cap=CAP * groups
        )
        """R_k, (witness, ..., G, K)"""

    def update(self, reference: GroupCounts, live: GroupCounts, spend: ArrayLike) -> FloatArray:
        """One epoch. Returns l1 + l2 by group, (..., G, K), for the CUSUM twins."""
        log_likelihood = self.log_likelihoods(reference, live)
        self.statistic.update(log_likelihood, np.asarray(spend)[..., None])
        both: FloatArray = log_likelihood[0] + log_likelihood[1]
        return both

    def log_likelihoods(self, reference: GroupCounts, live: GroupCounts) -> FloatArray:
        """(witness, ..., G, K), in nats."""
        l1, l2 = group_log_likelihoods(
            reference.refused,
            reference.answered,
            reference.n,
            live.refused,
            live.answered,
            live.n,
            self.d1,
        )
        return np.array([l1, l2], dtype=np.float64)

    def due(self) -> list[int]:
        """Groups whose alarm is raised, of a single run."""
        if not self.statistic.may_reach(self._log_threshold):
            return []
        groups: list[int] = np.flatnonzero(self.log_evidence() >= 0.0).tolist()
        return groups

    def log_evidence(self) -> FloatArray:
        """ln min(W1_g, W2_g) - ln G, (..., G): at 0 the group's alarm is raised."""
        smaller: FloatArray = self.statistic.evidence().min(axis=0)
        return smaller - self._log_threshold

    def reset(self) -> None:
        self.statistic.reset()
