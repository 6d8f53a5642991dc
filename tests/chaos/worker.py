"""A run in a process of its own that kills itself, with SIGKILL, where it is told to.

It notes every batch that it polls and commits and, before it dies, where it died and with which
batch in hand: from these notes the harness proves that each kill hit a batch between poll and
commit, and that the batch was done again.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import msgspec

from monitor import cli
from monitor.config import Config
from monitor.pipeline import assembly
from monitor.pipeline.options import RunOptions
from monitor.sources.base import Position, RawBatch, RawRecord
from monitor.store import writes
from tests.chaos import faults, mutants
from tests.chaos.patches import put


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run. At the `nth` time that it reaches `point` it sends itself `signal`. Points without
    records in hand are called ``idle ...``."""

    config: dict[str, Any]
    files: dict[str, str]
    notes: str
    point: str = ""
    nth: int = 1
    signal: int = signal.SIGKILL
    mutants: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    stop_at_end: bool = False
    """A topic has no end: stop once everything was read and counted."""
    recorded: str = ""
    """Read the records of this file, in their order, instead of the source."""


class Witness:
    """Watches one run from inside, writes the notes, and ends the process where it is due."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.reached = 0
        self.batch: list[list[int]] = []

    def note(self, what: str, line: Any) -> None:
        # One write to a file opened for appending: a note is there whole or not at all.
        with Path(self.job.notes).open("ab", buffering=0) as notes:
            notes.write(json.dumps({what: line}).encode() + b"\n")

    def checkpoint(self, point: str) -> None:
        if not self.batch:
            point = f"idle {point}"
        if point == "committed":
            self.note("committed", self.batch)
            self.batch = []
        self.reached += point == self.job.point
        if point == self.job.point and self.reached == self.job.nth:
            self.note("stopped", {"at": point, "batch": self.batch})
            os.kill(os.getpid(), self.job.signal)

    def source(self, opened: Any) -> Any:
        """`opened`, noting what it hands out."""
        poll, start = opened.poll, opened.start

        def started(positions: Any) -> None:
            self.batch = []
            start(positions)

        def noted(max_records: int, timeout: float) -> RawBatch:
            batch: RawBatch = poll(max_records, timeout)
            self.batch = [[r.partition, r.offset] for r in batch.records]
            if self.batch:
                self.note("polled", self.batch)
            elif self.job.stop_at_end and opened.at_end:
                os.kill(os.getpid(), signal.SIGTERM)
            return batch

        opened.poll, opened.start = noted, started
        return opened


class Recorded:
    """Records in an order noted earlier, in the place of the source they came from."""

    exhausted = False

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.left = msgspec.msgpack.decode(Path(path).read_bytes(), type=list[RawRecord])

    @property
    def at_end(self) -> bool:
        return not self.left

    def poll(self, max_records: int, _: float) -> RawBatch:
        records, self.left = self.left[:max_records], self.left[max_records:]
        return RawBatch(records, (), {r.partition: Position(r.offset + 1) for r in records})

    def ignore(self, *_: Any) -> None:
        """Nothing to connect to, to pause or to tell."""

    start = acknowledge = pause = resume = close = ignore


def run(job_file: str, out: str, err: str) -> None:
    """Do the job, with standard output and error in files. Called in a new process."""
    print_to(out, err)
    job = msgspec.json.decode(Path(job_file).read_bytes(), type=Job)
    witness = Witness(job)

    def open_source(original: Any) -> Any:
        def opened(*args: Any, **options: Any) -> Any:
            source = original(*args, **options)
            return witness.source(Recorded(source.name, job.recorded) if job.recorded else source)

        return opened

    def apply(original: Any) -> Any:
        def applied(connection: Any, commit: Any, now: float) -> None:
            original(connection, commit, now)
            # Inside the transaction, with everything written and nothing committed.
            witness.checkpoint("applied")

        return applied

    put(assembly, "open_source", open_source)
    put(writes, "apply", apply)
    mutants.install(job.mutants, witness.checkpoint)
    faults.install(job.faults)
    config = Config.model_validate(job.config)
    options = RunOptions.of(config, job.files)
    result = assembly.run(config, options, checkpoint=witness.checkpoint)
    print(result.summary.to_line(), flush=True)


def command(arguments: list[str], out: str, err: str) -> None:
    """``backslide ARGUMENTS``, with standard output and error in files."""
    print_to(out, err)
    cli.main(arguments)


def print_to(out: str, err: str) -> None:
    for path, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
