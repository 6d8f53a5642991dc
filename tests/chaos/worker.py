"""A run in a process of its own that kills itself, with SIGKILL, where it is told to.

``python -m tests.chaos.worker JOB`` reads the job (JSON). It notes every batch it polls and,
before it dies, where it died: the harness compares these notes to prove that each kill hit a
batch that was then done again.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from monitor.config import Config
from monitor.pipeline import assembly
from monitor.pipeline.options import RunOptions
from monitor.sources.base import RawBatch
from tests.chaos import mutants


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run; with `point`, it dies at the `nth` time that point is reached."""

    config: dict[str, Any]
    files: dict[str, str]
    notes: str
    point: str = ""
    nth: int = 1
    mutants: tuple[str, ...] = ()
    stop_at_end: bool = False
    """A topic has no end: stop once everything was read and counted."""


def note(path: str, line: dict[str, Any]) -> None:
    with Path(path).open("a") as notes:
        notes.write(json.dumps(line) + "\n")
        notes.flush()
        os.fsync(notes.fileno())


def watched(job: Job, original: Callable[..., Any]) -> Callable[..., Any]:
    """`open_source`, whose source notes what it hands out."""

    def open_source(*args: Any, **options: Any) -> Any:
        source = original(*args, **options)
        poll = source.poll

        def noted(max_records: int, timeout: float) -> RawBatch:
            batch: RawBatch = poll(max_records, timeout)
            if batch.records:
                offsets = [[r.partition, r.offset] for r in batch.records]
                note(job.notes, {"polled": offsets})
            elif job.stop_at_end and source.at_end:
                os.kill(os.getpid(), signal.SIGTERM)
            return batch

        source.poll = noted
        return source

    return open_source


def main() -> None:
    job = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Job)
    assembly.open_source = watched(job, assembly.open_source)  # type: ignore[attr-defined]
    reached = 0

    def checkpoint(point: str) -> None:
        nonlocal reached
        reached += point == job.point
        if point == job.point and reached == job.nth:
            note(job.notes, {"killed": point})
            os.kill(os.getpid(), signal.SIGKILL)

    mutants.install(job.mutants, checkpoint)
    config = Config.model_validate(job.config)
    result = assembly.run(config, RunOptions.of(config, job.files), checkpoint=checkpoint)
    print(result.summary.to_line())


if __name__ == "__main__":
    main()
