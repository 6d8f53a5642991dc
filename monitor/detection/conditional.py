"""Has P(good outcome | stratum) fallen? For strata whose risk is known: probes and prompts
that the operator labelled.

Where a prompt's stratum does not depend on a classifier, traffic cannot move the rate within
it, and the outcome can be tested directly. A self-starting, stratified mixture
Shiryaev-Roberts e-detector: half of the statistic looks for a drop in all C strata, half for
one in a single stratum (Shin, Ramdas, Rinaldo 2022; Lorden and Pollak 2005; Hawkins 1987).

Per epoch with n_c trials and x_c good outcomes, f_c = n_c - x_c, Beta state (a_c, b_c),
tolerance d and drops theta_k in logits::

    q_c = a_c / (a_c + b_c)                p1_c,k = expit(logit q_c - d - theta_k)
    a'_c = (a_c + b_c) expit(logit q_c - d)       b'_c = a_c + b_c - a'_c
    l_c,k = x_c ln p1_c,k + f_c ln(1 - p1_c,k) - [lnB(a'_c + x_c, b'_c + f_c) - lnB(a'_c, b'_c)]
    R_k <- (R_k + s) e^{sum_c l_c,k}       R_c,k <- (R_c,k + s) e^{l_c,k}
    B = mean_k R_k,  M_c = mean_k R_c,k,  H = (B + mean_c M_c) / 2          alarm: H >= 1
    then a_c += x_c, b_c += f_c            while no alarm is open

P(false alarm by t) <= sum of s; s is the budget of the epoch's trials. Shapes: C strata,
K drops, leading axes (...) of simulated runs; evidence in nats.

>>> reference = StratumCounts(np.array([180, 90]), np.array([200, 100]))
>>> detector = ConditionalSR(reference)
>>> for _ in range(5):
...     detector.update(StratumCounts(np.array([0, 0]), np.array([1, 1])), spend=1e-5)
>>> bool(detector.evidence() >= 0.0), bool(detector.is_broad()), detector.strata()
(True, True, [])
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, expit, logit

from monitor.detection.gamma_poisson import FloatArray
from monitor.detection.shiryaev_roberts import ShiryaevRoberts

DROPS: Final = np.array([0.5, 1.0, 2.0, 3.0, 4.5])
"""theta_k, logits."""
DROPS.setflags(write=False)
PRIOR_WEIGHT: Final = 2.0
"""Pseudo-trials of each stratum, at the pooled rate."""


@dataclass(frozen=True, slots=True, eq=False)
class StratumCounts:
    """Good outcomes and trials by stratum, (..., C)."""

    good: NDArray[np.int64]
    n: NDArray[np.int64]


class ConditionalSR:
    """Running reference and statistics; the reference grows with every healthy epoch."""

    __slots__ = ("bad", "broad", "d", "good", "single")

    def __init__(self, reference: StratumCounts, *, d: float = 0.0) -> None:
        x, n = np.asarray(reference.good), np.asarray(reference.n)
        pooled = (x.sum(axis=-1, keepdims=True) + PRIOR_WEIGHT) / (
            n.sum(axis=-1, keepdims=True) + 2 * PRIOR_WEIGHT
        )
        self.d = d
        self.good: FloatArray = PRIOR_WEIGHT * pooled + x
        """a_c, (..., C)"""
        self.bad: FloatArray = PRIOR_WEIGHT * (1.0 - pooled) + (n - x)
        """b_c, (..., C)"""
        runs, strata = x.shape[:-1], x.shape[-1]
        self.broad = ShiryaevRoberts.zero(alternatives=len(DROPS), runs=runs, cap=math.inf)
        self.single = ShiryaevRoberts.zero(
            alternatives=len(DROPS), runs=(*runs, strata), cap=math.inf
        )

    def log_likelihoods(self, live: StratumCounts) -> FloatArray:
        """l_c,k, (..., C, K), in nats; 0 where a stratum has no trials."""
        x = np.asarray(live.good, dtype=np.float64)
        f = np.asarray(live.n, dtype=np.float64) - x
        total = self.good + self.bad
        rate = logit(self.good / total) - self.d
        a = total * expit(rate)
        null = betaln(a + x, total - a + f) - betaln(a, total - a)
        dropped = rate[..., None] - DROPS
        # ln expit(z) = -ln(1 + e^-z), without loss for large |z|.
        good, bad = -np.logaddexp(0.0, -dropped), -np.logaddexp(0.0, dropped)
        value: FloatArray = x[..., None] * good + f[..., None] * bad - null[..., None]
        return value

    def update(self, live: StratumCounts, spend: ArrayLike, *, absorb: bool = True) -> None:
        """One epoch. `spend` (...) is s; `absorb` is false while an alarm is open."""
        log_likelihood = self.log_likelihoods(live)
        s = np.asarray(spend, dtype=np.float64)
        self.broad.update(log_likelihood.sum(axis=-2), s)
        self.single.update(log_likelihood, s[..., None])
        if absorb:
            self.good = self.good + live.good
            self.bad = self.bad + (np.asarray(live.n) - live.good)

    def evidence(self) -> FloatArray:
        """ln H, (...): 0 is the alarm threshold."""
        both: FloatArray = np.logaddexp(self.broad.evidence(), self._single()) - math.log(2.0)
        return both

    def is_broad(self) -> NDArray[np.bool_]:
        """Whether the common drop is the larger part of the evidence, (...)."""
        return np.asarray(self.broad.evidence() > self._single())

    def strata(self) -> list[int]:
        """Strata with a drop of their own, of a single run: the largest k for which the k-th
        largest M_c is at least 2 C / k (Dandapanthula and Ramdas 2025, e-d-BH)."""
        log_m = self.single.evidence()
        order = np.argsort(-log_m, kind="stable")
        needed = np.log(2.0 * len(log_m) / np.arange(1, len(log_m) + 1))
        passed = np.flatnonzero(log_m[order] >= needed)
        return sorted(order[: passed[-1] + 1].tolist()) if passed.size else []

    def reset(self) -> None:
        """Forget the evidence and keep the reference."""
        self.broad.reset()
        self.single.reset()

    def _single(self) -> FloatArray:
        log_m = self.single.evidence()
        mean: FloatArray = np.logaddexp.reduce(log_m, axis=-1) - math.log(log_m.shape[-1])
        return mean

    def to_state(self) -> dict[str, Any]:
        return {
            "good": self.good.tolist(),
            "bad": self.bad.tolist(),
            "broad": self.broad.log_r.tolist(),
            "single": self.single.log_r.tolist(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.good, self.bad = np.array(state["good"]), np.array(state["bad"])
        self.broad.log_r = np.array(state["broad"], dtype=np.float64)
        self.single.log_r = np.array(state["single"], dtype=np.float64)
