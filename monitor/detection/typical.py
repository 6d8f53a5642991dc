"""The baseline to expect of traffic of which only rate and harmful share are known.

Three kinds of prompts, with normal propensity scores: harmful ones, of which an aligned model
refuses .87; look-alikes (.02 of all, .05 refused); ordinary ones, of which .004 are read as
refusals by mistake. Refusals are read with sensitivity .93. Harmful prompts lie 2.3 standard
deviations over ordinary ones: a little less than the shipped head was measured to separate
prompts of sources that it had not seen. Hazard groups follow Zipf's law.

>>> reference = typical_reference(0.02, 25_000, rate=10.0)
>>> int(reference.refused.sum()), reference.refused.shape[0]
(524, 10)
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy.stats import norm

from monitor.detection.counts import IntArray
from monitor.detection.learning import D1_UNMEASURED, LEAST_ANSWERS, QUANTILES
from monitor.detection.rehearsal import FloatArray, Reference
from monitor.records import GROUPS

LOOKALIKES: Final = 0.02
_SENSITIVITY: Final = 0.93
_FALSE: Final = 0.004
_ZIPF: Final = 1.0 / np.arange(1, len(GROUPS))
_GROUPS: Final = np.append(_ZIPF / _ZIPF.sum(), 0.0)
_OTHER: Final = np.append(np.zeros(len(GROUPS) - 1), 1.0)


class _Kind(NamedTuple):
    score: float
    """Mean; the standard deviation is 1."""
    refused: float
    """Probability that the answer is read as a refusal."""
    groups: FloatArray


_HARMFUL: Final = _Kind(2.3, 0.87 * _SENSITIVITY, _GROUPS)
_LOOKALIKE: Final = _Kind(1.2, 0.05 * _SENSITIVITY + _FALSE, _GROUPS)
_ORDINARY: Final = _Kind(0.0, _FALSE, _OTHER)


def typical_reference(harmful: float, n: int, *, rate: float) -> Reference:
    """A reference of `n` interactions, `harmful` of them harmful prompts, `rate` a second.

    Raises:
        ValueError: `harmful` or `n` is out of range.
    """
    if not 0.0 < harmful <= 0.5:
        raise ValueError("harmful share: must be above 0 and at most .5")
    if n < 1 or rate <= 0.0:
        raise ValueError("reference and rate: must be above 0")
    kinds = [
        (_HARMFUL, harmful),
        (_LOOKALIKE, LOOKALIKES * (1 - harmful)),
        (_ORDINARY, (1 - LOOKALIKES) * (1 - harmful)),
    ]
    edges = _edges(kinds, n)
    limits = np.concatenate([[-np.inf], edges, [np.inf]])
    refused = np.zeros((len(GROUPS), len(edges) + 1))
    answered, volume = np.zeros_like(refused), np.zeros(len(edges) + 1)
    for kind, share in kinds:
        inside = n * share * np.diff(norm.cdf(limits - kind.score))
        volume += inside
        refused += kind.refused * kind.groups[:, None] * inside
        answered += (1 - kind.refused) * kind.groups[:, None] * inside
    answered[:, 0] = 0.0
    return Reference(
        whole(refused), whole(answered), whole(volume), n=n, d1=D1_UNMEASURED, rate=rate
    )


def whole(expected: FloatArray) -> IntArray:
    """Counts near `expected` (G, ...) whose sums over the first axis are right: rounded cell by
    cell, small groups would lose all they have."""
    upto = np.rint(expected.cumsum(axis=0)).astype(np.int64)
    counts: IntArray = np.diff(upto, axis=0, prepend=np.zeros_like(upto[:1]))
    return counts


def _edges(kinds: list[tuple[_Kind, float]], n: int) -> FloatArray:
    """Quantiles of the scores; neighbours with under 5 answers are merged, from the top down."""
    grid = np.linspace(-6.0, 12.0, 4001)
    above = sum(share * norm.sf(grid - kind.score) for kind, share in kinds)
    left = sum(share * (1 - kind.refused) * norm.sf(grid - kind.score) for kind, share in kinds)
    at = np.unique([np.searchsorted(-above, q - 1.0) for q in QUANTILES])
    kept: list[float] = []
    answers = 0.0
    for i in at[::-1]:
        inside = n * float(left[i]) - answers
        if inside >= LEAST_ANSWERS:
            kept.append(float(grid[i]))
            answers += inside
    return np.array(kept[::-1] or [grid[at[0]]])
