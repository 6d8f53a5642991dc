"""PagerDuty's Events API v2 as its documentation has it, on this machine.

Required fields, enumerations and lengths: https://developer.pagerduty.com/docs/send-alert-event
and the OpenAPI description PagerDuty/api-schema (reference/events-v2). Unknown fields, which
the real service ignores, are refused here: they are our mistakes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.services.scripted_http import Answer, Request, ScriptedServer, make_certificate

ROUTING_KEY = "r0ut1ngk3yr0ut1ngk3yr0ut1ngk3y42"
LARGEST_EVENT = 512 * 1024
ACTIONS = ("trigger", "acknowledge", "resolve")
EVENT_FIELDS = {
    "routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links",
    "images",
}  # fmt: skip
PAYLOAD_FIELDS = {
    "summary", "source", "severity", "timestamp", "component", "group", "class",
    "custom_details",
}  # fmt: skip


class EventsV2Server(ScriptedServer):
    """Takes valid events for `ROUTING_KEY`, and keeps incidents the way the service does."""

    def __init__(self, certificate: tuple[Path, Path]) -> None:
        super().__init__(certificate)
        self.events: list[dict[str, Any]] = []
        self.rejected: list[list[str]] = []
        self.opened: list[str] = []
        """Dedup keys of the incidents, in the order they were opened."""
        self.open: set[str] = set()

    def take(self, request: Request) -> Answer:
        errors = event_errors(request)
        if errors:
            self.rejected.append(errors)
            body = {"status": "invalid event", "message": "Event object is invalid"}
            return _json(400, {**body, "errors": errors})
        event = json.loads(request.body)
        self.taken.append(request)
        self.events.append(event)
        key = event.get("dedup_key") or f"made-here-{len(self.events)}"
        if event["event_action"] == "trigger" and key not in self.open:
            self.open.add(key)
            self.opened.append(key)
        elif event["event_action"] == "resolve":
            self.open.discard(key)
        return _json(202, {"status": "success", "message": "Event processed", "dedup_key": key})

    def actions(self) -> list[tuple[str, str]]:
        """(action, dedup key) of what was taken, in order."""
        return [(e["event_action"], e["dedup_key"]) for e in self.events]


def event_errors(request: Request) -> list[str]:
    """What the service would have against a request; empty if it takes it."""
    if request.path != "/v2/enqueue":
        return [f"no such path {request.path}"]
    if "application/json" not in request.headers.get("Content-Type", ""):
        return ["Content-Type must be application/json"]
    if len(request.body) > LARGEST_EVENT:
        return [f"larger than {LARGEST_EVENT} bytes"]
    try:
        event = json.loads(request.body)
    except ValueError:
        return ["JSON parse error"]
    if not isinstance(event, dict):
        return ["not an object"]
    errors = [f"unknown field {name!r}" for name in sorted(event.keys() - EVENT_FIELDS)]
    if event.get("routing_key") != ROUTING_KEY:
        errors.append("Invalid routing key")
    action = event.get("event_action")
    if action not in ACTIONS:
        errors.append("event_action is not trigger, acknowledge or resolve")
    key = event.get("dedup_key")
    if key is None and action != "trigger":
        errors.append("dedup_key is required")
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= 255):
        errors.append("dedup_key is not a text of 1 to 255 characters")
    if action == "trigger":
        errors += _payload_errors(event.get("payload")) + _link_errors(event)
    return errors


def _payload_errors(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["payload is missing or not an object"]
    errors = [f"unknown field payload.{name}" for name in sorted(payload.keys() - PAYLOAD_FIELDS)]
    for name in ("summary", "source", "severity"):
        if not isinstance(payload.get(name), str) or not payload[name]:
            errors.append(f"payload.{name} is missing or blank")
    if len(str(payload.get("summary"))) > 1024:
        errors.append("payload.summary is longer than 1024 characters")
    if payload.get("severity") not in ("critical", "error", "warning", "info"):
        errors.append("payload.severity is not critical, error, warning or info")
    for name in ("component", "group", "class"):
        if name in payload and not (isinstance(payload[name], str) and payload[name]):
            errors.append(f"payload.{name} is not a text")
    if "timestamp" in payload and not _is_iso_8601(payload["timestamp"]):
        errors.append("payload.timestamp is not an ISO 8601 time with a zone")
    if not isinstance(payload.get("custom_details", {}), dict):
        errors.append("payload.custom_details is not an object")
    return errors


def _link_errors(event: Mapping[str, Any]) -> list[str]:
    errors = []
    for name, required in (("links", "href"), ("images", "src")):
        for item in event.get(name, []):
            url = urlsplit(str(item.get(required))) if isinstance(item, dict) else urlsplit("")
            if url.scheme not in ("http", "https") or not url.netloc:
                errors.append(f"{name} holds an item without a web address as {required}")
    return errors


def _is_iso_8601(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _json(status: int, body: Mapping[str, Any]) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def events_v2(certificate: tuple[Path, Path]) -> Iterator[EventsV2Server]:
    server = EventsV2Server(certificate)
    yield server
    server.stop()
