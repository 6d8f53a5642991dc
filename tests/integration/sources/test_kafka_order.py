"""A backlog over several partitions is read in the order of time, from a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from monitor.sources.kafka import KafkaSource
from monitor.sources.merge import TimeMerge
from tests.services.kafka import Kafka

PARTITIONS = 4
EACH = 3_000
START = 1_772_000_000.0


@contextmanager
def backlog(kafka: Kafka) -> Iterator[KafkaSource]:
    topic = kafka.create_topic(partitions=PARTITIONS)
    producer = kafka.producer
    for i in range(PARTITIONS * EACH):
        producer.send(
            topic, b"x" * 200, partition=i % PARTITIONS, timestamp_ms=int((START + i) * 1000)
        )
    producer.flush()
    source = KafkaSource([kafka.servers], topic)
    try:
        source.start({})
        yield source
    finally:
        source.close()


def ingest_times(source: KafkaSource) -> list[float]:
    times: list[float] = []
    for _ in range(500):
        times += [record.ingest for record in source.poll(500, 1.0).records]
        if len(times) == PARTITIONS * EACH:
            return times
    raise AssertionError(f"only {len(times)} records were read")


def test_after_an_outage_event_time_does_not_leap_to_the_end(kafka: Kafka) -> None:
    with backlog(kafka) as source:
        times = ingest_times(source)
    assert times == sorted(times)


def test_reading_partitions_as_they_come_would_be_noticed(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_they_come(self: TimeMerge, most: int, starving: object) -> list[object]:
        queue = next(q for q in self._waiting.values() if q)
        return [queue.popleft() for _ in range(min(most, len(queue)))]

    with backlog(kafka) as source:
        monkeypatch.setattr(TimeMerge, "take", as_they_come)
        times = ingest_times(source)
    assert times != sorted(times)
