"""PagerDuty: right events, bounded tries, no secrets."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.alerts.channels import (
    ChannelError,
    PagerDutyChannel,
    PagerDutySettings,
    Permanent,
    Retryable,
)
from monitor.alerts.channels.pagerduty import REGIONS
from tests.integration.alerts.messages import LINKS, alert, lines
from tests.services.events_v2 import ROUTING_KEY, EventsV2Server
from tests.services.scripted_http import Answer

Make = Callable[..., PagerDutyChannel]
OPEN, UPDATE, RESOLVE = lines("open", "update", "resolve", resolution="recovered")


@pytest.fixture
def pagerduty(events_v2: EventsV2Server, certificate: tuple[Path, Path]) -> Iterator[Make]:
    made = []

    def make(**settings: Any) -> PagerDutyChannel:
        defaults = {
            "routing_key": ROUTING_KEY,
            "url": events_v2.url,
            "ca_file": certificate[0],
            "timeout": 1.0,
        }
        made.append(PagerDutyChannel(PagerDutySettings(**{**defaults, **settings})))
        return made[-1]

    yield make
    for channel in made:
        channel.close()


def test_an_incident_is_opened_once_updated_and_closed(
    pagerduty: Make, events_v2: EventsV2Server
) -> None:
    channel = pagerduty()
    for line in (OPEN, OPEN, UPDATE):
        channel.send(line)
    key = msgspec.json.decode(OPEN)["dedup_key"]
    assert events_v2.opened == [key]
    assert events_v2.open == {key}
    channel.send(RESOLVE)
    assert events_v2.opened == [key]
    assert events_v2.open == set()
    assert [action for action, _ in events_v2.actions()] == ["trigger"] * 3 + ["resolve"]


def test_the_event_says_what_the_alert_says(pagerduty: Make, events_v2: EventsV2Server) -> None:
    pagerduty().send(OPEN)
    (event,) = events_v2.events
    said = msgspec.json.decode(OPEN)
    payload = event["payload"]
    assert payload["summary"] == said["summary"]
    assert payload["timestamp"] == said["at"] == "2026-03-03T14:05:00.000Z"
    assert payload["source"] == "assistant-prod"
    assert payload["component"] == "llama@1"
    assert payload["class"] == "Unalignment"
    details = payload["custom_details"]
    assert details["witnesses"] == said["witnesses"]
    assert details["groups"] == said["groups"]
    assert details["change"] == said["change"]
    assert event["links"] == [
        {"href": LINKS.runbook, "text": "Runbook"},
        {"href": LINKS.dashboard, "text": "Dashboard"},
    ]


@pytest.mark.parametrize(
    ("ours", "theirs"), [("page", "critical"), ("ticket", "warning"), ("info", "info")]
)
def test_urgency_is_kept(
    pagerduty: Make, events_v2: EventsV2Server, ours: str, theirs: str
) -> None:
    pagerduty().send(msgspec.json.encode(alert(severity=ours)))
    assert events_v2.events[0]["payload"]["severity"] == theirs


def test_events_of_any_size_and_name_stay_inside_the_limits(
    pagerduty: Make, events_v2: EventsV2Server
) -> None:
    channel = pagerduty()
    for changes in (
        {"deployment": "d" * 9000, "artifact": "a" * 9000, "summary": "s" * 9000},
        {"deployment": "", "artifact": "", "summary": ""},
        {"deployment": "\n\t\x00", "artifact": "\x1b", "summary": "\x7f"},
        {"record_ids": ("x" * 100_000,) * 20},
        {"replicas": ("\x01" * 100_000,) * 20},
        {"links": msgspec.structs.replace(LINKS, runbook="docs/x.md", dashboard="javascript:1")},
    ):
        channel.send(msgspec.json.encode(msgspec.structs.replace(alert(), **changes)))
    assert events_v2.rejected == []
    assert len(events_v2.events) == 6
    assert events_v2.events[-1]["links"] == []


def test_a_wrong_routing_key_is_given_up_without_being_shown(
    pagerduty: Make, events_v2: EventsV2Server, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "MARKERMARKERMARKERMARKERMARKER42"
    with caplog.at_level(logging.DEBUG), pytest.raises(Permanent) as caught:
        pagerduty(routing_key=wrong).send(OPEN)
    assert str(caught.value) == "pagerduty: HTTP 400"
    assert events_v2.rejected == [["Invalid routing key"]]
    assert "MARKER" not in caplog.text


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_final_refusals_are_final(pagerduty: Make, events_v2: EventsV2Server, status: int) -> None:
    events_v2.answers.append(Answer(status, b'{"message": "' + ROUTING_KEY.encode() + b'"}'))
    with pytest.raises(Permanent) as caught:
        pagerduty().send(OPEN)
    assert str(caught.value) == f"pagerduty: HTTP {status}"
    assert len(events_v2.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_one_delivery_is_one_attempt_and_never_sleeps(
    pagerduty: Make, events_v2: EventsV2Server, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_sleep(seconds: float) -> None:
        raise AssertionError(f"slept {seconds} s inside a delivery")

    monkeypatch.setattr(time, "sleep", no_sleep)
    events_v2.answers.append(Answer(status, headers={"Retry-After": "30"}))
    channel = pagerduty()
    with pytest.raises(Retryable) as caught:
        channel.send(OPEN)
    assert str(caught.value) == f"pagerduty: HTTP {status}"
    assert caught.value.after == 30.0
    assert len(events_v2.requests) == 1
    channel.send(OPEN)
    assert len(events_v2.events) == 1


@pytest.mark.parametrize(
    ("misbehaviour", "said"),
    [
        ("hang", "ReadTimeout"),
        ("close", "RemoteProtocolError"),
        ("take and close", "RemoteProtocolError"),
        ("garbage", "ServerHttpError|unreadable answer"),
    ],
)
def test_a_server_that_does_not_answer_properly_is_tried_again_later(
    pagerduty: Make,
    events_v2: EventsV2Server,
    misbehaviour: Any,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_sleep(seconds: float) -> None:
        raise AssertionError(f"slept {seconds} s inside a delivery")

    monkeypatch.setattr(time, "sleep", no_sleep)
    events_v2.answers.append(misbehaviour)
    channel = pagerduty(timeout=0.3)
    with pytest.raises(Retryable, match=said):
        channel.send(OPEN)
    assert len(events_v2.requests) == 1
    channel.send(OPEN)
    assert len(events_v2.opened) == 1


def test_a_server_with_a_strange_certificate_gets_no_routing_key(
    pagerduty: Make, events_v2: EventsV2Server
) -> None:
    with pytest.raises(Retryable, match="ConnectError"):
        pagerduty(ca_file=None).send(OPEN)
    assert events_v2.requests == []


def test_the_routing_key_comes_from_its_file(
    pagerduty: Make, events_v2: EventsV2Server, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(f"{ROUTING_KEY}\n")
    pagerduty(routing_key="", routing_key_file=file).send(OPEN)
    assert len(events_v2.events) == 1


def test_regions_are_those_of_the_service() -> None:
    for region, address in REGIONS.items():
        channel = PagerDutyChannel(
            PagerDutySettings(routing_key=ROUTING_KEY, region=region)  # type: ignore[arg-type]
        )
        assert channel._client.url == address
        channel.close()
    assert REGIONS["eu"] == "https://events.eu.pagerduty.com"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"routing_key": ""}, "routing_key: not an integration key"),
        ({"routing_key": "MARKER"}, "routing_key: not an integration key"),
        ({"routing_key_file": Path("does/not/exist")}, "routing_key_file: cannot read"),
        ({"url": "http://127.0.0.1"}, "url: PagerDuty is reached by https only"),
        ({"ca_file": Path("does/not/exist")}, "ca_file: cannot use"),
    ],
)
def test_a_wrong_setting_is_named_with_its_fix_and_without_its_value(
    settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ChannelError, match=said) as caught:
        PagerDutyChannel(PagerDutySettings(**{"routing_key": ROUTING_KEY, **settings}))
    assert "MARKER" not in str(caught.value)
    assert ";" in str(caught.value)
