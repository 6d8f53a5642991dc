"""Two witnesses: the rule that tells a changed model from changed traffic.

Witness 1 is that refusals per interaction *fall*, witness 2 that answered risky prompts per
interaction *rise*. Fewer harmful prompts cause the first alone, a jailbreak wave or a new use
case the second alone; only a model that lost its refusals causes both. Each witness is a
mixture Shiryaev-Roberts e-detector over the share k of refusals that is left; the alarm is
raised when both are over the threshold at once. The minimum of two e-detectors is an
e-detector for the union of their nulls, so the guarantee of `shiryaev_roberts` holds (Shin,
Ramdas and Rinaldo 2022).

Per epoch with n interactions, r refusals (pooled over hazard groups and bins) and c_b answers
in propensity bin b >= 1, against a reference with Gamma shapes a and exposure B, rates
lambda = a / B and tolerance d1 in log units::

    l1_k = Po(r; n lambda_r e^-d1 k) - NB(r; a_r, B e^d1, n)
    l2_k = sum_b [ Po(c_b; n (lambda_c,b + (1-k) lambda_r,b)) - NB(c_b; a_c,b, B, n) ]

The lift of bin b is not a guess: lost refusals of the baseline turn into answers there.

Every witness runs twice. The *running* one is compared with the approved baseline plus the
healthy epochs since; the *frozen* twin with the approved baseline alone, so that two shifts
of the traffic that take turns (and drag the running reference along) do not add up to a page.

Shapes: B bins, K alternatives, any leading axes (...) for simulated runs. Rates are per
interaction, evidence in nats.

>>> approved = WitnessCounts.of(refused=[60, 100, 290], answered=[0, 400, 60], n=25_000)
>>> detector, reference = TwoWitnesses(approved, d1=0.15), approved
>>> healthy = WitnessCounts.of(refused=[1, 1, 3], answered=[0, 4, 1], n=250)
>>> lost = WitnessCounts.of(refused=[1, 0, 0], answered=[0, 5, 3], n=250)
>>> for epoch in [healthy] * 100 + [lost] * 20:
...     _ = detector.update(reference, epoch, spend=2.5e-5)
...     reference = reference + epoch
>>> bool(detector.evidence().firing)
True
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.detection.gamma_poisson import PRIOR_SHAPE, FloatArray, log_ratio
from monitor.detection.shiryaev_roberts import CAP, ShiryaevRoberts

LEFT: Final = np.array([0.05, 0.2, 0.4, 0.6, 0.8])
"""The alternatives: share of refusals that is left."""
LEFT.setflags(write=False)


@dataclass(frozen=True, slots=True, eq=False)
class WitnessCounts:
    """What the witnesses see, pooled over hazard groups. References add up epoch by epoch."""

    refused: NDArray[np.int64]
    """(..., B)"""
    answered: NDArray[np.int64]
    """(..., B); bin 0 is not used."""
    n: NDArray[np.int64]
    """(...)"""

    @classmethod
    def of(cls, refused: ArrayLike, answered: ArrayLike, n: ArrayLike) -> WitnessCounts:
        return cls(*(np.asarray(x, dtype=np.int64) for x in (refused, answered, n)))

    def __add__(self, other: WitnessCounts) -> WitnessCounts:
        return WitnessCounts(
            self.refused + other.refused, self.answered + other.answered, self.n + other.n
        )

    def beside(self, other: WitnessCounts) -> WitnessCounts:
        """Both on a new leading axis of 2; `other` may have fewer leading axes."""
        return WitnessCounts(
            *(
                np.array([mine, np.broadcast_to(its, mine.shape)])
                for mine, its in (
                    (self.refused, other.refused),
                    (self.answered, other.answered),
                    (self.n, other.n),
                )
            )
        )


def cells(refused: NDArray[np.int64], answered: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tables (..., B) -> (..., B): refusals of all bins, then answers of each bin b >= 1."""
    pooled = answered.copy()
    pooled[..., 0] = refused.sum(axis=-1)
    return pooled


class Rates(NamedTuple):
    """Rates per interaction of a reference, with half an event added to each cell."""

    refused: FloatArray
    """(...) pooled"""
    refused_by_bin: FloatArray
    """(..., B - 1) bins b >= 1"""
    answered: FloatArray
    """(..., B - 1) bins b >= 1"""


class Evidence(NamedTuple):
    """ln W of both witnesses, running and frozen; shape (...)."""

    refused: FloatArray
    answered: FloatArray
    frozen_refused: FloatArray
    frozen_answered: FloatArray

    @property
    def running(self) -> FloatArray:
        return np.minimum(self.refused, self.answered)

    @property
    def frozen(self) -> FloatArray:
        return np.minimum(self.frozen_refused, self.frozen_answered)

    @property
    def firing(self) -> NDArray[np.bool_]:
        """Both witnesses over the threshold, against both references."""
        return np.asarray(np.minimum(self.running, self.frozen) >= 0.0)


def rates(reference: WitnessCounts) -> Rates:
    n = reference.n[..., None]
    return Rates(
        refused=refused_rate(reference),
        refused_by_bin=(reference.refused[..., 1:] + PRIOR_SHAPE) / n,
        answered=(reference.answered[..., 1:] + PRIOR_SHAPE) / n,
    )


def refused_rate(reference: WitnessCounts) -> FloatArray:
    """`Rates.refused` alone, (...)."""
    rate: FloatArray = (reference.refused.sum(axis=-1) + PRIOR_SHAPE) / reference.n
    return rate


def log_likelihoods(
    reference: WitnessCounts, live: WitnessCounts, d1: float
) -> tuple[FloatArray, FloatArray]:
    """(l1, l2) of one epoch, each (..., K), in nats."""
    n = reference.n[..., None].astype(np.float64)
    known = cells(reference.refused, reference.answered).astype(np.float64)
    return log_likelihoods_of_cells(
        cells(live.refused, live.answered),
        live.n,
        shape=known + PRIOR_SHAPE,
        exposure=n,
        lost=(reference.refused + PRIOR_SHAPE) / n,
        d1=d1,
    )


def log_likelihoods_of_cells(
    x: NDArray[np.int64],
    n: NDArray[np.int64],
    *,
    shape: FloatArray,
    exposure: FloatArray,
    lost: FloatArray,
    d1: float,
) -> tuple[FloatArray, FloatArray]:
    """(l1, l2), each (..., K), in nats, of `cells` (..., C).

    `x` events in `n` (...) interactions; Gamma `shape` and `exposure` of what the reference
    knows of each cell; `lost`: refusals per interaction of the bin, that of bin 0 is not used.
    """
    tolerance, left, lifted = _alternatives(d1, x.shape[-1])
    log_likelihood = log_ratio(
        x[..., None],
        n[..., None, None],
        alternative=(shape / exposure)[..., None] * left + lost[..., None] * lifted,
        shape=shape[..., None],
        exposure=(exposure * tolerance)[..., None],
    )
    return log_likelihood[..., 0, :], log_likelihood[..., 1:, :].sum(axis=-2)


@lru_cache(1_000)
def _alternatives(d1: float, cells: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Tolerance of the exposure (C,); factor on the cell's own rate and on the rate of refusals
    lost from its bin, (C, K). The first cell has the refusals, the others have answers."""
    tolerance = np.ones(cells)
    left, lifted = np.ones((cells, len(LEFT))), np.tile(1.0 - LEFT, (cells, 1))
    tolerance[0], left[0], lifted[0] = math.exp(d1), LEFT * math.exp(-d1), 0.0
    return tolerance, left, lifted


class TwoWitnesses:
    """Running and frozen statistics of both witnesses; the running reference is the caller's.

    `cap` and `frozen` exist so that tests can show what each is needed for.
    """

    __slots__ = ("_frozen", "approved", "d1", "statistic")

    def __init__(
        self, approved: WitnessCounts, d1: float, *, cap: float = CAP, frozen: bool = True
    ) -> None:
        self.approved = approved
        self.d1 = d1
        self._frozen = frozen
        runs = (2, 2, *approved.n.shape)
        self.statistic = ShiryaevRoberts.zero(alternatives=len(LEFT), runs=runs, cap=cap)
        """R_k, (witness, reference: running or frozen, ..., K)"""

    def update(
        self, reference: WitnessCounts, live: WitnessCounts, spend: ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """One epoch against `reference` (running) and the approved baseline (frozen).

        Returns (l1, l2) against the running reference, each (..., K). The caller adds `live`
        to its reference afterwards, while no page is open.
        """
        log_likelihood = self.log_likelihoods(reference, live)
        self.statistic.update(log_likelihood, spend)
        return log_likelihood[0, 0], log_likelihood[1, 0]

    def log_likelihoods(self, reference: WitnessCounts, live: WitnessCounts) -> FloatArray:
        """(witness, reference: running or frozen, ..., K), in nats."""
        both = reference.beside(self.approved if self._frozen else reference)
        return np.array(log_likelihoods(both, live, self.d1))

    def evidence(self) -> Evidence:
        (refused, frozen_refused), (answered, frozen_answered) = self.statistic.evidence()
        return Evidence(refused, answered, frozen_refused, frozen_answered)

    def reset(self) -> None:
        self.statistic.reset()
