"""The alert as it is written, one line of JSON for each transition (schema of DESIGN 8)."""

from __future__ import annotations

from typing import Final

import msgspec

SCHEMA: Final = "backslide.alert/1"


class Evidence(msgspec.Struct, frozen=True):
    log10: float


class BudgetShare(msgspec.Struct, frozen=True):
    """The false-page budget behind the alarm: `false_pages` per `per_days`; `share` of it."""

    false_pages: float
    per_days: float
    share: float


class WitnessRates(msgspec.Struct, frozen=True):
    """Per 1,000 interactions, before and after; `n` events since the change."""

    before: float
    after: float
    n: int


class BreadthLabel(msgspec.Struct, frozen=True):
    broad: bool | None
    """``None``: not yet known."""
    groups: tuple[str, ...] = ()


class ChangeTime(msgspec.Struct, frozen=True):
    """RFC 3339, event time."""

    at: str
    earliest: str
    latest: str
    records_since: int


class Interval(msgspec.Struct, frozen=True):
    rate: float
    n: int
    low: float
    high: float


class GroupRates(msgspec.Struct, frozen=True):
    group: str
    before: Interval
    after: Interval
    flagged: bool


class ModelEvent(msgspec.Struct, frozen=True):
    """A deploy, prompt or config change that somebody announced near the change."""

    at: str
    kind: str
    artifact: str
    by: str


class Capped(msgspec.Struct, frozen=True):
    """Records that deduplication left out, by what they repeated."""

    source: int = 0
    template: int = 0


class Links(msgspec.Struct, frozen=True):
    runbook: str = ""
    dashboard: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One transition of one alert. Holds no wall clock, path, random value or text."""

    schema: str = SCHEMA
    event: str
    """``open``, ``update`` or ``resolve``."""
    alert: str
    severity: str
    """``page``, ``ticket`` or ``info``."""
    dedup_key: str
    deployment: str
    artifact: str
    at: str
    opened_at: str
    summary: str
    family: str
    attribution: str
    evidence: Evidence
    budget: BudgetShare
    witnesses: dict[str, WitnessRates] = {}
    """``refused`` and ``risky_answered``; ``degenerate`` or ``blocked`` where it is about that."""
    breadth: BreadthLabel = BreadthLabel(broad=None)
    change: ChangeTime | None = None
    groups: tuple[GroupRates, ...] = ()
    artifacts: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()
    events: tuple[ModelEvent, ...] = ()
    capped: Capped = Capped()
    record_ids: tuple[str, ...] = ()
    baseline: str = ""
    provisional: bool = False
    links: Links = Links()
    resolution: str = ""
