"""People are told of every incident, and of each under one key only."""

from __future__ import annotations

import json
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.harness import POINTS, Worker, proven_kills
from tests.services.scripted_http import ScriptedServer

Keys = dict[tuple[str, str], list[str]]
"""Dedup keys of what was sent, by alert and event."""


@pytest.fixture
def receiver() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    try:
        yield server
    finally:
        server.stop()


def received(server: ScriptedServer) -> Keys:
    return keys([json.loads(request.body) for request in server.taken])


def keys(alerts: list[dict[str, Any]]) -> Keys:
    found: Keys = defaultdict(list)
    for alert in alerts:
        if alert["severity"] != "info":
            found[alert["alert"], alert["event"]].append(alert["dedup_key"])
    return found


def webhook(server: ScriptedServer) -> dict[str, Any]:
    return {"alerts": {"webhooks": [{"name": "desk", "url": f"{server.url}/alerts"}]}}


def test_a_kill_between_send_and_mark_sends_again_under_the_same_key(
    stream: str, whole: Worker, receiver: ScriptedServer, tmp_path: Path
) -> None:
    worker = Worker(tmp_path, stream, settings=webhook(receiver))
    for fault in ("dies after sending", "dies after sending again"):
        worker.faults = [fault]
        assert worker.start().wait() == -signal.SIGKILL, worker.errors
    worker.faults = ()
    worker.run()
    sent, due = received(receiver), keys(whole.alerts())
    assert {kind: set(found) for kind, found in sent.items()} == {
        kind: set(found) for kind, found in due.items()
    }
    # Both were killed after a delivery that had to be made again.
    assert sum(map(len, sent.values())) == sum(map(len, due.values())) + 2


def test_kills_around_the_commits_that_open_alerts_lose_none(
    stream: str, whole: Worker, receiver: ScriptedServer, tmp_path: Path
) -> None:
    worker = Worker(tmp_path, stream, settings=webhook(receiver), batch_size=512)
    before_the_first = 8
    worker.kill("committed", nth=before_the_first)
    assert not worker.alerts()
    left = len(Path(stream).read_bytes().splitlines()) // 512 - before_the_first
    for point in (*POINTS, "committed") * left:
        worker.kill(point)
    worker.run()
    assert len(list(proven_kills(worker.notes()))) == left * len(POINTS)
    assert worker.outputs() == whole.outputs()
    assert received(receiver).keys() == keys(whole.alerts()).keys()
    assert all(len(set(found)) == 1 for found in received(receiver).values())


def test_an_outbox_apart_from_the_state_is_caught(
    stream: str, whole: Worker, receiver: ScriptedServer, tmp_path: Path
) -> None:
    worker = Worker(tmp_path, stream, settings=webhook(receiver), mutants=["outbox apart"])
    worker.kill("before outbox")
    worker.run()
    assert received(receiver).keys() < keys(whole.alerts()).keys()
