"""A folder with a store, and the command line run in it."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from monitor.cli.app import execute
from monitor.demo.scenarios import HEALTHY, traffic

BACKSLIDE = str(Path(sys.executable).with_name("backslide"))
WINDOW = 10_000
ARTIFACT = "acme-8b@2026-02-17"
DEADLINE = 120.0

Record = dict[str, Any]


@cache
def _records() -> list[Record]:
    return list(islice(traffic("unalignment"), HEALTHY + 3_500))


def healthy(first: int, last: int) -> list[Record]:
    """Records of the model as it was approved; up to 14,000 there are."""
    return [dict(record) for record in _records()[first:last]]


def changed(n: int) -> list[Record]:
    """The first records after the model lost its refusals; up to 3,500 there are."""
    return [dict(record) for record in _records()[HEALTHY : HEALTHY + n]]


def lines_of(records: Iterable[object]) -> bytes:
    """Records as lines; bytes stay what they are."""
    return b"".join(
        (r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in records
    )


@dataclass(frozen=True)
class Ran:
    """What one invocation printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        assert found["schema"] == "backslide.summary/1"
        return found

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def adds_up(summary: dict[str, Any]) -> bool:
    parts = (summary["classified"], *summary["skipped"].values(),
             *summary["dead_lettered"].values())  # fmt: skip
    return bool(summary["consumed"] == sum(parts))


@contextmanager
def _logging_restored() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (None, "monitor", "classifiers", "kafka")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    try:
        yield
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers


@dataclass
class Place:
    """Where runs happen: ``store.db``, sources and output files, all in `folder`."""

    folder: Path
    files: Sequence[str] = ("alerts", "verdicts", "dead-letters")
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def path(self, name: str) -> Path:
        return self.folder / name

    def write(self, name: str, records: Iterable[object], *, append: bool = False) -> Path:
        path = self.path(name)
        with path.open("ab" if append else "wb") as file:
            file.write(lines_of(records))
        return path

    def config(self, text: str) -> tuple[str, str]:
        """Global options that name a file with `text`."""
        self.path("backslide.yaml").write_text(text)
        return "--config", str(self.path("backslide.yaml"))

    def cli(self, *words: str) -> Ran:
        """``backslide WORDS`` in this process."""
        raw, err = io.BytesIO(), io.StringIO()
        out = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
        with _logging_restored(), redirect_stdout(out), redirect_stderr(err):
            code = execute(words)
        out.flush()
        return Ran(code, raw.getvalue().decode(), err.getvalue())

    def on_store(self, *words: str) -> Ran:
        """A command that takes ``--store``."""
        return self.cli(*words, "--store", str(self.path("store.db")))

    def words(self, source: str, *more: str, before: Sequence[str] = ()) -> list[str]:
        named = source if source == "-" else str(self.path(source))
        words = [*before, "run", "--source", named, "--store", str(self.path("store.db"))]
        for kind in self.files:
            words += [f"--{kind}", str(self.path(f"{kind}.jsonl"))]
        return [*words, "--baseline-window", str(WINDOW), *more]

    def run(self, source: str, *more: str, before: Sequence[str] = ()) -> Ran:
        """``backslide run`` in this process; it must not fail."""
        ran = self.cli(*self.words(source, *more, before=before))
        assert ran.code not in (1, 2, 6), ran.err
        assert adds_up(ran.summary)
        return ran

    def start(
        self, source: str, *more: str, before: Sequence[str] = (), stdin: Any = None
    ) -> subprocess.Popen[str]:
        """``backslide run`` in a process of its own."""
        with self.path("log.txt").open("w") as log:
            process = subprocess.Popen(
                [BACKSLIDE, *self.words(source, *more, before=before)],
                text=True,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
            )
        self.running.append(process)
        return process

    def stop(self, process: subprocess.Popen[str]) -> Ran:
        """SIGTERM, and what it says last."""
        process.send_signal(signal.SIGTERM)
        return self.finish(process)

    def finish(self, process: subprocess.Popen[str]) -> Ran:
        out, _ = process.communicate(timeout=DEADLINE)
        return Ran(process.returncode, out, self.path("log.txt").read_text())

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.communicate()

    # What came out

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The lines of an output file that are complete."""
        path = self.path(f"{name}.jsonl")
        raw = path.read_bytes() if path.exists() else b""
        return [json.loads(line) for line in raw[: raw.rfind(b"\n") + 1].splitlines()]

    def alerts(self, event: str = "open") -> list[tuple[str, str, str]]:
        """(alert, severity, artifact) of every line with `event`."""
        return [
            (x["alert"], x["severity"], x["artifact"])
            for x in self.lines("alerts")
            if x["event"] == event
        ]

    def opened(self) -> list[str]:
        return [alert for alert, _, _ in self.alerts()]

    def key_of(self, alert: str) -> str:
        return next(x["dedup_key"] for x in self.lines("alerts") if x["alert"] == alert)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path("store.db"))) as connection:
            return connection.execute(query).fetchall()

    def totals(self) -> dict[tuple[str, str], int]:
        return {(n, label): count for n, label, count in
                self.rows("SELECT name, label, count FROM totals")}  # fmt: skip

    def baselines(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.on_store("baseline", "list", "--output", "json").json
        return found

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Until `condition` holds; the run started last must go on meanwhile."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert self.running[-1].poll() is None, self.path("log.txt").read_text()
            assert time.monotonic() < deadline, f"{what}: not within {DEADLINE:.0f} s"
            time.sleep(0.05)

    def wait_for_verdicts(self, n: int) -> None:
        self.wait_for(f"{n} verdicts", lambda: len(self.lines("verdicts")) >= n)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def without_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BACKSLIDE_")}
