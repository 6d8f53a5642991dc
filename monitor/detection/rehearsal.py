"""Rehearse a loss of refusals: the production statistics on counts drawn at known rates.

Many lanes run at once, first without a change for as long as their reference lasted, then with
the loss. The reference is what is known; the true rates of a run are drawn from Gamma(x, n), as
uncertain as the reference leaves them. Steps grow with the time passed (2 % of it), which
changes nothing in the likelihood ratios: those of Poisson counts add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detection.baseline import Baseline
from monitor.detection.breadth import coarse_bins, coarse_table
from monitor.detection.budget import EPOCH_SECONDS, Budget
from monitor.detection.counts import IntArray
from monitor.detection.spikes import GroupCounts, GroupWitnesses
from monitor.detection.unalignment import LEAST_ANSWERS
from monitor.detection.witnesses import TwoWitnesses, WitnessCounts
from monitor.records import GROUPS

SEED: Final = 0
HORIZON: Final = 20_000.0
"""Refusals of the reference's traffic after which a loss counts as not found."""
_GROWTH: Final = 0.02
_FINEST: Final = 0.25
"""Refusals expected in the shortest step."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Counts behind a lane, and the traffic to come."""

    refused: IntArray
    """(G, B) by hazard group and propensity bin."""
    answered: IntArray
    """(G, B); bin 0 is zero."""
    volume: IntArray
    """(B,)"""
    n: int
    d1: float
    rate: float
    """Judged interactions per second."""

    @classmethod
    def of(cls, baseline: Baseline) -> Reference:
        counts = baseline.counts
        return cls(
            counts.refused, counts.answered, counts.volume, counts.n, baseline.d1, baseline.rate
        )

    @property
    def refusals(self) -> float:
        """Per interaction."""
        return int(self.refused.sum()) / self.n

    @property
    def horizon(self) -> float:
        """Interactions after which a loss counts as not found."""
        return HORIZON / self.refusals

    def scaled(self, n: int) -> WitnessCounts:
        """What a reference of `n` interactions of the same traffic would hold."""
        share = n / self.n
        refused, answered = self.refused.sum(axis=0), self.answered.sum(axis=0)
        return WitnessCounts.of(np.rint(refused * share), np.rint(answered * share), n)


def rehearse(
    reference: Reference,
    *,
    left: float,
    groups: Sequence[int],
    budget: Budget,
    runs: int,
    spikes: bool,
) -> FloatArray:
    """Interactions from a loss to `left` in `groups` to its alert; inf: none within the horizon.

    Returns (2, runs): ``Unalignment``, and ``HazardSpike`` if `spikes`.
    """
    rng = np.random.default_rng(SEED)
    shape = (runs, *reference.refused.shape)
    refused = rng.gamma(np.broadcast_to(reference.refused, shape)) / reference.n
    answered = rng.gamma(np.broadcast_to(reference.answered, shape)) / reference.n
    gone = np.zeros_like(refused)
    gone[:, groups] = (1.0 - left) * refused[:, groups]
    healthy = _Rates(refused, answered)
    changed = _Rates(refused - gone, answered + gone)
    epoch = max(1, round(EPOCH_SECONDS * reference.rate), round(_FINEST / reference.refusals))
    lanes = _Lanes(reference, runs, budget, spikes=spikes)
    for _, n in reversed(_steps(epoch, reference.n)):
        lanes.epoch(healthy.draw(rng, n))
    first = np.full((2, runs), np.inf)
    answers = np.zeros(runs, dtype=np.int64)
    for passed, n in _steps(epoch, reference.horizon):
        drawn = changed.draw(rng, n)
        alarms = lanes.epoch(drawn)
        answers += drawn.answered[..., 1:].sum(axis=(-1, -2))
        alarms[0] &= answers >= LEAST_ANSWERS
        # Epochs of the real length would have closed within the last of this step.
        at = passed - (n - epoch) / 2
        first = np.where(alarms & np.isinf(first), at, first)
        if np.isfinite(first[: 1 + spikes]).all():
            break
    return first


def _steps(epoch: int, length: float) -> list[tuple[int, int]]:
    """(interactions since the start, interactions in the step), finest first."""
    steps, passed = [], 0
    while passed < length:
        n = epoch * max(1, int(_GROWTH * passed / epoch))
        passed += n
        steps.append((passed, n))
    return steps


class _Rates(NamedTuple):
    """Events per interaction, (runs, G, B)."""

    refused: FloatArray
    answered: FloatArray

    def draw(self, rng: np.random.Generator, n: int) -> GroupCounts:
        counts = np.full(len(self.refused), n, dtype=np.int64)
        return GroupCounts(rng.poisson(n * self.refused), rng.poisson(n * self.answered), counts)


class _Lanes:
    """Many lanes with one reference, each going on with its own."""

    def __init__(self, reference: Reference, runs: int, budget: Budget, *, spikes: bool) -> None:
        self._spend, self._spend_groups = (
            budget.spend_per_interaction(alert, rate=reference.rate)
            for alert in ("Unalignment", "HazardSpike")
        )
        self._spikes = spikes
        self._coarse = coarse_bins(reference.volume)
        ones = np.ones(runs, dtype=np.int64)
        known = GroupCounts(
            reference.refused * ones[:, None, None],
            reference.answered * ones[:, None, None],
            reference.n * ones,
        )
        self._reference, self._reference_groups = _pooled(known), self._by_group(known)
        self._witnesses = TwoWitnesses(self._reference, reference.d1)
        self._groups = GroupWitnesses(len(GROUPS), reference.d1, runs=(runs,))

    def epoch(self, drawn: GroupCounts) -> NDArray[np.bool_]:
        """Take in one epoch; (2, runs): whether page and ticket are over their thresholds."""
        live = _pooled(drawn)
        self._witnesses.update(self._reference, live, self._spend * live.n)
        self._reference = self._reference + live
        firing = self._witnesses.evidence().firing
        spiking = np.zeros_like(firing)
        if self._spikes:
            grouped = self._by_group(drawn)
            self._groups.update(self._reference_groups, grouped, self._spend_groups * live.n)
            self._reference_groups = self._reference_groups + grouped
            spiking = self._groups.log_evidence().max(axis=-1) >= 0.0
        return np.stack([firing, spiking])

    def _by_group(self, counts: GroupCounts) -> GroupCounts:
        return GroupCounts(
            coarse_table(counts.refused, self._coarse),
            coarse_table(counts.answered, self._coarse),
            counts.n,
        )


def _pooled(counts: GroupCounts) -> WitnessCounts:
    return WitnessCounts(counts.refused.sum(axis=-2), counts.answered.sum(axis=-2), counts.n)
