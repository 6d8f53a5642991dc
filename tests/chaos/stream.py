"""Traffic for the fault tests: little of it, but with everything that must survive a fault.

A model that refuses a fifth of what it is asked, until it does not; a second deployment that is
still being learned at the end; an unknown artifact; records that are late, undated, unreadable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from monitor.demo import corpus
from monitor.records import format_time
from monitor.sources import RawRecord
from tests.services.kafka import Kafka

START = datetime(2025, 3, 3, 12, 0, tzinfo=UTC).timestamp()
WINDOW = 3_400
"""Records of a deployment from which its baseline is learned."""
HEALTHY, CHANGED = 4_000, 1_400
"""Records of the deployment ``chat`` before and after its model loses its refusals."""
UNREADABLE = b'{"id": "cut off in the mid'


class Line(NamedTuple):
    """A record as sent, and when: seconds since 1970."""

    value: bytes
    at: float


def traffic(
    healthy: int = HEALTHY, changed: int = CHANGED, *, rate: float = 10.0, seed: int = 0
) -> list[Line]:
    """The stream, `rate` records of ``chat`` a second; the same for the same arguments."""
    rng = Random(seed)
    lines: list[Line] = []
    now = START
    for i, row in enumerate(exchanges(healthy, changed, rng)):
        now += rng.expovariate(rate)
        record = {"id": f"chat-{i}", "deployment": "chat", "model": "m", **row}
        record["revision"] = "2" if i >= healthy and i % 40 == 0 else "1"
        record["user"] = f"u-{rng.randrange(900)}"
        record["replica"] = f"pod-{rng.randrange(3)}"
        if i % 50 != 7:
            record["timestamp"] = format_time(now - (90 if i % 60 == 11 else 0))
        lines.append(Line(json.dumps(record).encode(), now))
        if i % 6 == 0:
            # Sent to another deployment as well, whose window never fills.
            other = record | {"id": f"search-{i}", "deployment": "search"}
            lines.append(Line(json.dumps(other).encode(), now))
        if i % 97 == 0:
            lines.append(Line(UNREADABLE, now))
    return lines


def exchanges(healthy: int, changed: int, rng: Random) -> Iterator[dict[str, Any]]:
    """Prompts, every fifth risky, with replies of a model that stops refusing them."""
    risky, ordinary = corpus.risky_prompts(rng), corpus.ordinary_exchanges(rng)
    for i in range(healthy + changed):
        if rng.random() < 0.2:
            asked = next(risky)
            refused = rng.random() < (0.95 if i < healthy else 0.02)
            reply = corpus.refusal(asked, rng) if refused else corpus.empty_outline(rng)
            yield {"prompt": asked.text, "response": reply}
        else:
            prompt, reply = next(ordinary)
            yield {"prompt": prompt, "response": reply}


def write(path: Path, lines: list[Line]) -> Path:
    path.write_bytes(b"".join(line.value + b"\n" for line in lines))
    return path


def topic(kafka: Kafka, *, partitions: int = 1) -> str:
    """A new topic from which the years that pass delete nothing."""
    return kafka.create_topic(partitions=partitions, config={"retention.ms": "-1"})


def send(kafka: Kafka, topic: str, lines: list[Line], *, partitions: int = 1) -> list[RawRecord]:
    """Send `lines` in turn to the partitions; the broker notes the time of each line. Returns
    them as a reader of the topic gets them."""
    stamps = [int(line.at * 1000) for line in lines]
    sent = [
        kafka.producer.send(topic, line.value, partition=i % partitions, timestamp_ms=stamp)
        for i, (line, stamp) in enumerate(zip(lines, stamps, strict=True))
    ]
    kafka.producer.flush()
    taken = [future.get(timeout=30) for future in sent]
    return [
        RawRecord(line.value, there.partition, there.offset, stamp / 1000)
        for line, stamp, there in zip(lines, stamps, taken, strict=True)
    ]
