"""Runs that are killed and started again, compared with one that never was."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from monitor.store import schema
from tests.chaos import worker
from tests.chaos.stream import WINDOW

POINTS = ("polled", "classified", "detected", "written", "applied")
"""Points between poll and commit at which a process dies; the last is within the transaction."""

LIMIT = 240.0
"""Seconds after which a run counts as stuck."""

# Imports the program once; every run is then a fork, which starts in no time.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.chaos.worker", "monitor.sources.kafka"])
_started: list[BaseProcess] = []

_WALL_CLOCK = {"committed_at", "changed_at", "created_at", "closed_at", "due_at"}
_NUMBERS = {"id", "number"}
_DELIVERY = {"attempts", "delivered", "error"}
_RANDOM = {"secrets", "outputs"}


@dataclass
class Run:
    """One process under way."""

    process: BaseProcess
    out: Path
    err: Path

    def wait(self) -> int:
        """Its exit code, negative for a signal."""
        self.process.join(LIMIT)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(f"stuck: {self.err.read_text()[-2000:]}")
        return self.process.exitcode

    def until_stopped(self) -> None:
        """Wait for it to stop itself with SIGSTOP."""
        self.until(lambda: _state(self.process.pid) == "T")

    def until(self, reached: Any) -> None:
        deadline = time.monotonic() + LIMIT
        while not reached():
            assert self.process.is_alive(), self.err.read_text()[-2000:]
            assert time.monotonic() < deadline, self.err.read_text()[-2000:]
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, number)


def _state(pid: int | None) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@dataclass
class Worker:
    """A store, the output files beside it, and the notes of all who ran there."""

    folder: Path
    source: str
    store: str = ""
    """URL; by default a file in the folder."""
    batch_size: int = 128
    window: int = WINDOW
    mutants: Sequence[str] = ()
    faults: Sequence[str] = ()
    recorded: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.store = self.store or str(self.folder / "store.db")

    @property
    def notes_file(self) -> Path:
        return self.folder / "notes.jsonl"

    @property
    def errors(self) -> str:
        return (self.folder / "err").read_text()

    def start(self, point: str = "", nth: int = 1, number: signal.Signals = signal.SIGKILL) -> Run:
        """Start a run that gets signal `number` when it is at `point` for the `nth` time."""
        config = {
            "source": {"url": self.source},
            "store": {"url": self.store},
            "privacy": {"key": "the same key in every run"},
            "baseline": {"window": str(self.window)},
            "pipeline": {"batch_size": self.batch_size, "idle_tick": 0},
            **self.settings,
        }
        job = worker.Job(
            config=config,
            files={name: str(self.folder / name) for name in OUTPUTS},
            notes=str(self.notes_file),
            point=point,
            nth=nth,
            signal=number,
            mutants=tuple(self.mutants),
            faults=tuple(self.faults),
            stop_at_end=self.source.startswith("kafka"),
            recorded=str(self.recorded or ""),
        )
        path = self.folder / "job.json"
        path.write_bytes(msgspec.json.encode(job))
        return _start(worker.run, str(path), self.folder)

    def run(self) -> dict[str, Any]:
        """Run to the end; the summary."""
        run = self.start()
        assert run.wait() == 0, self.errors[-4000:]
        summary: dict[str, Any] = json.loads(run.out.read_text().splitlines()[-1])
        return summary

    def kill(self, point: str, nth: int = 1) -> None:
        """Run until it kills itself at `point`."""
        code = self.start(point, nth).wait()
        assert code == -signal.SIGKILL, f"not killed at {point}: {code} {self.errors[-4000:]}"

    def notes(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.notes_file.read_text().splitlines()]

    def outputs(self) -> dict[str, bytes]:
        return {name: (self.folder / name).read_bytes() for name in OUTPUTS}

    def alerts(self) -> list[dict[str, Any]]:
        lines = (self.folder / "alerts").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def opened(self) -> dict[str, list[str]]:
        """Dedup keys of the alerts that opened, by name."""
        keys: dict[str, list[str]] = {}
        for alert in self.alerts():
            if alert["event"] == "open":
                keys.setdefault(alert["alert"], []).append(alert["dedup_key"])
        return keys

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        return contents(self.store)


OUTPUTS = ("alerts", "verdicts", "dead_letters")


def command(folder: Path, *arguments: str) -> Run:
    """Start ``backslide ARGUMENTS``."""
    return _start(worker.command, list(arguments), folder)


def _start(target: Any, what: Any, folder: Path) -> Run:
    out, err = folder / "out", folder / "err"
    process = _processes.Process(target=target, args=(what, str(out), str(err)), daemon=True)
    process.start()
    _started.append(process)
    return Run(process, out, err)


def end_all() -> None:
    """End what a failed test left running."""
    while _started:
        process = _started.pop()
        process.kill()
        process.join()
        process.close()


def proven_kills(notes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The point of each kill that hit a batch which was not committed, and was polled again."""
    for i, line in enumerate(notes):
        if "stopped" not in line:
            continue
        lost = {tuple(record) for record in line["stopped"]["batch"]}
        before, later = notes[:i], notes[i + 1 :]
        if lost and not lost & _records(before, "committed") and lost <= _records(later, "polled"):
            yield line["stopped"]["at"]


def _records(notes: Sequence[Mapping[str, Any]], kind: str) -> set[tuple[int, int]]:
    return {tuple(record) for line in notes for record in line.get(kind, ())}


def contents(store: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every table of a store, without the wall clock, chance, deliveries and batch boundaries."""
    engine = sa.create_engine(store if "://" in store else f"sqlite:///{store}")
    try:
        with engine.connect() as connection:
            return {
                table.name: _rows(connection, table)
                for table in schema.metadata.sorted_tables
                if table.name not in _RANDOM
            }
    finally:
        engine.dispose()


def _rows(connection: sa.Connection, table: sa.Table) -> list[tuple[Any, ...]]:
    if table is schema.windows:
        return _windows(connection)
    ignored = _WALL_CLOCK | _NUMBERS | (_DELIVERY if table is schema.outbox else set())
    if table is schema.alerts:
        # Event time there.
        ignored -= _WALL_CLOCK
    query = sa.select(*(column for column in table.c if column.name not in ignored))
    if table is schema.offsets:
        # Commits are numbered; there are as many as there were batches.
        query = query.where(table.c.source != "commits")
    return sorted(map(tuple, connection.execute(query)), key=repr)


def _windows(connection: sa.Connection) -> list[tuple[Any, ...]]:
    table = schema.windows.c
    joined: dict[str, bytes] = {}
    query = sa.select(table.deployment, table.body).order_by(table.id)
    for deployment, body in connection.execute(query):
        joined[deployment] = joined.get(deployment, b"") + body
    return sorted(joined.items())
