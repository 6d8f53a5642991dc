"""What holds for every channel, whatever it talks to."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from monitor.alerts import send_test
from monitor.alerts.channels import (
    Channel,
    ChannelError,
    LogChannel,
    LogSettings,
    PagerDutySettings,
    Permanent,
    Retryable,
    WebhookSettings,
    open_channels,
)
from monitor.alerts.channels.settings import LogFormat
from monitor.detection.finding import Severity
from tests.integration.alerts.messages import lines
from tests.services.events_v2 import ROUTING_KEY, EventsV2Server
from tests.services.scripted_http import ScriptedServer

SECRETS = (ROUTING_KEY, ROUTING_KEY[-4:], "t0ken-MARKER", "s3cret-MARKER", "path-MARKER")


@dataclass
class Rig:
    """A channel and what its receiver saw."""

    make: Callable[[Severity], Channel]
    received: Callable[[], list[str]]
    """All that came through, as text, one item per delivery."""
    break_it: Callable[[], None]
    """The next delivery fails for a passing reason."""


class BrokenPipe(io.StringIO):
    broken = False

    def write(self, text: str) -> int:
        if self.broken:
            self.broken = False
            raise BrokenPipeError("MARKER-PROMPT")
        return super().write(text)


@pytest.fixture(params=["log", "webhook", "pagerduty"])
def rig(request: pytest.FixtureRequest) -> Rig:
    make: Callable[[], Rig] = request.getfixturevalue(f"{request.param}_rig")
    return make()


@pytest.fixture
def log_rig() -> Callable[[], Rig]:
    def rig() -> Rig:
        stream = BrokenPipe()

        def break_it() -> None:
            stream.broken = True

        return Rig(
            lambda least: LogChannel(LogSettings(min_severity=least), stream),
            lambda: stream.getvalue().splitlines(),
            break_it,
        )

    return rig


@pytest.fixture
def webhook_rig(receiver: ScriptedServer) -> Callable[[], Rig]:
    def make(least: Severity) -> Channel:
        settings = WebhookSettings(
            url=f"{receiver.url}/path-MARKER",
            token="t0ken-MARKER",
            secret="s3cret-MARKER",
            min_severity=least,
            timeout=1.0,
        )
        return open_channels([settings])[0]

    return lambda: Rig(
        make,
        lambda: [request.body.decode() for request in receiver.taken],
        lambda: receiver.answers.append("close"),
    )


@pytest.fixture
def pagerduty_rig(events_v2: EventsV2Server, certificate: tuple[Path, Path]) -> Callable[[], Rig]:
    def make(least: Severity) -> Channel:
        settings = PagerDutySettings(
            routing_key=ROUTING_KEY,
            url=events_v2.url,
            ca_file=certificate[0],
            min_severity=least,
            timeout=1.0,
        )
        return open_channels([settings])[0]

    return lambda: Rig(
        make,
        lambda: [request.body.decode() for request in events_v2.taken],
        lambda: events_v2.answers.append("close"),
    )


@pytest.fixture
def channel(rig: Rig) -> Iterator[Channel]:
    made = rig.make("info")
    yield made
    made.close()


def test_an_incident_arrives_under_one_key_from_beginning_to_end(
    rig: Rig, channel: Channel
) -> None:
    incident = lines("open", "update", "resolve")
    for line in incident:
        channel.send(line)
    key = msgspec.json.decode(incident[0])["dedup_key"]
    received = rig.received()
    assert len(received) == 3
    assert all(key in one for one in received)


def test_sending_twice_is_recognisable_as_one_incident(rig: Rig, channel: Channel) -> None:
    (line,) = lines("open")
    channel.send(line)
    channel.send(line)
    first, second = rig.received()
    assert first == second


def test_a_passing_failure_can_be_tried_again_with_the_same_channel(
    rig: Rig, channel: Channel
) -> None:
    (line,) = lines("open")
    rig.break_it()
    with pytest.raises(Retryable):
        channel.send(line)
    channel.send(line)
    assert len(rig.received()) == 1


def test_no_error_names_a_secret_an_address_or_the_content(rig: Rig, channel: Channel) -> None:
    rig.break_it()
    with pytest.raises(Retryable) as caught:
        channel.send(lines("open")[0])
    told = f"{caught.value} {caught.value!r}"
    assert told.startswith(channel.name)
    assert not any(secret in told for secret in (*SECRETS, "127.0.0.1", "MARKER", "refusals"))
    assert caught.value.__suppress_context__
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("least", ["info", "ticket", "page"])
def test_who_wants_a_severity_wants_the_worse_ones(rig: Rig, least: Severity) -> None:
    made = rig.make(least)
    order = ["info", "ticket", "page"]
    assert [made.wants(s) for s in order] == [s in order[order.index(least) :] for s in order]
    made.close()


def test_the_test_alert_gets_through_whatever_the_channel_wants(rig: Rig) -> None:
    made = rig.make("page")
    assert send_test([made], 1_772_546_700.0) == {made.name: ""}
    assert len(rig.received()) == 2
    made.close()


@pytest.mark.parametrize("rig", ["log", "pagerduty"], indirect=True)
def test_a_line_that_is_no_alert_is_given_up_not_tried_for_hours(
    rig: Rig, channel: Channel
) -> None:
    with pytest.raises(Permanent) as caught:
        channel.send(b'{"schema": "MARKER-PROMPT"')
    assert str(caught.value) == f"{channel.name}: this is not an alert"
    assert rig.received() == []


def test_every_alert_is_taken(rig: Rig, channel: Channel) -> None:
    from tests.unit.alerts.findings import ALERTS

    sent = [line for alert in ALERTS for line in lines("open", "update", "resolve", alert=alert)]
    for line in sent:
        channel.send(line)
    assert len(rig.received()) == len(sent)


def test_without_any_receiver_alerts_still_reach_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (channel,) = open_channels([LogSettings()])
    channel.send(lines("open")[0])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith('ALERT page open Unalignment deployment="assistant-prod" at=')


def test_two_channels_of_one_name_are_refused() -> None:
    with pytest.raises(ChannelError, match="two channels are called 'log'; rename one"):
        open_channels([LogSettings(), LogSettings()])


def test_settings_do_not_show_their_secrets() -> None:
    shown = repr(
        [
            PagerDutySettings(routing_key=ROUTING_KEY),
            WebhookSettings(url="https://x/path-MARKER", token="t0ken-MARKER", secret="MARKER"),
        ]
    )
    assert not any(secret in shown for secret in (*SECRETS, "MARKER"))


def test_a_log_line_cannot_be_forged_by_a_deployments_name() -> None:
    from tests.unit.alerts.findings import Lane, finding

    lane = Lane(deployment='x"\nALERT page open Fake deployment="y\x1b[2J')
    transition = lane.feed(finding())
    assert transition is not None
    forms: tuple[LogFormat, ...] = ("text", "json")
    for form in forms:
        stream = io.StringIO()
        LogChannel(LogSettings(format=form), stream).send(transition.row.line)
        written = stream.getvalue()
        assert written.count("\n") == 1
        assert written.rstrip("\n").isprintable()
        if form == "json":
            assert msgspec.json.decode(written)["alert"] == "Unalignment"
