"""SIGKILL between poll and commit, over the file source."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from monitor.demo.scenarios import traffic
from tests.chaos.harness import POINTS, Worker, contents, replayed_kills

KILLS_PER_POINT = 4


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Traffic in which the model loses its refusals, with some lines that cannot be read."""
    path = tmp_path_factory.mktemp("stream") / "outputs.jsonl"
    healthy = list(islice(traffic("unalignment"), 10_500))
    broken = list(islice(traffic("unalignment"), 18_000, 23_000))
    lines = [json.dumps(row) for row in healthy + broken]
    for place in range(0, len(lines), 500):
        lines.insert(place, '{"id": "unreadable')
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def whole(stream: Path, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """A run that was never interrupted."""
    worker = Worker(tmp_path_factory.mktemp("whole"), str(stream))
    summary = worker.run()
    assert summary["consumed"] == summary["classified"] + sum(summary["dead_lettered"].values())
    assert b'"alert":"Unalignment"' in worker.outputs()["alerts.jsonl"]
    return worker


def test_kills_before_commit_lose_nothing_and_count_nothing_twice(
    stream: Path, whole: Worker, tmp_path: Path
) -> None:
    worker = Worker(tmp_path, str(stream))
    for kill in range(KILLS_PER_POINT * len(POINTS)):
        worker.run(POINTS[kill % len(POINTS)], nth=4)
    worker.run()
    proven = Counter(replayed_kills(worker.polls()))
    assert all(proven[point] >= KILLS_PER_POINT for point in POINTS), proven
    assert worker.outputs() == whole.outputs()
    assert contents(worker.store) == contents(whole.store)


def test_batch_size_leaves_no_trace(stream: Path, whole: Worker, tmp_path: Path) -> None:
    worker = Worker(tmp_path, str(stream), batch_size=1_000)
    worker.run()
    assert worker.outputs() == whole.outputs()
    assert contents(worker.store) == contents(whole.store)


def test_committing_offsets_separately_is_caught(
    stream: Path, whole: Worker, tmp_path: Path
) -> None:
    worker = Worker(tmp_path, str(stream), mutants=["offsets_apart"])
    worker.run("between", nth=5)
    worker.run()
    assert contents(worker.store) != contents(whole.store)


def test_not_cutting_output_files_is_caught(stream: Path, whole: Worker, tmp_path: Path) -> None:
    worker = Worker(tmp_path, str(stream), mutants=["outputs_not_cut"])
    worker.run("written", nth=5)
    worker.run()
    assert worker.outputs() != whole.outputs()
