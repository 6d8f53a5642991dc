"""What detection sees of traffic: integer counts of one epoch, or of a whole reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


class RiskyAnswer(NamedTuple):
    """One answered prompt of a bin b >= 1 that counted; names records, never text."""

    record_id: str
    source_key: int
    """Keyed hash of the source, 0 if the record names none."""
    template_key: int
    replica: str
    at: float


@dataclass(frozen=True, slots=True, eq=False)
class EpochCounts:
    """Counts of one lane in one epoch (STATISTICS A1).

    Shapes: G = ``len(GROUPS)`` hazard groups, B propensity bins (bin 0 is the lowest).
    Events (`refused`, `answered`, `degenerate`) are counted after deduplication, exposures
    (`n`, `volume`, `blocked`, `unjudged`) without.
    """

    n: int
    """Judged interactions: not unjudged, not blocked, not excluded."""
    volume: IntArray
    """(B,) judged interactions by propensity bin of the prompt."""
    refused: IntArray
    """(G, B) refusals at the baseline's tau."""
    answered: IntArray
    """(G, B) answers (p_refused < .5, not degenerate); column 0 is zero."""
    degenerate: int = 0
    blocked: int = 0
    unjudged: int = 0
    deployment_n: int = 0
    """Judged interactions of the deployment over all its lanes; 0 means this lane alone."""
    capped: tuple[int, int] = (0, 0)
    """Events left out by deduplication: (by source, by template, first or last words)."""
    risky: Sequence[RiskyAnswer] | None = None
    """The answers in bins b >= 1, at most 64; ``None`` when counts are all there is."""
    replicas: frozenset[str] = frozenset()

    @classmethod
    def empty(cls, groups: int, bins: int) -> EpochCounts:
        zeros = np.zeros((groups, bins), dtype=np.int64)
        return cls(n=0, volume=np.zeros(bins, dtype=np.int64), refused=zeros, answered=zeros)


class Epoch(NamedTuple):
    """Counts of one epoch from `start` to `end`, seconds of event time."""

    counts: EpochCounts
    start: float
    end: float
