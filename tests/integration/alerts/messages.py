"""Alert lines that the tests of channels send."""

from __future__ import annotations

from typing import Any

from monitor.alerts import Alert, Links
from tests.unit.alerts.findings import Lane, finding

LINKS = Links(runbook="https://docs.example/Unalignment", dashboard="https://grafana.example/d/1")


def lines(*events: str, alert: str = "Unalignment", **changes: Any) -> list[bytes]:
    """One incident as the lifecycle writes it."""
    lane = Lane()
    for event in events:
        lane.feed(finding(alert, event=event, **changes), links=LINKS, baseline="b-1")
    return [t.row.line for t in lane.written]


def alert(**changes: Any) -> Alert:
    lane = Lane()
    transition = lane.feed(finding(**changes), links=LINKS, baseline="b-1")
    assert transition is not None
    return transition.alert
