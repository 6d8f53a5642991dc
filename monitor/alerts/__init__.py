"""Alerts: from findings to the people who are told."""

from monitor.alerts.alert import Alert, Links
from monitor.alerts.incidents import Incidents
from monitor.alerts.lifecycle import (
    MAX_UPDATES,
    Lifecycle,
    Transition,
    closing,
    dedup_key,
    mute,
    subject,
)
from monitor.alerts.outbox import OutboxWorker, RetryPolicy
from monitor.alerts.rendering import Context
from monitor.alerts.sentences import sentence
from monitor.alerts.trial import send_test, test_alert

__all__ = [
    "MAX_UPDATES",
    "Alert",
    "Context",
    "Incidents",
    "Lifecycle",
    "Links",
    "OutboxWorker",
    "RetryPolicy",
    "Transition",
    "closing",
    "dedup_key",
    "mute",
    "send_test",
    "sentence",
    "subject",
    "test_alert",
]
