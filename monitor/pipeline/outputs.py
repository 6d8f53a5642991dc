"""Output files that agree with the store: cut on start, written before the commit.

The length of each file travels in the transaction of the batch that wrote it. A process that
dies between write and commit leaves a tail that the next start cuts off, so every line is
there exactly once.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from monitor.pipeline.alerting import Announced
from monitor.pipeline.classify import Classified

logger = logging.getLogger(__name__)


class OutputError(Exception):
    """An output file cannot be written; the message names the fix. Exit 1."""


class Output(Protocol):
    """Lines of one kind (alerts, verdicts, dead letters)."""

    def write(self, lines: Iterable[bytes]) -> None:
        """Add lines (without newline); durable by the next `prepare`."""
        ...

    def prepare(self) -> int | None:
        """Make everything written durable; the length to store, or ``None`` if there is none."""
        ...

    def committed(self) -> None:
        """The batch is in the store."""
        ...

    def cut(self, length: int | None) -> None:
        """The batch was thrown away: go back to the stored `length`."""
        ...

    def close(self) -> None: ...


class FileOutput:
    """A file that is cut to its stored length and continued. No two may write one file."""

    def __init__(self, path: str, stored: int | None) -> None:
        self.path = path
        self._file = _open_alone(path)
        size = self._file.seek(0, os.SEEK_END)
        if stored is not None and size < stored:
            logger.warning("output file is shorter than it was; going on at its end: %s", path)
        self._length = 0
        self.cut(min(size, stored) if stored is not None else size)

    def write(self, lines: Iterable[bytes]) -> None:
        try:
            self._file.writelines(line + b"\n" for line in lines)
        except OSError as error:
            raise self._failed(error) from error

    def prepare(self) -> int | None:
        try:
            self._file.flush()
            if self._file.tell() != self._length:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error
        return self._file.tell()

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.path}: cannot be written ({error.strerror}); make room and start again, "
            "nothing is lost"
        )

    def committed(self) -> None:
        self._length = self._file.tell()

    def cut(self, length: int | None) -> None:
        self._file.flush()
        self._length = self._length if length is None else length
        self._file.truncate(self._length)
        self._file.seek(self._length)

    def close(self) -> None:
        # What a full disk did not take belongs to a batch that is done again.
        with contextlib.suppress(OSError):
            self._file.close()


def _open_alone(path: str) -> BinaryIO:
    """`path`, to be read and written by nobody else: a second writer would cut what it cannot
    know, also where it has a store of its own."""
    if Path(path).exists() and not Path(path).is_file():
        raise OutputError(
            f"{path}: not a regular file, so it cannot be continued after a restart; give a file, "
            "or - for standard output"
        )
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file: BinaryIO = open(path, "r+b" if Path(path).exists() else "w+b")  # noqa: SIM115
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); check the directory's permissions"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise OutputError(
            f"{path}: is being written already; give each process and each kind of line a file "
            "of its own"
        ) from error
    return file


class StandardOutput:
    """Standard output: lines appear once the batch that made them is in the store."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, lines: Iterable[bytes]) -> None:
        self._held.extend(lines)

    def prepare(self) -> int | None:
        return None

    def committed(self) -> None:
        for line in self._held:
            sys.stdout.buffer.write(line + b"\n")
        if self._held:
            sys.stdout.buffer.flush()
        self._held.clear()

    def cut(self, length: int | None) -> None:
        self._held.clear()

    def close(self) -> None:
        """Nothing to release."""


@dataclass(slots=True)
class Outputs:
    """The files a run writes; ``None`` where none was asked for."""

    alerts: Output | None = None
    verdicts: Output | None = None
    dead_letters: Output | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    """Name under which the store keeps each length, by field name."""

    def opened(self) -> list[tuple[str, Output]]:
        named = [(name, getattr(self, name)) for name in ("alerts", "verdicts", "dead_letters")]
        return [(name, output) for name, output in named if output is not None]

    def write(self, classified: Classified | None, announced: Announced) -> None:
        if self.alerts is not None:
            self.alerts.write(announced.lines)
        if classified is None:
            return
        if self.verdicts is not None:
            self.verdicts.write(map(msgspec.json.encode, classified.batch.verdicts()))
        if self.dead_letters is not None:
            self.dead_letters.write(map(msgspec.json.encode, classified.dead_letters))

    def cut(self, stored: Mapping[str, int]) -> None:
        """Go back to the stored lengths: a commit that seemed to fail may have been applied."""
        for name, output in self.opened():
            output.cut(stored.get(self.keys.get(name, "")))

    def prepare(self) -> dict[str, int]:
        lengths = {name: output.prepare() for name, output in self.opened()}
        return {self.keys[name]: size for name, size in lengths.items() if size is not None}


def open_output(path: str, stored: Mapping[str, int]) -> Output:
    """`path`, or ``-`` for standard output; `stored` lengths are by absolute path.

    A file that the store does not know is continued at its end.

    Raises:
        OutputError: it cannot be opened for writing.
    """
    if path == "-":
        return StandardOutput()
    return FileOutput(path, stored.get(output_key(path)))


def output_key(path: str) -> str:
    """The name under which the store keeps the length of `path`."""
    return str(Path(path).absolute())
