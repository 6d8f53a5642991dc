"""How far over hazard groups a change reaches, and which groups it reached (STATISTICS A3).

**Broad or not**: the refusals since tau without the group whose removal leaves least
evidence, x over all others against E expected::

    ev = min_g max_k [ x_-g ln k - E_-g (k - 1) ]

ev >= ln 20: broad; ev <= 0: only that one group; between: not yet known.

**Which groups**: per group, Bayes factors of both witnesses since tau against the frozen
baseline; the smaller of the two is an e-value, and e-BH (Wang and Ramdas 2022) at .1 keeps the
false discovery rate. tau depends on the data, so this rate is measured, not proven. Slow by
nature.

>>> refused, expected = np.array([2, 1, 0]), np.array([20.0, 15.0, 10.0])
>>> label(refused, expected)
('broad', None)
>>> label(np.array([2, 16, 11]), expected)
('one group', 0)
"""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from monitor.detection.gamma_poisson import PRIOR_SHAPE, FloatArray
from monitor.detection.witnesses import LEFT, cells, log_likelihoods_of_cells

BROAD: Final = math.log(20.0)
FALSE_DISCOVERIES: Final = 0.1
COARSE: Final = (0.02, 0.005, 0.001)
"""Shares of traffic above the edges between the four coarse bins over the lowest bin."""


def label(
    refused: NDArray[np.int64], expected: FloatArray
) -> tuple[Literal["broad", "one group", "not yet known"], int | None]:
    """Label, and the group's index if it is one group. `refused`, `expected`: (G,) since tau."""
    x = (refused.sum() - refused)[:, None]
    without = (expected.sum() - expected)[:, None]
    evidence = (x * np.log(LEFT) - without * (LEFT - 1.0)).max(axis=-1)
    least = int(np.argmin(evidence))
    if evidence[least] >= BROAD:
        return "broad", None
    if evidence[least] <= 0.0:
        return "one group", least
    return "not yet known", None


def coarse_bins(volume: NDArray[np.int64]) -> NDArray[np.int64]:
    """Coarse bin 0-4 of each bin, from the baseline's traffic by bin, (B,).

    Bin 0 stays 0; a bin b >= 1 goes by the share of traffic at or above its lower edge.
    """
    above = volume[::-1].cumsum()[::-1] / max(int(volume.sum()), 1)
    coarse = 1 + sum((above <= 1.2 * share).astype(np.int64) for share in COARSE)
    coarse = np.asarray(coarse, dtype=np.int64)
    coarse[0] = 0
    return coarse


def coarse_table(table: NDArray[np.int64], coarse: NDArray[np.int64]) -> NDArray[np.int64]:
    """(..., B) -> (..., 5): sums of the bins that share a coarse bin."""
    return np.asarray(table @ coarse_indicator(coarse))


def coarse_indicator(coarse: NDArray[np.int64]) -> NDArray[np.int64]:
    """(B, 5): 1 where a bin belongs to a coarse bin."""
    same = coarse[:, None] == np.arange(len(COARSE) + 2)
    return np.asarray(same, dtype=np.int64)


def cell_prior(table: NDArray[np.int64], n: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Gamma (shape, exposure) of each cell of `table` (..., G, C), events in `n` (...).

    a = x + 1, B = n + 1/m, m = (row + .5)(column + .5) / ((total + .5) n): the empirical-Bayes
    prior of one event at the rate that the margins give. A vague prior makes sparse cells fire.
    """
    row = table.sum(axis=-1, keepdims=True)
    column = table.sum(axis=-2, keepdims=True)
    total = row.sum(axis=-2, keepdims=True)
    exposure = np.asarray(n, dtype=np.float64)[..., None, None]
    exposures: FloatArray = exposure + (total + 0.5) * exposure / ((row + 0.5) * (column + 0.5))
    return np.asarray(table + 1.0, dtype=np.float64), exposures


def group_log_likelihoods(
    reference_refused: NDArray[np.int64],
    reference_answered: NDArray[np.int64],
    reference_n: NDArray[np.int64],
    refused: NDArray[np.int64],
    answered: NDArray[np.int64],
    n: NDArray[np.int64],
    d1: float,
) -> tuple[FloatArray, FloatArray]:
    """(l1, l2) per group, each (..., G, K), in nats. Tables are (..., G, C) over coarse bins."""
    known = np.array([reference_refused, reference_answered])
    known[1, ..., 0] = 0
    (refused_shape, shape), (refused_exposure, exposure) = cell_prior(known, reference_n)
    # The first cell of a group has all its refusals, which are no sparse cell.
    shape[..., 0] = reference_refused.sum(axis=-1) + PRIOR_SHAPE
    exposure[..., 0] = reference_n[..., None]
    return log_likelihoods_of_cells(
        cells(refused, answered),
        n[..., None],
        shape=shape,
        exposure=exposure,
        lost=refused_shape / refused_exposure,
        d1=d1,
    )


def log_bayes_factors(log_likelihood: FloatArray) -> FloatArray:
    """ln mean_k e^{l_k}, (..., G, K) -> (..., G)."""
    mean: FloatArray = np.logaddexp.reduce(log_likelihood, axis=-1) - math.log(len(LEFT))
    return mean


def e_benjamini_hochberg(log_e: FloatArray, level: float = FALSE_DISCOVERIES) -> list[int]:
    """Indices flagged among G e-values: the largest j with e_(j) >= G / (level j)."""
    order = np.argsort(-log_e, kind="stable")
    groups = len(log_e)
    needed = np.log(groups / (level * np.arange(1, groups + 1)))
    passed = np.flatnonzero(log_e[order] >= needed)
    return sorted(order[: passed[-1] + 1].tolist()) if passed.size else []
