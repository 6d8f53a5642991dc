"""When did it begin? The CUSUM twin of a detector, with what was counted since.

For each alternative k (Page 1954)::

    W_k <- max(0, W_k) + l_k            tau = start of the epoch after the last W_k <= 0

for the k with the largest W_k. W_k is the log-likelihood ratio of "changed at tau" against
"not changed", uncapped: it is the evidence shown to people. The range is a support interval
of 2 nats: `latest` is the last time at which W_k was still <= 2; `earliest` is when the path
of the sum of l_k had last been 2 to 3 nats above its minimum at tau.

Counts since tau are kept per k, so that the running reference can be rolled back to tau with
integers alone.

>>> twin = ChangeTime.zero(alternatives=1, counts=1)
>>> for t, l in enumerate([-1.0, -1.0, 0.5, 2.0, 2.0]):
...     twin.update(np.array([l]), np.array([10]), start=10.0 * t, end=10.0 * t + 10)
>>> estimate = twin.estimate()
>>> estimate.at, estimate.earliest, estimate.latest, estimate.evidence, int(estimate.counts[0])
(20.0, 0.0, 30.0, 4.5, 30)
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detection.gamma_poisson import FloatArray

SUPPORT: Final = 2.0
"""Nats of the support interval of the change time."""
_ZERO: Final = (0.0, np.nan, np.nan, 0.0, np.nan, 0)
"""Start values of `ChangeTime`, in the order of its slots."""
_MARKS: Final = 3
"""Times kept of the sum's minimum falling by another nat; the oldest is 2-3 nats back."""


class ChangeEstimate(NamedTuple):
    """The best alternative's change: times in seconds, evidence in nats, counts since."""

    alternative: int
    at: float
    earliest: float
    latest: float
    evidence: float
    counts: NDArray[np.int64]


class ChangeTime:
    """CUSUM twin with leading axes (...), K alternatives, M counts."""

    __slots__ = ("evidence", "since", "latest", "fallen", "earlier", "counts")  # noqa: RUF023

    def __init__(
        self,
        evidence: FloatArray,
        since: FloatArray,
        latest: FloatArray,
        fallen: FloatArray,
        earlier: FloatArray,
        counts: NDArray[np.int64],
    ) -> None:
        self.evidence = evidence
        """W_k, (..., K)"""
        self.since = since
        """tau_k, (..., K); NaN before the first epoch."""
        self.latest = latest
        """(..., K)"""
        self.fallen = fallen
        """Nats by which the minimum fell since the last mark, (..., K)"""
        self.earlier = earlier
        """Marks, oldest first, (..., K, 3)"""
        self.counts = counts
        """Counts since tau_k, (..., K, M)"""

    @classmethod
    def zero(cls, *, alternatives: int, counts: int, runs: tuple[int, ...] = ()) -> ChangeTime:
        shape = (*runs, alternatives)
        return cls(
            np.zeros(shape),
            np.full(shape, np.nan),
            np.full(shape, np.nan),
            np.zeros(shape),
            np.full((*shape, _MARKS), np.nan),
            np.zeros((*shape, counts), dtype=np.int64),
        )

    def update(
        self, log_likelihood: FloatArray, counts: NDArray[np.int64], *, start: float, end: float
    ) -> None:
        """One epoch from `start` to `end`: l_k (..., K) and its `counts` (..., M)."""
        restart = self.evidence <= 0.0
        self.since[restart] = start
        self.counts[restart] = 0
        self.counts += counts[..., None, :]
        np.maximum(self.evidence, 0.0, out=self.evidence)
        self.evidence += log_likelihood
        self.latest[self.evidence <= SUPPORT] = end
        self.earlier[np.isnan(self.earlier)] = start
        self.fallen -= np.minimum(self.evidence, 0.0)
        mark = self.fallen >= 1.0
        if mark.any():
            self.fallen[mark] = 0.0
            self.earlier[mark, :-1] = self.earlier[mark, 1:]
            self.earlier[mark, -1] = end

    def estimate(self, row: tuple[int, ...] | int = ()) -> ChangeEstimate:
        """Of the run at index `row` of the leading axes."""
        evidence, at, latest = self.evidence[row], self.since[row], self.latest[row]
        k = int(np.argmax(evidence))
        began = float(at[k])
        return ChangeEstimate(
            alternative=k,
            at=began,
            earliest=min(began, float(self.earlier[row][k, 0])),
            latest=began if np.isnan(latest[k]) else max(began, float(latest[k])),
            evidence=float(evidence[k]),
            counts=self.counts[row][k].copy(),
        )

    def reset(self, row: tuple[int, ...] | int | slice = ()) -> None:
        """Forget what is at index `row` of the leading axes; everything without it."""
        for name, value in zip(self.__slots__, _ZERO, strict=True):
            getattr(self, name)[row] = value

    def to_state(self) -> dict[str, Any]:
        return {name: getattr(self, name).tolist() for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> ChangeTime:
        counts = np.array(state["counts"], dtype=np.int64)
        others = {k: np.array(v, dtype=np.float64) for k, v in state.items() if k != "counts"}
        return cls(counts=counts, **others)
