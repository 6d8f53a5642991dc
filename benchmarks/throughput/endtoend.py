"""From a real broker to committed state, beside consumers that only decode JSON."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.throughput.stages import BATCH
from benchmarks.throughput.timing import Timed
from monitor.config import Config
from monitor.pipeline.assembly import run
from monitor.pipeline.embedded import Progress
from monitor.pipeline.options import RunOptions
from tests.services.kafka import Kafka, running_kafka

WINDOW = 5_000


def from_kafka(lines: Sequence[bytes], *, laps: int) -> Iterator[Timed]:
    """Consumers and the pipeline in turn, over the same topic."""
    with running_kafka() as kafka:
        topic = kafka.create_topic()
        kafka.produce(topic, lines)
        ways: list[Callable[[Kafka, str, int], Timed]] = [kafka_python, embedded]
        if importlib.util.find_spec("confluent_kafka"):
            ways.insert(1, confluent)
        timed = [[way(kafka, topic, len(lines)) for way in ways] for _ in range(laps)]
        for way in zip(*timed, strict=True):
            yield min(way, key=lambda lap: lap.cpu)


def kafka_python(kafka: Kafka, topic: str, n: int) -> Timed:
    """A bare consumer that decodes JSON."""
    from kafka import KafkaConsumer

    consumer: Any = KafkaConsumer(
        topic, bootstrap_servers=kafka.servers, auto_offset_reset="earliest", group_id=None
    )
    with closing(consumer):
        return _consume(
            "kafka-python consumer, json.loads",
            n,
            lambda: [
                record.value
                for records in consumer.poll(1_000, max_records=BATCH).values()
                for record in records
            ],
        )


def confluent(kafka: Kafka, topic: str, n: int) -> Timed:
    """The same in C; reads ahead in threads of its own."""
    from confluent_kafka import Consumer

    consumer: Any = Consumer(
        {
            "bootstrap.servers": kafka.servers,
            "group.id": f"benchmark-{time.monotonic_ns()}",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    with closing(consumer):
        return _consume(
            "confluent-kafka consumer, json.loads",
            n,
            lambda: [message.value() for message in consumer.consume(BATCH, 1.0)],
        )


def _consume(name: str, n: int, poll: Callable[[], list[bytes]]) -> Timed:
    """Time from the first batch to the last: connecting is not the question."""
    first = poll()
    while not first:
        first = poll()
    done, wall, cpu = len(first), time.perf_counter(), time.process_time()
    while done < n:
        values = poll()
        for value in values:
            json.loads(value)
        done += len(values)
    return Timed(name, n - len(first), time.perf_counter() - wall, time.process_time() - cpu)


def embedded(kafka: Kafka, topic: str, n: int) -> Timed:
    """`backslide run` in this process: classify, detect, store, all committed."""
    return _pipeline(f"kafka://{kafka.servers}/{topic}", "embedded pipeline from Kafka", n)


def from_file(lines: Sequence[bytes]) -> Timed:
    """The same from a file."""
    with tempfile.TemporaryDirectory(prefix="backslide-bench-") as folder:
        path = Path(folder) / "outputs.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return _pipeline(str(path), "embedded pipeline from a file", len(lines))


def _pipeline(url: str, name: str, n: int) -> Timed:
    points: list[tuple[int, float, float]] = []

    def note(progress: Progress) -> None:
        consumed = progress.totals.get(("consumed", ""), 0)
        points.append((consumed, time.perf_counter(), time.process_time()))
        if consumed >= n:
            os.kill(os.getpid(), signal.SIGTERM)

    with tempfile.TemporaryDirectory(prefix="backslide-bench-") as folder:
        config = Config.model_validate(
            {
                "source": {"url": url},
                "store": {"url": str(Path(folder) / "store.db")},
                "alerts": {"log": {"enabled": False}},
                "baseline": {"window": str(WINDOW)},
            }
        )
        run(config, RunOptions.of(config, {}), progress=note)
    # What is asked for is the steady state: from the batch on that made the baseline.
    running = [point for point in points[:-1] if point[0] >= WINDOW]
    (first, wall, cpu), (last, wall_end, cpu_end) = (running or points)[0], points[-1]
    return Timed(name, last - first, wall_end - wall, cpu_end - cpu)
