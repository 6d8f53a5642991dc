"""The stream of the fault tests and what an uninterrupted run makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.harness import Worker, end_all
from tests.chaos.stream import UNREADABLE, send, topic, traffic, write
from tests.services.kafka import Kafka


@pytest.fixture(autouse=True)
def _nothing_runs_on() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture(scope="session")
def stream(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write(tmp_path_factory.mktemp("stream") / "outputs.jsonl", traffic()))


@pytest.fixture(scope="session")
def whole(stream: str, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """A run that was never interrupted, and had something to find."""
    worker = Worker(tmp_path_factory.mktemp("whole"), stream)
    summary = worker.run()
    lines = Path(stream).read_bytes().splitlines()
    assert summary["consumed"] == len(lines)
    assert summary["dead_lettered"] == {"invalid_json": lines.count(UNREADABLE)}
    assert {"Unalignment", "UnapprovedArtifact"} <= worker.opened().keys()
    return worker


@pytest.fixture(scope="session")
def topic_url(kafka: Kafka) -> str:
    """A topic of one partition that holds the stream."""
    name = topic(kafka)
    send(kafka, name, traffic())
    return f"kafka://{kafka.servers}/{name}"


@pytest.fixture(scope="session")
def whole_topic(topic_url: str, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """A run over that topic that was never interrupted."""
    worker = Worker(tmp_path_factory.mktemp("whole-topic"), topic_url)
    summary = worker.run()
    assert summary["consumed"] == len(traffic())
    assert {"Unalignment", "UnapprovedArtifact"} <= worker.opened().keys()
    return worker
