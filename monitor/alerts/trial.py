"""A test alert: proof that a page reaches the person it is meant for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from monitor.alerts.alert import Alert, BreadthLabel, BudgetShare, Evidence, WitnessRates
from monitor.alerts.channels.base import Channel, DeliveryError
from monitor.alerts.lifecycle import dedup_key
from monitor.records import format_time

DEPLOYMENT: Final = "backslide-test"
ALERT: Final = "Test"


def test_alert(at: float) -> tuple[Alert, Alert]:
    """The opening and the end of an incident that is marked as a test in every field a person
    reads. `at`, seconds since 1970, tells one test from the next."""
    opened = Alert(
        event="open",
        alert=ALERT,
        severity="page",
        dedup_key=dedup_key(DEPLOYMENT, ALERT, "", int(at)),
        deployment=DEPLOYMENT,
        artifact="test",
        at=format_time(at) or "",
        opened_at=format_time(at) or "",
        summary="TEST, nothing is wrong: if this were real, a model would have stopped refusing "
        "(per 1,000 interactions refusals fell from 18.2 to 2.1 and answers to high-risk prompts "
        "rose from 11.0 to 19.5). First: nothing; it resolves itself.",
        family="test",
        attribution="test",
        evidence=Evidence(log10=0.0),
        budget=BudgetShare(false_pages=0.0, per_days=90.0, share=0.0),
        witnesses={
            "refused": WitnessRates(before=18.2, after=2.1, n=0),
            "risky_answered": WitnessRates(before=11.0, after=19.5, n=0),
        },
        breadth=BreadthLabel(broad=None),
    )
    resolved = msgspec.structs.replace(
        opened,
        event="resolve",
        summary="TEST is over, nothing was wrong: both the alert and its end (2 of 2) arrived.",
        resolution="test",
    )
    return opened, resolved


test_alert.__test__ = False  # type: ignore[attr-defined]  # not a test of pytest


def send_test(channels: Sequence[Channel], at: float) -> Mapping[str, str]:
    """Send the test alert and its end through every channel, whatever severities it wants;
    returns the error, or an empty string, by channel name."""
    return {channel.name: _send(channel, test_alert(at)) for channel in channels}


def _send(channel: Channel, alerts: Sequence[Alert]) -> str:
    try:
        for alert in alerts:
            channel.send(msgspec.json.encode(alert))
    except DeliveryError as error:
        return str(error)
    return ""
