"""Two processes on one store: one that was held up between poll and commit, one that took over."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from tests.chaos.harness import Worker
from tests.chaos.stream import traffic, write


def overtaken(
    source: str, folder: Path, point: str, nth: int, mutants: Sequence[str] = ()
) -> tuple[Worker, bool]:
    """The store after a process was held up at `point`, a second one did all the work, and the
    first one went on; and whether its batch was committed."""
    zombie = Worker(folder / "zombie", source, mutants=["no lock", *mutants])
    successor = Worker(folder / "successor", source, zombie.store, mutants=["no lock"])
    run = zombie.start(point, nth, signal.SIGSTOP)
    run.until_stopped()
    successor.run()
    run.send(signal.SIGCONT)
    assert run.wait() == 0, zombie.errors
    notes = zombie.notes()
    held = next(line["stopped"]["batch"] for line in notes if "stopped" in line)
    return successor, {"committed": held} in notes


@pytest.mark.parametrize("point", ["polled", "written"])
def test_a_process_that_comes_back_after_another_took_over_does_no_harm(
    stream: str, whole: Worker, tmp_path: Path, point: str
) -> None:
    store, committed = overtaken(stream, tmp_path, point, nth=20)
    assert not committed
    assert store.contents() == whole.contents()
    assert store.outputs()["alerts"] == whole.outputs()["alerts"]


def test_without_compare_and_set_it_does_harm(stream: str, whole: Worker, tmp_path: Path) -> None:
    store, committed = overtaken(stream, tmp_path, "written", 20, ["no compare-and-set"])
    assert committed
    assert store.contents() != whole.contents()


@pytest.fixture(scope="module")
def ends_in_an_alert(whole: Worker, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """An uninterrupted run over a stream whose end closes the epoch that opens an alert."""
    at = next(alert["at"] for alert in whole.alerts() if alert["alert"] == "Unalignment")
    epoch_end = datetime.fromisoformat(at).timestamp()
    folder = tmp_path_factory.mktemp("short")
    lines = [line for line in traffic() if line.at < epoch_end]
    worker = Worker(folder, str(write(folder / "outputs.jsonl", lines)))
    worker.run()
    assert worker.alerts()[-1]["alert"] == "Unalignment"
    return worker


def test_an_end_of_file_that_another_has_closed_is_not_closed_again(
    ends_in_an_alert: Worker, tmp_path: Path
) -> None:
    """A commit that moves no offset: only the number of the commit tells."""
    store, _ = overtaken(ends_in_an_alert.source, tmp_path, "idle written", nth=2)
    assert store.contents() == ends_in_an_alert.contents()


def test_without_commit_numbers_it_is_closed_again(
    ends_in_an_alert: Worker, tmp_path: Path
) -> None:
    store, _ = overtaken(ends_in_an_alert.source, tmp_path, "idle written", 2, ["no commit number"])
    assert store.contents() != ends_in_an_alert.contents()
