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


@pytest.mark.parametrize("each", [1, pytest.param(20, marks=pytest.mark.chaos)])
def test_kills_on_one_partition_lose_nothing_and_count_nothing_twice(
    topic_url: str, whole_topic: Worker, tmp_path: Path, each: int
) -> None:
    """`each` kills at every point, spread over the whole stream."""
    kills = POINTS * each
    worker = Worker(tmp_path, topic_url, batch_size=len(traffic()) // (len(kills) + 2))
    for point in kills:
        worker.kill(point, nth=2)
    worker.run()
    assert Counter(proven_kills(worker.notes())) == dict.fromkeys(POINTS, each)
    assert worker.outputs() == whole_topic.outputs()
    assert worker.contents() == whole_topic.contents()


@pytest.mark.parametrize("waves", [8, pytest.param(80, marks=pytest.mark.chaos)])
def test_kills_on_four_partitions_lose_nothing_and_count_nothing_twice(
    kafka: Kafka, tmp_path: Path, waves: int
) -> None:
    """Live traffic in waves, with a kill in each; then a replay in the order that was recorded."""
    topic = stream.topic(kafka, partitions=PARTITIONS)
    url = f"kafka://{kafka.servers}/{topic}"
    worker = Worker(tmp_path / "killed", url, batch_size=1_000 // waves)
    lines = traffic()
    sent: list[RawRecord] = []
    for wave in range(waves):
        part = lines[len(lines) * wave // waves : len(lines) * (wave + 1) // waves]
        sent += stream.send(kafka, topic, part, partitions=PARTITIONS)
        worker.kill(POINTS[wave % len(POINTS)], nth=3)
        summary = worker.run()
    assert len(list(proven_kills(worker.notes()))) == waves
    assert summary["consumed"] == len(lines)
    assert summary["dead_lettered"] == {"invalid_json": sum(x.value == UNREADABLE for x in lines)}
    assert len(worker.opened()["Unalignment"]) == 1

    recorded = tmp_path / "recorded"
    recorded.write_bytes(msgspec.msgpack.encode(in_recorded_order(worker, sent)))
    replay = Worker(tmp_path / "replay", url, batch_size=1_000, recorded=recorded)
    replay.run()
    assert replay.outputs() == worker.outputs()
    assert replay.contents() == worker.contents()


def in_recorded_order(worker: Worker, sent: list[RawRecord]) -> list[RawRecord]:
    records = {(record.partition, record.offset): record for record in sent}
    order = [tuple(at) for line in worker.notes() for at in line.get("committed", ())]
    assert sorted(order) == sorted(records)
    return [records[partition, offset] for partition, offset in order]
