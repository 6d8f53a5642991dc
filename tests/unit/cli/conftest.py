"""The command line in this process, in a folder of its own, with the answers it should give."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitor.cli.app import execute
from monitor.store import Store, open_store

BACKSLIDE = str(Path(sys.executable).with_name("backslide"))
GOLDEN = Path(__file__).parent / "golden"
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))
"""``UPDATE_GOLDEN=1 pytest tests/unit/cli`` writes the files anew; read the diff."""


@dataclass(frozen=True)
class Answer:
    """What one invocation printed, and its exit code."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


Cli = Callable[..., Answer]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory without variables of ours."""
    for name in [name for name in os.environ if name.startswith("BACKSLIDE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LOGNAME", "someone")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def logs_restored() -> Iterator[None]:
    """Leaves logging as it was: commands set it up for the whole process."""
    loggers = [logging.getLogger(name) for name in (None, "monitor", "classifiers", "kafka")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
def cli(folder: Path, capsys: pytest.CaptureFixture[str], logs_restored: None) -> Cli:
    """Runs ``backslide`` with the words given."""

    def invoke(*words: str) -> Answer:
        code = execute(words)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return invoke


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """A store where commands look for it by default."""
    with closing(open_store("backslide.db")) as opened:
        yield opened


def check_golden(name: str, answer: Answer) -> None:
    """Compare with the committed answer, or write it."""
    path = GOLDEN / f"{name}.txt"
    if UPDATE:
        path.write_text(str(answer), encoding="utf-8")
    assert str(answer) == path.read_text(encoding="utf-8")
