"""Shiryaev-Roberts e-detector with a mixture over alternatives and a cap.

With likelihood ratios e^{l_k} of one epoch and the part s of the false-alarm budget that the
epoch may spend::

    R_k <- min((R_k + s) e^{l_k}, cap)        W = mean_k R_k        alarm: W >= 1

R_k - sum(s) is a martingale under the null, so P(alarm by t) <= sum of s, whatever the epochs
and whenever one looks (Shin, Ramdas, Rinaldo 2022, e-detectors; Shiryaev 1963; Roberts 1966).
The cap costs no delay at a threshold of 1 and keeps a cause that is over from counting on:
without it the statistic stays over the threshold long after a jailbreak wave has ended.
All in logs.

>>> r = ShiryaevRoberts.zero(alternatives=2)
>>> for _ in range(4):
...     r.update(np.array([1.0, 3.0]), spend=1e-4)
>>> round(float(r.evidence()), 2)
1.61
>>> r.update(np.zeros(2), spend=0.0)     # no data, no budget: nothing moves
>>> round(float(r.evidence()), 2)
1.61
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from monitor.detection.gamma_poisson import FloatArray

CAP: Final = 10.0
_LEAST: Final = -1e300
"""Stands for -inf where a difference is taken."""


class ShiryaevRoberts:
    """R_k of one or many runs; `log_r` has shape (..., K)."""

    __slots__ = ("_evidence", "_log_cap", "_log_r")

    def __init__(self, log_r: FloatArray, cap: float = CAP) -> None:
        self.log_r = log_r
        self._log_cap = math.log(cap) if cap < math.inf else math.inf

    @classmethod
    def zero(
        cls, *, alternatives: int, runs: tuple[int, ...] = (), cap: float = CAP
    ) -> ShiryaevRoberts:
        return cls(np.full((*runs, alternatives), -np.inf), cap)

    @property
    def log_r(self) -> FloatArray:
        """Replaced as a whole, never written into: the evidence is computed once for each."""
        return self._log_r

    @log_r.setter
    def log_r(self, log_r: FloatArray) -> None:
        log_r.setflags(write=False)
        self._log_r = log_r
        self._evidence: FloatArray | None = None

    def update(self, log_likelihood: FloatArray, spend: ArrayLike) -> None:
        """One epoch: `log_likelihood` (..., K) in nats, `spend` (...) the s of the epoch."""
        with np.errstate(divide="ignore"):
            log_s = np.log(np.asarray(spend, dtype=np.float64))[..., None]
        grown = np.logaddexp(self._log_r, log_s) + log_likelihood
        self.log_r = np.minimum(grown, self._log_cap)

    def evidence(self) -> FloatArray:
        """ln W, shape (...): 0 is the alarm threshold, -inf no evidence at all."""
        if self._evidence is None:
            self._evidence = _log_mean_exp(self._log_r)
        return self._evidence

    def may_reach(self, log_threshold: float = 0.0) -> bool:
        """Whether any ln W may be so high: a mean over alternatives is no more than the largest."""
        return bool(self._log_r.max() >= log_threshold)

    def reset(self, row: tuple[int | slice, ...] | int = ()) -> None:
        """Forget what is at index `row` of the leading axes; everything without it."""
        log_r = self._log_r.copy()
        log_r[row] = -np.inf
        self.log_r = log_r


def _log_mean_exp(log_r: FloatArray) -> FloatArray:
    """Over the last axis, which is added up in the same order whatever the others are."""
    last = log_r.ndim - 1
    by_alternative = np.ascontiguousarray(log_r.transpose(last, *range(last)))
    largest = np.maximum(by_alternative.max(axis=0), _LEAST)
    total = np.exp(by_alternative - largest).sum(axis=0)
    with np.errstate(divide="ignore"):
        mean: FloatArray = largest + np.log(total / len(by_alternative))
    return mean
