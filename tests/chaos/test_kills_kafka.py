"""SIGKILL between poll and commit, over Kafka."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from monitor.sources import RawRecord
from tests.chaos import stream
from tests.chaos.harness import POINTS, Worker, proven_kills
from tests.chaos.stream import UNREADABLE, traffic
from tests.services.kafka import Kafka

PARTITIONS = 4
WAVES = 8


@pytest.fixture(scope="module")
def url(kafka: Kafka) -> str:
    """A topic of one partition that holds the whole stream."""
    topic = stream.topic(kafka)
    stream.send(kafka, topic, traffic())
    return f"kafka://{kafka.servers}/{topic}"


@pytest.fixture(scope="module")
def whole(url: str, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    worker = Worker(tmp_path_factory.mktemp("whole"), url)
    summary = worker.run()
    assert summary["consumed"] == len(traffic())
    assert "Unalignment" in opened(worker)
    return worker


def opened(worker: Worker) -> dict[str, list[str]]:
    """Dedup keys of the alerts that opened, by name."""
    keys: dict[str, list[str]] = {}
    for alert in worker.alerts():
        if alert["event"] == "open":
            keys.setdefault(alert["alert"], []).append(alert["dedup_key"])
    return keys


def test_kills_on_one_partition_lose_nothing_and_count_nothing_twice(
    url: str, whole: Worker, tmp_path: Path
) -> None:
    worker = Worker(tmp_path, url)
    for point in POINTS:
        worker.kill(point, nth=8)
    worker.run()
    proven = Counter(proven_kills(worker.notes()))
    assert proven == dict.fromkeys(POINTS, 1)
    assert worker.outputs() == whole.outputs()
    assert worker.contents() == whole.contents()


def test_kills_on_four_partitions_lose_nothing_and_count_nothing_twice(
    kafka: Kafka, tmp_path: Path
) -> None:
    """Live traffic in waves, with a kill in each; then a replay in the order that was recorded."""
    topic = stream.topic(kafka, partitions=PARTITIONS)
    worker = Worker(tmp_path / "killed", f"kafka://{kafka.servers}/{topic}")
    lines = traffic()
    sent: list[RawRecord] = []
    for wave in range(WAVES):
        part = lines[len(lines) * wave // WAVES : len(lines) * (wave + 1) // WAVES]
        sent += stream.send(kafka, topic, part, partitions=PARTITIONS)
        worker.kill(POINTS[wave % len(POINTS)], nth=3)
        summary = worker.run()
    assert len(list(proven_kills(worker.notes()))) == WAVES
    assert summary["consumed"] == len(lines)
    assert summary["dead_lettered"] == {"invalid_json": sum(x.value == UNREADABLE for x in lines)}
    assert len(opened(worker)["Unalignment"]) == 1

    recorded = tmp_path / "recorded"
    recorded.write_bytes(msgspec.msgpack.encode(in_recorded_order(worker, sent)))
    replay = Worker(tmp_path / "replay", worker.source, batch_size=1_000, recorded=recorded)
    replay.run()
    assert replay.outputs() == worker.outputs()
    assert replay.contents() == worker.contents()


def in_recorded_order(worker: Worker, sent: list[RawRecord]) -> list[RawRecord]:
    records = {(record.partition, record.offset): record for record in sent}
    order = [tuple(at) for line in worker.notes() for at in line.get("committed", ())]
    assert sorted(order) == sorted(records)
    return [records[partition, offset] for partition, offset in order]
