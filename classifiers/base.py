"""What a classifier is: text in, verdicts out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from monitor.records import Interaction, VerdictBatch


class Classifier(Protocol):
    """Judges interactions; deterministic, stateless, no I/O after loading its weights."""

    @property
    def identity(self) -> str:
        """``name@sha256:...`` of the weights; part of every verdict and every baseline."""
        ...

    def judge(self, batch: Sequence[Interaction]) -> VerdictBatch:
        """Judge `batch` in order.

        Fills every column but `keys`, `partitions`, `offsets` (zeros), `ingest` (NaN) and
        `artifacts` (empty strings), which the classify step adds.
        """
        ...
