"""What the detect step found in one batch, and what it changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.detection import Baseline, Finding
from monitor.pipeline.deployment import Deployment
from monitor.store.base import LedgerEntry, ModelEventRow


@dataclass(frozen=True, slots=True)
class Raised:
    """A finding with what the alert needs to know about where it came from."""

    place: int
    """Index of the record, among those read, that brought it out."""
    deployment: str
    artifact: str
    """Lane; empty for a condition of the whole deployment."""
    baseline: str
    finding: Finding
    counts: Mapping[str, int] = field(default_factory=dict)
    """Whole numbers that the sentence of the alert needs."""


@dataclass(slots=True)
class Detected:
    """What one batch changed, for the commit."""

    raised: list[Raised] = field(default_factory=list)
    totals: Counter[tuple[str, str]] = field(default_factory=Counter)
    ledger: dict[tuple[str, str, int], Counter[str]] = field(default_factory=dict)
    evidence: dict[tuple[str, str, int], tuple[float, float]] = field(default_factory=dict)
    seen: dict[tuple[str, int], set[int]] = field(default_factory=dict)
    window_rows: dict[str, bytes] = field(default_factory=dict)
    windows_closed: list[str] = field(default_factory=list)
    learned: list[Baseline] = field(default_factory=list)
    shadowed: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By baseline learned in a shadow run: outcomes on which both classifiers agreed, of how
    many."""
    events: list[ModelEventRow] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    """Deployments whose state changed."""
    marks: dict[str, tuple[float, NDArray[np.int64], NDArray[np.float64]]] = field(
        default_factory=dict
    )
    """Watermark before the batch; places of its records and watermarks at them."""

    def mark(
        self, deployment: Deployment, places: NDArray[np.int64], marks: NDArray[np.float64]
    ) -> None:
        """Note the watermarks of records of `deployment`, before its own moves on."""
        known = self.marks.get(deployment.name)
        if known is None:
            self.marks[deployment.name] = (deployment.watermark, places, marks)
        else:
            before, earlier, low = known
            joined = np.concatenate([earlier, places]), np.concatenate([low, marks])
            self.marks[deployment.name] = (before, *joined)

    def watermark(self, deployment: Deployment, place: int) -> float:
        """Watermark of `deployment` when the record at `place` had been read."""
        before, places, marks = self.marks.get(
            deployment.name, (deployment.watermark, np.zeros(0, np.int64), np.zeros(0))
        )
        passed = int(np.searchsorted(places, place, side="right"))
        return float(marks[passed - 1]) if passed else before

    def found(
        self,
        deployment: Deployment,
        artifact: str,
        place: int,
        findings: Sequence[Finding],
        **counts: int,
    ) -> None:
        """Note `findings` brought out by the record at `place`; `counts` are for the sentence."""
        baseline = deployment.baseline
        self.raised.extend(
            Raised(
                place=place,
                deployment=deployment.name,
                artifact=artifact,
                baseline=baseline.id if baseline is not None else "",
                finding=finding,
                counts=counts,
            )
            for finding in findings
        )

    def keep_rows(self, window: str, rows: bytes) -> None:
        """Add verdicts to those that this transaction puts into a learning window."""
        self.window_rows[window] = self.window_rows.get(window, b"") + rows

    def end_windows(self, windows: Iterable[str]) -> None:
        """These learning windows are over: what is stored of them goes, and so does what this
        transaction would have added."""
        for window in windows:
            self.window_rows.pop(window, None)
            self.windows_closed.append(window)

    def count(self, deployment: str, artifact: str, minute: int, **counts: int) -> None:
        entry = self.ledger.setdefault((deployment, artifact, minute), Counter())
        entry.update({name: n for name, n in counts.items() if n})

    def ledger_entries(self) -> list[LedgerEntry]:
        entries = []
        for key in sorted(self.ledger.keys() | self.evidence.keys()):
            deployment, artifact, minute = key
            refused, answered = self.evidence.get(key, (None, None))
            entries.append(
                LedgerEntry(
                    deployment,
                    artifact,
                    minute,
                    **self.ledger.get(key, Counter()),
                    evidence_refused=refused,
                    evidence_answered=answered,
                )
            )
        return entries
