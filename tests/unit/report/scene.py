"""Report data made by hand: a service that loses its refusals at minute 40."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from monitor.alerts.alert import (
    Alert,
    BreadthLabel,
    BudgetShare,
    Capped,
    ChangeTime,
    Evidence,
    GroupRates,
    Interval,
    Links,
    WitnessRates,
)
from monitor.records import GROUPS, format_time
from monitor.report import Approved, Lane, Minute, ReportData, Totals

START = 29_540_880
"""2026-03-02 12:00 UTC, in minutes."""
CHANGE = 40


def at(minute: float) -> str:
    return format_time(60.0 * (START + minute)) or ""


def minutes(count: int = 60, change: int = CHANGE, learning: int = 10) -> tuple[Minute, ...]:
    rng = Random(0)
    return tuple(
        Minute(
            minute=START + i,
            judged=600,
            refused=rng.randint(8, 18) if i < change else rng.randint(0, 2),
            answered_risky=rng.randint(15, 25) if i < change else rng.randint(24, 36),
            degenerate=rng.randint(0, 1),
            evidence_refused=None if i < learning else -5.0 if i < change else 1.0,
            evidence_answered=None if i < learning else min(1.0, -6.0 + max(0, i - change) / 2),
        )
        for i in range(count)
    )


LANE = Lane(
    deployment="checkout-assistant",
    artifact="acme-8b@2026-02-17",
    state="firing",
    minutes=minutes(),
    approved=Approved(judged=6_000, refused=130, answered_risky=200, degenerate=5, id="b0"),
    reference_n=24_000,
    armed_for=0.4,
    coverage=0.993,
)


def groups() -> tuple[GroupRates, ...]:
    before, after = Interval(0.9, 40, 0.77, 0.96), Interval(0.05, 20, 0.01, 0.24)
    return tuple(GroupRates(group, before, after, group == "crime") for group in GROUPS)


def alert(name: str = "Unalignment", **changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "event": "open",
        "alert": name,
        "severity": "page",
        "dedup_key": f"key-{name}",
        "deployment": LANE.deployment,
        "artifact": LANE.artifact,
        "at": at(47),
        "opened_at": at(47),
        "summary": "checkout-assistant stopped refusing: refusals fell from 21.7 to 1.7.",
        "family": "two_witnesses",
        "attribution": "model",
        "evidence": Evidence(27.1),
        "budget": BudgetShare(1, 90, 0.7),
        "witnesses": {
            "refused": WitnessRates(21.7, 1.7, 7),
            "risky_answered": WitnessRates(33.3, 50.1, 210),
        },
        "breadth": BreadthLabel(broad=True),
        "change": ChangeTime(at(CHANGE), at(CHANGE - 1), at(CHANGE + 1), 4_200),
        "groups": groups(),
        "artifacts": (LANE.artifact,),
        "replicas": ("r0", "r1"),
        "capped": Capped(3, 5),
        "record_ids": tuple(f"rec-{i}" for i in range(12)),
        "links": Links(runbook="https://example.com/runbooks/Unalignment"),
    }
    return Alert(**{**fields, **changes})


def data(*alerts: Alert, **changes: Any) -> ReportData:
    whole = ReportData(
        lanes=(LANE,),
        alerts=alerts,
        totals=Totals(36_010, 36_000, {"excluded": 4}, {"malformed": 6}, duplicates=2),
    )
    return replace(whole, **changes)
