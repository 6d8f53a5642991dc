"""What brokers and topics do to a run."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaError

from tests.chaos import stream
from tests.chaos.harness import Worker, command
from tests.chaos.stream import traffic
from tests.services.kafka import Kafka


@pytest.mark.parametrize("end", [Kafka.stop, Kafka.kill], ids=["stopped", "killed"])
def test_a_broker_that_goes_away_and_comes_back_costs_nothing(
    kafka: Kafka, topic_url: str, whole_topic: Worker, tmp_path: Path, end: Any
) -> None:
    worker = Worker(tmp_path, topic_url)
    run = worker.start("classified", 10, signal.SIGSTOP)
    run.until_stopped()
    end(kafka)
    run.send(signal.SIGCONT)
    # It counts what it has fetched and then waits for the broker.
    run.until(lambda: "trying again" in worker.errors)
    kafka.start()
    assert run.wait() == 0, worker.errors
    assert worker.outputs() == whole_topic.outputs()
    assert worker.contents() == whole_topic.contents()


@pytest.mark.parametrize("fault", ["commits refused", "answers lost"])
def test_a_store_that_fails_for_a_while_costs_nothing(
    topic_url: str, whole_topic: Worker, tmp_path: Path, fault: str
) -> None:
    worker = Worker(tmp_path, topic_url, faults=[fault])
    worker.run()
    assert "is done again" in worker.errors
    assert worker.outputs() == whole_topic.outputs()
    assert worker.contents() == whole_topic.contents()


def test_sigterm_in_the_middle_of_a_batch_finishes_it(
    topic_url: str, whole_topic: Worker, tmp_path: Path
) -> None:
    worker = Worker(tmp_path, topic_url)
    stopped = worker.start("polled", 20, signal.SIGTERM)
    assert stopped.wait() == 0, worker.errors
    notes = worker.notes()
    assert notes[-1] == {"committed": notes[-2]["stopped"]["batch"]}
    worker.run()
    assert worker.outputs() == whole_topic.outputs()
    assert worker.contents() == whole_topic.contents()


def test_poison_in_a_topic_is_counted_and_passed(kafka: Kafka, tmp_path: Path) -> None:
    topic = stream.topic(kafka)
    good = [line.value for line in traffic(60, 0) if line.value != stream.UNREADABLE]
    poison: dict[str, list[bytes | None]] = {
        "null_value": [None, None],
        "invalid_json": [b""],
        "invalid_utf8": [b"\x00\xff" * 40],
        "too_deep": [b"{" * 50_000],
        "too_large": [b'"' + b"x" * 5_000_000 + b'"'],
        "not_an_object": [b"[1, 2]"],
    }
    kafka.produce(topic, good[:30])
    kafka.produce(topic, [value for values in poison.values() for value in values])
    kafka.produce(topic, good[30:])
    worker = Worker(tmp_path, f"kafka://{kafka.servers}/{topic}")
    summary = worker.run()
    assert summary["dead_lettered"] == {reason: len(values) for reason, values in poison.items()}
    assert summary["classified"] == len(good)
    assert summary["consumed"] == len(good) + sum(map(len, poison.values()))


def test_records_that_the_topic_lost_are_counted_and_told(kafka: Kafka, tmp_path: Path) -> None:
    lines = traffic(600, 0)
    topic = stream.topic(kafka)
    worker = Worker(tmp_path, f"kafka://{kafka.servers}/{topic}")
    stream.send(kafka, topic, lines[:300])
    worker.run()
    stream.send(kafka, topic, lines[300:])
    kafka.delete_records(topic, before=400)
    summary = worker.run()
    assert summary["consumed"] == len(lines) - 100
    assert ("lost", "", 100) in worker.contents()["totals"]
    (ticket,) = [alert for alert in worker.alerts() if alert["alert"] == "RecordsLost"]
    assert ticket["severity"] == "ticket"
    assert "100" in ticket["summary"]


def test_a_topic_shorter_than_what_was_read_stops_the_run(kafka: Kafka, tmp_path: Path) -> None:
    topic = stream.topic(kafka)
    url = f"kafka://{kafka.servers}/{topic}"
    worker = Worker(tmp_path, url)
    stream.send(kafka, topic, traffic(60, 0))
    worker.run()
    before = worker.contents()
    make_anew(kafka, topic)
    stream.send(kafka, topic, traffic(30, 0))
    run = command(tmp_path, "run", "--source", url, "--store", worker.store)
    assert run.wait() == 6
    assert "before offset" in run.err.read_text()
    assert worker.contents() == before


def make_anew(kafka: Kafka, topic: str) -> None:
    kafka.admin.delete_topics([topic])
    deadline = time.monotonic() + 30
    while True:
        try:
            kafka.create_topic(topic, config={"retention.ms": "-1"})
        except KafkaError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return
