"""Metrics of a binary head, from scores and labels."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

_BINS: Final = 15


class Binary(msgspec.Struct, frozen=True):
    """How well P(refused) separates refusals from answers; NaN where a class is missing."""

    n: int
    positives: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    false_positives: float
    """Share of negatives at or over the threshold."""
    auroc: float
    calibration_error: float
    kept_7: float
    """Share of real positives at p >= .7."""
    kept_9: float
    flagged_7: float
    """Share of negatives at p >= .7."""


def binary(p: NDArray[np.float64], labels: NDArray[np.bool_], threshold: float = 0.5) -> Binary:
    """Metrics of probabilities `p` against `labels`."""
    flagged = p >= threshold
    hits = int((flagged & labels).sum())
    precision = _ratio(hits, int(flagged.sum()))
    recall = _ratio(hits, int(labels.sum()))
    return Binary(
        n=len(p),
        positives=int(labels.sum()),
        accuracy=_ratio(int((flagged == labels).sum()), len(p)),
        precision=precision,
        recall=recall,
        f1=_ratio(2 * hits, int(flagged.sum()) + int(labels.sum())),
        false_positives=_ratio(int((flagged & ~labels).sum()), int((~labels).sum())),
        auroc=auroc(p, labels),
        calibration_error=calibration_error(p, labels),
        kept_7=_ratio(int((p[labels] >= 0.7).sum()), int(labels.sum())),
        kept_9=_ratio(int((p[labels] >= 0.9).sum()), int(labels.sum())),
        flagged_7=_ratio(int((p[~labels] >= 0.7).sum()), int((~labels).sum())),
    )


def auroc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Probability that a positive scores over a negative, ties half (Mann-Whitney)."""
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / positives / negatives)


def calibration_error(p: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Expected calibration error over 15 equal bins of p."""
    bins = np.minimum((p * _BINS).astype(np.int64), _BINS - 1)
    gaps = [
        abs(float(labels[bins == b].mean()) - float(p[bins == b].mean()))
        * float(np.mean(bins == b))
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
