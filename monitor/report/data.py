"""What a report is made of. Counts, event times and ids of records only; never any text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from monitor.alerts.alert import Alert


@dataclass(frozen=True, slots=True)
class Minute:
    """Counts of one lane in one minute of event time."""

    minute: int
    """Minutes since 1970 (UTC)."""
    judged: int
    refused: int = 0
    answered_risky: int = 0
    degenerate: int = 0
    blocked: int = 0
    unjudged: int = 0
    evidence_refused: float | None = None
    """log10 of witness 1 at the end of the minute; ``None`` while there is no baseline."""
    evidence_answered: float | None = None


@dataclass(frozen=True, slots=True)
class Approved:
    """Counts of the approved baseline, over `judged` interactions."""

    judged: int
    refused: int
    answered_risky: int
    degenerate: int = 0
    id: str = ""
    until: float | None = None
    """End of its window, event time in seconds."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One deployment and artifact, as it stands at the end."""

    deployment: str
    artifact: str
    state: str
    minutes: Sequence[Minute] = ()
    approved: Approved | None = None
    reference_n: int = 0
    armed_for: float | None = None
    """Losses to this share of the refusals, or worse, can be seen."""
    coverage: float | None = None
    """Judged share of the records."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Accounting: `consumed` = `classified` + `skipped` + `dead_lettered`."""

    consumed: int = 0
    classified: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    dead_lettered: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """What another rule would have paged on the same past."""

    deployment: str
    name: str
    words: str
    pages: Sequence[float] = ()
    """Event times in seconds."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything in a report. The same data give the same bytes."""

    lanes: Sequence[Lane] = ()
    alerts: Sequence[Alert] = ()
    """Every transition, in the order in which they happened."""
    totals: Totals = field(default_factory=Totals)
    story: str = ""
    """What was played, where it is a demo."""
    rules: Sequence[Rule] = ()
    """The usual alternatives, where it is a backtest."""
