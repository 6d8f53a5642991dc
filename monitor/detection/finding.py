"""What detection says: numbers about a change, without wording, delivery or identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Event = Literal["open", "update", "resolve"]
Severity = Literal["page", "ticket", "info"]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % interval, over `n` trials."""

    rate: float
    n: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GroupChange:
    """Refusals among the risky prompts (bins b >= 1) of one hazard group."""

    group: str
    before: Rate
    after: Rate
    flagged: bool


@dataclass(frozen=True, slots=True)
class Witness:
    """One count per 1,000 interactions before and after; `n` events since the change."""

    before: float
    after: float
    n: int


@dataclass(frozen=True, slots=True)
class Breadth:
    """How far over hazard groups a change reaches."""

    label: Literal["broad", "one group", "not yet known"]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """When it began, event time in seconds, with the range that the data allow."""

    at: float
    earliest: float
    latest: float
    records_since: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One transition of one alarm of one lane."""

    alert: str
    """``Unalignment``, ``DegenerateOutput``, ``TrafficShift``, ``RiskyAnswers``, ..."""
    event: Event
    severity: Severity
    at: float
    """Event time of the end of the epoch, seconds."""
    family: str
    """``two_witnesses``, ``up_test``, ..."""
    direction: str = ""
    """``down`` or ``up`` where an alert has both."""
    group: str = ""
    attribution: str = ""
    """``model``, ``traffic``, ``model and traffic``, ``undecided``."""
    evidence_log10: float = 0.0
    budget_share: float = 0.0
    budget_days: float = 0.0
    refused: Witness | None = None
    risky_answered: Witness | None = None
    degenerate: Witness | None = None
    blocked: Witness | None = None
    """For ``FilterChange``."""
    breadth: Breadth | None = None
    change: Change | None = None
    groups: tuple[GroupChange, ...] = ()
    replicas: tuple[str, ...] = ()
    record_ids: tuple[str, ...] = ()
    capped: tuple[int, int] = (0, 0)
    provisional: bool = False
    resolution: str = ""
    """For ``resolve``: ``recovered``, ``approved``, ``operator``, ``superseded``."""
    notes: tuple[str, ...] = field(default=())
    """Codes of further remarks: ``traffic_moved``, ``reference_moved``, ``gateway_traffic``."""
