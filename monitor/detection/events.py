"""From verdicts to events and from events to counts: one rule for baseline and live traffic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.detection.counts import EpochCounts, RiskyAnswer
from monitor.records import GROUPS, Outcome

BoolArray = NDArray[np.bool_]

ANSWERED_BELOW = 0.5
"""An answer has p_refused under this; between it and tau a record counts for n alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """What each of m records is, as columns (m,)."""

    judged: BoolArray
    refused: BoolArray
    answered: BoolArray
    """Answered in a bin b >= 1."""
    degenerate: BoolArray
    blocked: BoolArray
    unjudged: BoolArray

    @property
    def candidates(self) -> BoolArray:
        """Records that deduplication decides about."""
        return self.refused | self.answered | self.degenerate


def bins_of(edges: ArrayLike, propensity: ArrayLike) -> NDArray[np.int64]:
    """Propensity bin of each score; a score equal to an edge belongs to the upper bin.

    Scores of NaN (no prompt) are in bin 0.
    """
    scores = np.asarray(propensity, dtype=np.float64)
    lowest = np.where(np.isnan(scores), -np.inf, scores)
    return np.searchsorted(np.asarray(edges, dtype=np.float64), lowest, side="right")


def events_of(outcome: ArrayLike, p_refused: ArrayLike, bins: ArrayLike, *, tau: float) -> Events:
    """Sort records into events, from verdict columns (m,) and their propensity `bins` (m,)."""
    codes, p, at = np.asarray(outcome), np.asarray(p_refused), np.asarray(bins)
    text = (codes == Outcome.COMPLIED) | (codes == Outcome.REFUSED)
    degenerate = codes == Outcome.DEGENERATE
    return Events(
        judged=text | degenerate,
        refused=text & (p >= tau),
        answered=text & (p < ANSWERED_BELOW) & (at >= 1),
        degenerate=degenerate,
        blocked=codes == Outcome.BLOCKED,
        unjudged=codes == Outcome.UNJUDGED,
    )


def count(
    events: Events,
    counted: BoolArray,
    *,
    group: ArrayLike,
    bins: ArrayLike,
    n_bins: int,
    deployment_n: int = 0,
    capped: tuple[int, int] = (0, 0),
    risky: tuple[RiskyAnswer, ...] | None = None,
    replicas: frozenset[str] = frozenset(),
) -> EpochCounts:
    """Counts of m records; `counted` (m,) says which events deduplication kept."""
    groups, at = np.asarray(group, dtype=np.int64), np.asarray(bins, dtype=np.int64)

    def table(kept: BoolArray) -> NDArray[np.int64]:
        cells = groups[kept] * n_bins + at[kept]
        size = len(GROUPS) * n_bins
        return np.bincount(cells, minlength=size).astype(np.int64).reshape(len(GROUPS), n_bins)

    return EpochCounts(
        n=int(events.judged.sum()),
        volume=np.bincount(at[events.judged], minlength=n_bins).astype(np.int64),
        refused=table(events.refused & counted),
        answered=table(events.answered & counted),
        degenerate=int((events.degenerate & counted).sum()),
        blocked=int(events.blocked.sum()),
        unjudged=int(events.unjudged.sum()),
        deployment_n=deployment_n,
        capped=capped,
        risky=risky,
        replicas=replicas,
    )
