"""From the lifecycle through a real store to a PagerDuty that fails in every way it can."""

from __future__ import annotations

import io
import logging
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from monitor.alerts import Lifecycle, OutboxWorker
from monitor.alerts.channels import (
    Channel,
    LogChannel,
    LogSettings,
    PagerDutySettings,
    WebhookSettings,
    open_channels,
)
from monitor.store import Commit, SqlStore, open_store
from tests.services.events_v2 import ROUTING_KEY, EventsV2Server
from tests.services.scripted_http import Answer, ScriptedServer
from tests.unit.alerts.findings import AT, Lane, finding

T0 = 1e9
"""Wall clock of these tests."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    database: str = request.getfixturevalue("postgres_database")
    return database


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    with closing(open_store(url)) as opened:
        yield opened


@pytest.fixture
def pagerduty(events_v2: EventsV2Server, certificate: tuple[Path, Path]) -> Iterator[Channel]:
    settings = PagerDutySettings(
        routing_key=ROUTING_KEY, url=events_v2.url, ca_file=certificate[0], timeout=0.3
    )
    (channel,) = open_channels([settings])
    yield channel
    channel.close()


def write_incident(store: SqlStore, channels: list[Channel], *events: str) -> str:
    """Put an incident into the store, a commit per transition; returns its dedup key."""
    lane = Lane(lifecycle=Lifecycle(channels))
    for i, event in enumerate(events):
        transition = lane.feed(finding(event=event, at=AT + 10 * i, resolution="recovered"))
        assert transition is not None
        store.commit(Commit(alerts=[transition.row], outbox=transition.outbox), now=T0 + i)
    return lane.written[0].alert.dedup_key


def deliver_all(worker: OutboxWorker, store: SqlStore) -> None:
    """Turn the clock until nothing is left."""
    now = T0 + 100
    while store.outbox_backlog()[0]:
        worker.deliver_once(now)
        now += 0.5
        assert now < T0 + 100_000


def test_the_trigger_arrives_before_the_resolve_however_it_fails(
    store: SqlStore, pagerduty: Channel, events_v2: EventsV2Server
) -> None:
    key = write_incident(store, [pagerduty], "open", "update", "resolve")
    events_v2.answers.extend([Answer(503), "close", "hang", Answer(429), "garbage"])
    worker = OutboxWorker(store, [pagerduty], rng=random.Random(3))
    deliver_all(worker, store)
    actions = events_v2.actions()
    assert [a for a, _ in actions] == ["trigger", "trigger", "trigger", "resolve"]
    assert {k for _, k in actions} == {key}
    assert events_v2.opened == [key]
    assert events_v2.open == set()
    assert worker.counts == {("retried", "pagerduty"): 5, ("delivered", "pagerduty"): 3}


def test_a_kill_between_sending_and_marking_makes_no_second_incident(
    url: str,
    store: SqlStore,
    pagerduty: Channel,
    events_v2: EventsV2Server,
    certificate: tuple[Path, Path],
) -> None:
    key = write_incident(store, [pagerduty], "open", "resolve")
    for _ in range(2):
        killed = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.integration.alerts.killed_sender",
                url,
                events_v2.url,
                str(certificate[0]),
            ],
            timeout=60,
        )
        assert killed.returncode == -signal.SIGKILL
    assert store.outbox_backlog()[0] == 2
    deliver_all(OutboxWorker(store, [pagerduty]), store)
    assert [a for a, _ in events_v2.actions()] == ["trigger"] * 3 + ["resolve"]
    assert events_v2.opened == [key]
    assert events_v2.open == set()


def test_a_receiver_that_lost_its_own_answer_makes_no_second_incident(
    store: SqlStore, pagerduty: Channel, events_v2: EventsV2Server
) -> None:
    key = write_incident(store, [pagerduty], "open")
    events_v2.answers.append("take and close")
    deliver_all(OutboxWorker(store, [pagerduty]), store)
    assert len(events_v2.events) == 2
    assert events_v2.opened == [key]


def test_a_refused_trigger_is_kept_and_named(
    store: SqlStore, pagerduty: Channel, events_v2: EventsV2Server
) -> None:
    key = write_incident(store, [pagerduty], "open")
    events_v2.answers.append(Answer(400))
    deliver_all(OutboxWorker(store, [pagerduty]), store)
    (failed,) = store.failed_deliveries()
    assert (failed.dedup_key, failed.error) == (key, "pagerduty: HTTP 400")


def test_the_thread_delivers_from_a_real_store_while_the_detector_commits(
    store: SqlStore, pagerduty: Channel, events_v2: EventsV2Server
) -> None:
    worker = OutboxWorker(store, [pagerduty], pause=0.02)
    worker.start()
    try:
        key = write_incident(store, [pagerduty], "open", "update", "resolve")
        worker.wake()
        deadline = time.monotonic() + 20
        while store.outbox_backlog()[0] and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        assert worker.stop(limit=5.0)
    assert [k for _, k in events_v2.actions()] == [key] * 3
    assert store.outbox_backlog() == (0, None)


def test_planted_markers_come_out_nowhere(
    store: SqlStore,
    pagerduty: Channel,
    events_v2: EventsV2Server,
    receiver: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever else a finding, a receiver or an exception holds stays where it is."""
    terminal = io.StringIO()
    (webhook,) = open_channels(
        [WebhookSettings(url=f"{receiver.url}/MARKER-URL", token="MARKER-T", secret="MARKER-S")]
    )
    channels = [LogChannel(LogSettings(), terminal), webhook, pagerduty]
    lane = Lane(lifecycle=Lifecycle(channels))
    with caplog.at_level(logging.DEBUG):
        for event in ("open", "update", "resolve"):
            transition = lane.feed(finding(event=event, notes=("MARKER-NOTE",)))
            assert transition is not None
            store.commit(Commit(alerts=[transition.row], outbox=transition.outbox), now=T0)
        for server in (receiver, events_v2):
            server.answers.append(Answer(503, b"MARKER-BODY", {"X-Marker": "MARKER-HEADER"}))
            server.answers.append(Answer(400, b"MARKER-BODY"))
        deliver_all(OutboxWorker(store, channels), store)
    webhook.close()
    written = [
        terminal.getvalue(),
        caplog.text,
        *(r.body.decode() for r in [*receiver.taken, *events_v2.taken]),
        *(f.error for f in store.failed_deliveries()),
        *(row.line.decode() for row in store.alerts()),
    ]
    assert len(store.failed_deliveries()) == 2
    assert [line for text in written for line in text.splitlines() if "MARKER" in line] == []
    for text in (terminal.getvalue(), caplog.text, *(r.body.decode() for r in receiver.taken)):
        assert ROUTING_KEY[-4:] not in text


def test_the_stored_line_is_the_line_that_was_sent(
    store: SqlStore, pagerduty: Channel, events_v2: EventsV2Server
) -> None:
    write_incident(store, [pagerduty], "open")
    deliver_all(OutboxWorker(store, [pagerduty]), store)
    (row,) = store.alerts()
    sent = events_v2.events[0]["payload"]
    stored = msgspec.json.decode(row.line)
    assert (sent["summary"], sent["timestamp"]) == (stored["summary"], stored["at"])
