"""``backslide run`` as operators meet it: started twice, told to stop, started again."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chaos.harness import Run, Worker, command, contents
from tests.chaos.stream import UNREADABLE, traffic, write


class Backslide:
    """``backslide run`` on one file and one store; every run has a folder for what it prints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = str(folder / "store.db")
        self.source = folder / "outputs.jsonl"
        self.config = folder / "backslide.yaml"
        self.config.write_text(
            yaml.safe_dump({"pipeline": {"idle_tick": 0}, "baseline": {"window": "500"}})
        )
        self.runs = 0

    def start(self, *options: str, verdicts: str = "verdicts.jsonl") -> Run:
        self.runs += 1
        place = self.folder / f"run{self.runs}"
        place.mkdir()
        where = ["--source", str(self.source), "--store", self.store]
        files = ["--verdicts", str(self.folder / verdicts)]
        return command(place, "--config", str(self.config), "run", *where, *files, *options)

    def follow(self) -> Run:
        """A run that has committed all there is and waits for more."""
        run = self.start("--follow")
        run.until(lambda: len(self.verdicts()) == self.readable and self.consumed() == self.lines)
        return run

    @property
    def lines(self) -> int:
        return len(self.source.read_bytes().splitlines())

    @property
    def readable(self) -> int:
        return self.lines - self.source.read_bytes().splitlines().count(UNREADABLE)

    def verdicts(self) -> list[str]:
        path = self.folder / "verdicts.jsonl"
        return path.read_text().splitlines() if path.exists() else []

    def consumed(self) -> int:
        return sum(n for name, _, n in contents(self.store)["totals"] if name == "consumed")


def summary(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.out.read_text().splitlines()[-1])
    return found


@pytest.fixture
def backslide(tmp_path: Path) -> Backslide:
    made = Backslide(tmp_path)
    write(made.source, traffic(800, 0))
    return made


def test_a_second_run_on_a_store_leaves_at_once_and_changes_nothing(backslide: Backslide) -> None:
    first = backslide.follow()
    before = contents(backslide.store), backslide.verdicts()
    second = backslide.start()
    assert second.wait() == 6
    assert "another process runs on store" in second.err.read_text()
    assert second.out.read_text() == ""
    assert (contents(backslide.store), backslide.verdicts()) == before

    first.send(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    third = backslide.start()
    assert third.wait() == 0, third.err.read_text()
    assert summary(third)["consumed"] == backslide.lines
    assert backslide.verdicts() == before[1]


def test_two_stores_cannot_write_one_file(backslide: Backslide) -> None:
    first = backslide.follow()
    before = backslide.verdicts()
    second = backslide.start("--store", f"{backslide.store}2")
    assert second.wait() == 1
    assert "is being written already" in second.err.read_text()
    assert backslide.verdicts() == before
    first.send(signal.SIGTERM)
    assert first.wait() == 0


def test_sigterm_commits_what_was_read_and_a_restart_goes_on(backslide: Backslide) -> None:
    first = backslide.follow()
    first.send(signal.SIGTERM)
    assert first.wait() == 0, first.err.read_text()
    assert summary(first)["consumed"] == backslide.lines
    with backslide.source.open("ab") as more:
        more.write(b"".join(line.value + b"\n" for line in traffic(400, 0, seed=1)))
    second = backslide.start()
    assert second.wait() == 0, second.err.read_text()
    assert summary(second)["consumed"] == backslide.lines
    assert len(backslide.verdicts()) == backslide.readable


def test_a_file_that_was_deleted_unread_opens_a_ticket(backslide: Backslide) -> None:
    first = backslide.follow()
    first.send(signal.SIGKILL)
    first.wait()
    backslide.source.unlink()
    write(backslide.source, traffic(100, 0, seed=1))
    alerts = backslide.folder / "alerts.jsonl"
    second = backslide.start("--follow", "--alerts", str(alerts))
    second.until(lambda: alerts.exists() and alerts.read_text())
    ticket = json.loads(alerts.read_text().splitlines()[0])
    assert (ticket["alert"], ticket["severity"]) == ("RecordsLost", "ticket")
    assert "an unknown number of records" in ticket["summary"]
    second.send(signal.SIGTERM)
    assert second.wait() == 0


@pytest.mark.parametrize("point", ["polled", "written"])
def test_sigterm_in_the_middle_of_a_batch_finishes_it(
    stream: str, whole: Worker, tmp_path: Path, point: str
) -> None:
    worker = Worker(tmp_path, stream)
    stopped = worker.start(point, 20, signal.SIGTERM)
    assert stopped.wait() == 0, worker.errors
    notes = worker.notes()
    held = next(line["stopped"]["batch"] for line in notes if "stopped" in line)
    assert notes[-1] == {"committed": held}
    read = sum(len(line["polled"]) for line in notes if "polled" in line)
    assert summary(stopped)["consumed"] == read
    worker.run()
    assert worker.outputs() == whole.outputs()
    assert worker.contents() == whole.contents()
