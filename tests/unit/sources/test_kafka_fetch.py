"""A backlog of Kafka is read without pauses; a consumer that never sleeps stands in for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from kafka import TopicPartition

from monitor.sources.kafka import KafkaSource
from monitor.sources.merge import BUFFER_RECORDS


class Record(NamedTuple):
    partition: int
    offset: int
    timestamp: int = 1_700_000_000_000
    value: bytes = b"{}"


class Consumer:
    """One partition with `end` records, of which a poll hands out as many as it is asked for."""

    def __init__(self, end: int) -> None:
        self.end, self.at = end, 0
        self.paused = False
        self.idle: list[int] = []
        """Milliseconds waited in polls that could bring nothing."""
        self.waits: list[int] = []

    def poll(self, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, list[Record]]:
        self.waits.append(timeout_ms)
        if self.paused or self.at == self.end:
            self.idle.append(timeout_ms)
            return {}
        stop = min(self.at + max_records, self.end)
        records = [Record(0, offset) for offset in range(self.at, stop)]
        self.at = stop
        return {TopicPartition("t", 0): records}

    def pause(self, *_: Any) -> None:
        self.paused = True

    def resume(self, *_: Any) -> None:
        self.paused = False

    def highwater(self, _: Any) -> int:
        return self.end

    def position(self, _: Any, timeout_ms: int) -> int:
        return self.at

    def partitions_for_topic(self, _: str) -> set[int]:
        return {0}

    def end_offsets(self, partitions: list[Any], timeout_ms: int) -> dict[Any, int]:
        return dict.fromkeys(partitions, self.end)


def drained(consumer: Consumer) -> list[int]:
    """Offsets in the order handed out."""
    source = KafkaSource(["broker:9092"], "t")
    source._consumer, source._next = consumer, {0: 0}
    offsets: list[int] = []
    while len(offsets) < consumer.end:
        offsets += [record.offset for record in source.poll(1_000, 1.0).records]
    return offsets


def test_a_partition_held_back_is_fetched_again_before_anybody_waits_for_it() -> None:
    consumer = Consumer(3 * BUFFER_RECORDS)
    assert drained(consumer) == list(range(consumer.end))
    assert not any(consumer.idle)


def test_nobody_waits_for_more_while_records_are_here() -> None:
    consumer = Consumer(BUFFER_RECORDS - 1)
    assert drained(consumer) == list(range(consumer.end))
    assert consumer.waits[0] == 1_000
    assert not any(consumer.waits[1:])


def test_the_check_fails_where_a_partition_is_let_go_too_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold_back, let_go = KafkaSource._hold_back, KafkaSource._let_go
    monkeypatch.setattr(KafkaSource, "_let_go", lambda _: None)
    monkeypatch.setattr(
        KafkaSource, "_hold_back", lambda source: (hold_back(source), let_go(source))
    )
    consumer = Consumer(5 * BUFFER_RECORDS)
    drained(consumer)
    assert any(consumer.idle)
