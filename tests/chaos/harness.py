"""Runs that are killed and started again, compared with one that never was."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tests.chaos.worker import Job

POINTS = ("polled", "classified", "detected", "written")
"""Commit points: after poll, before the transaction."""

WALL_CLOCK = {"committed_at", "changed_at", "created_at", "closed_at", "due_at"}
IGNORED_TABLES = {"secrets", "alembic_version", "windows", "sqlite_sequence", "outputs"}
"""Made at random, of the schema, or (windows) dropped once a baseline is there."""


@dataclass
class Worker:
    """One place to run in: a store, its output files, and notes of what was polled."""

    folder: Path
    source: str
    idle_tick: float = 0.0
    batch_size: int = 256
    stop_at_end: bool = False
    mutants: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.folder / "store.db"

    @property
    def alerts(self) -> Path:
        return self.folder / "alerts.jsonl"

    @property
    def notes(self) -> Path:
        return self.folder / "notes.jsonl"

    def job(self, point: str = "", nth: int = 1) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = {
            "source": {"url": self.source},
            "store": {"url": str(self.store)},
            "privacy": {"key": "the same key in every run"},
            "baseline": {"window": "10000"},
            "pipeline": {"batch_size": self.batch_size, "idle_tick": self.idle_tick},
            **self.settings,
        }
        files = {
            "alerts": str(self.alerts),
            "verdicts": str(self.folder / "verdicts.jsonl"),
            "dead_letters": str(self.folder / "dead.jsonl"),
        }
        path = self.folder / "job.json"
        job = Job(
            config=config,
            files=files,
            notes=str(self.notes),
            point=point,
            nth=nth,
            mutants=tuple(self.mutants),
            stop_at_end=self.stop_at_end,
        )
        path.write_bytes(msgspec.json.encode(job))
        return path

    def start(self, point: str = "", nth: int = 1) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.chaos.worker", str(self.job(point, nth))]
        return subprocess.Popen(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, point: str = "", nth: int = 1) -> dict[str, Any]:
        """Run to the end, or until it kills itself at `point`; the summary, or nothing."""
        process = self.start(point, nth)
        out, err = process.communicate(timeout=240)
        if point:
            assert process.returncode == -signal.SIGKILL, f"not killed at {point}: {err}"
            return {}
        assert process.returncode == 0, err
        summary: dict[str, Any] = json.loads(out.splitlines()[-1])
        return summary

    def polls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.notes.read_text().splitlines()]

    def outputs(self) -> dict[str, bytes]:
        names = ("alerts.jsonl", "verdicts.jsonl", "dead.jsonl")
        return {name: (self.folder / name).read_bytes() for name in names}


def replayed_kills(notes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The point of each kill whose batch was polled again, from its first offset on."""
    for i, line in enumerate(notes):
        if "killed" not in line:
            continue
        lost = notes[i - 1]["polled"]
        again = {tuple(offset) for later in notes[i + 1 :] for offset in later.get("polled", ())}
        if all(tuple(offset) in again for offset in lost):
            yield line["killed"]


def contents(store: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every table of a store, without what depends on the wall clock or on batch boundaries."""
    found = {}
    connection = sqlite3.connect(store)
    try:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            if table in IGNORED_TABLES:
                continue
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info('{table}')")]
            kept = [c for c in columns if c not in WALL_CLOCK and not (table == "outbox" and c == "id")]
            names = ", ".join(f'"{c}"' for c in kept)
            where = " WHERE source != 'commits'" if table == "offsets" else ""
            rows = connection.execute(f"SELECT {names} FROM '{table}'{where}").fetchall()
            found[table] = sorted(rows, key=repr)
    finally:
        connection.close()
    return found
