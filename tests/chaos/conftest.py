"""The stream of the fault tests and what an uninterrupted run makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.harness import Worker
from tests.chaos.stream import UNREADABLE, traffic, write


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
    opened = {alert["alert"] for alert in worker.alerts() if alert["event"] == "open"}
    assert {"Unalignment", "UnapprovedArtifact"} <= opened
    return worker
