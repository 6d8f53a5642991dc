"""What a propensity head is worth to the detector: information per harmful prompt.

Witness 2 counts answered prompts in propensity bins; its expected log-likelihood ratio per
interaction under a collapse of refusals is sum_b [c' ln(c'/c) - c' + c], with c the rate of
answers in bin b before and c' after. Divided by the share of harmful prompts it is in nats per
harmful prompt: the delay of an alarm is about ln(budget) divided by it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

QUANTILES: Final = (0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995)
"""Bin edges, as quantiles of ordinary traffic."""

HARMFUL_SHARE: Final = 0.02
_ANSWERED: Final = 0.07
_LOST: Final = 0.95 * 0.93


def information(
    ordinary: NDArray[np.float64], harmful: NDArray[np.float64], share: float = HARMFUL_SHARE
) -> float:
    """Nats per harmful prompt for witness 2, bins from .95 up.

    Args:
        ordinary: scores of held-out ordinary prompts; the edges are their quantiles.
        harmful: scores of held-out harmful prompts.
        share: harmful prompts among all interactions.

    A healthy model answers .07 of harmful prompts; the changed one has lost .95 of its refusals.
    """
    edges = np.quantile(ordinary, QUANTILES)
    before = (1 - share) * _shares(ordinary, edges) + _ANSWERED * share * _shares(harmful, edges)
    after = before + _LOST * share * _shares(harmful, edges)
    seen = before[1:] > 0
    c, d = before[1:][seen], after[1:][seen]
    return float(np.sum(d * np.log(d / c) - d + c) / share)


def recall_at(
    ordinary: NDArray[np.float64], harmful: NDArray[np.float64], quantile: float
) -> float:
    """Share of harmful prompts at or over a quantile of ordinary traffic."""
    return float(np.mean(harmful >= np.quantile(ordinary, quantile)))


def _shares(scores: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    bins = np.searchsorted(edges, scores, side="right")
    return np.bincount(bins, minlength=len(edges) + 1) / len(scores)
