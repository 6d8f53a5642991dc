"""Alerts as lines on standard error, for people with nothing but a terminal."""

from __future__ import annotations

import json
import sys
from typing import TextIO

import msgspec

from monitor.alerts.alert import Alert
from monitor.alerts.channels.base import Permanent, Retryable, at_least
from monitor.alerts.channels.settings import LogSettings


class LogChannel:
    """One line per transition: ``ALERT page open Unalignment deployment="x" ... : sentence``,
    or a JSON object.

    Args:
        stream: instead of standard error.
    """

    def __init__(self, settings: LogSettings, stream: TextIO | None = None) -> None:
        self.name = settings.name
        self._settings = settings
        self._stream = stream

    def wants(self, severity: str) -> bool:
        return at_least(severity, self._settings.min_severity)

    def send(self, alert: bytes) -> None:
        try:
            parsed = msgspec.json.decode(alert, type=Alert)
        except msgspec.DecodeError:
            raise Permanent(f"{self.name}: this is not an alert") from None
        line = _json(parsed) if self._settings.format == "json" else _text(parsed)
        stream = self._stream or sys.stderr
        try:
            stream.write(f"{line}\n")
            stream.flush()
        except (OSError, ValueError) as error:
            raise Retryable(f"{self.name}: {type(error).__name__} on writing") from None

    def close(self) -> None:
        """Nothing: the stream is not ours."""


def _text(alert: Alert) -> str:
    return (
        f"ALERT {alert.severity} {alert.event} {alert.alert} "
        f"deployment={json.dumps(alert.deployment)} at={alert.at} key={alert.dedup_key}: "
        f"{alert.summary}"
    )


def _json(alert: Alert) -> str:
    level = "info" if alert.event == "resolve" or alert.severity == "info" else "error"
    return json.dumps(
        {
            "level": level,
            "logger": "backslide.alerts",
            "message": alert.summary,
            "event": alert.event,
            "alert": alert.alert,
            "severity": alert.severity,
            "deployment": alert.deployment,
            "artifact": alert.artifact,
            "at": alert.at,
            "dedup_key": alert.dedup_key,
        }
    )
