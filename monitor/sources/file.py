"""Records from a file of JSON Lines, read once or followed through growth and rotation."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import stat
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from monitor.sources import rotation
from monitor.sources.base import Position, PositionConflict, RawBatch, SourceError
from monitor.sources.lines import MAX_RECORD_BYTES, LineBatch, LineSplitter

_CHUNK: Final = 256 * 1024
_HEAD: Final = 1024
_UNREADABLE: Final = (OSError, EOFError, zlib.error)
_log = logging.getLogger(__name__)


class _Cursor(msgspec.Struct):
    """Where in which file to go on. `head` is the hash of its first `head_bytes` bytes."""

    byte: int
    device: int = 0
    inode: int = 0
    head: str = ""
    head_bytes: int = 0


class FileSource:
    """Reads a file of JSON Lines; offsets are line numbers over the life of the source.

    Followed, it waits for a file that is not there yet, reads a renamed file to its end before
    it turns to the new one, and starts again after a truncation (from the copy, if the rotation
    made one). After a restart it finds its file by inode and fingerprint among the rotated
    ones: ``outputs.jsonl.1``, ``outputs.jsonl-20260101``, ``outputs-20260101.jsonl``.

    Args:
        path: the file; ``.gz`` is decompressed, but cannot be followed.
        follow: wait for more at the end, like ``tail -F``.
        max_record_bytes: longer lines are rejected as ``too_large``.
        interval: seconds between two looks at a followed file.
    """

    def __init__(
        self,
        path: str | Path,
        follow: bool = False,
        max_record_bytes: int = MAX_RECORD_BYTES,
        interval: float = 0.1,
    ) -> None:
        self._path = Path(os.path.abspath(path))
        self._follow = follow
        self._max_record_bytes = max_record_bytes
        self._interval = interval
        self._packed = self._path.suffix == ".gz"
        if self._packed and follow:
            raise SourceError(f"{path}: a compressed file cannot be followed; leave out --follow")
        self._file: BinaryIO | None = None
        self._lines = LineSplitter(max_record_bytes)
        self._next = 0
        self._cursor = _Cursor(0)
        self._paused = False
        self._at_end = False
        self._gap = False
        self._beginning = b""

    @property
    def name(self) -> str:
        return f"file:{self._path}"

    @property
    def at_end(self) -> bool:
        return self._at_end

    @property
    def exhausted(self) -> bool:
        return self._at_end and not self._follow

    def start(self, positions: Mapping[int, Position]) -> None:
        """Open the file at the stored position.

        Raises:
            SourceError: there is no such file, or it cannot be read.
            PositionConflict: the file is not the one the position was stored for, or shorter.
        """
        self.close()
        stored = positions.get(0, Position(0))
        self._next = stored.next
        self._cursor = self._decode(stored)
        self._at_end = False
        if not self._follow:
            self._open_at_cursor()
        elif not self._path.parent.is_dir():
            raise SourceError(f"{self._path.parent}: no such folder; check --source")
        elif not self._find():
            _log.warning("%s: no such file yet; waiting for it", self._path)

    def _open_at_cursor(self) -> None:
        file = self._open(self._path)
        try:
            held = self._holds(file, self._cursor)
            if held:
                self._turn_to(file, self._cursor)
        except _UNREADABLE as error:
            raise self._unreadable(error) from error
        finally:
            if self._file is not file:
                file.close()
        if not held:
            raise self._conflict(self._next)

    def poll(self, max_records: int, timeout: float) -> RawBatch:
        if self._paused:
            time.sleep(timeout)
            return RawBatch()
        batch = LineBatch(self._next, max_records, self._max_record_bytes)
        deadline = time.monotonic() + timeout
        self._at_end = False
        while not self._fill(batch) and self._follow and time.monotonic() < deadline:
            time.sleep(min(self._interval, max(0.0, deadline - time.monotonic())))
        lost = {0: 0} if self._gap else {}
        self._gap = False
        if not batch.moved:
            return RawBatch(lost=lost)
        self._next = batch.next
        self._remember_head()
        cursor = msgspec.json.encode(self._cursor).decode()
        position = Position(batch.next, cursor)
        return RawBatch(batch.records, batch.rejected, {0: position}, lost)

    def _fill(self, batch: LineBatch) -> bool:
        """Read until the batch is full or there is no more; whether anything was read."""
        while not batch.full:
            line = self._lines.take()
            if line is not None:
                batch.add(line)
                self._cursor.byte += line.size
            elif self._file is None or (self._follow and self._cut_short(self._file)):
                if not self._find():
                    self._at_end = True
                    break
            elif data := self._read(self._file):
                self._take_in(data)
            elif not self._finish_file(batch):
                self._at_end = True
                break
        return batch.moved

    def _finish_file(self, batch: LineBatch) -> bool:
        """At the end of a file: whether there is another one to go on with."""
        file = self._open_file()
        successor = rotation.successor(self._path, file) if self._follow else None
        if self._follow and successor is None:
            return False
        # The writer has turned to the successor by now, so this end is final.
        if data := self._read(file):
            self._take_in(data)
            return True
        unfinished = self._lines.take_unfinished()
        if unfinished is not None:
            batch.add(unfinished)
            self._cursor.byte += unfinished.size
        following = successor and self._open_if_there(successor)
        if not following:
            return False
        self._turn_to(following, _Cursor(0))
        return True

    def _take_in(self, data: bytes) -> None:
        if len(self._beginning) < _HEAD:
            self._beginning += data[: _HEAD - len(self._beginning)]
        self._lines.feed(data)

    def _find(self) -> bool:
        """Open the file in which the cursor points, under whatever name; else the current one."""
        for file in self._candidates():
            if self._holds(file, self._cursor):
                self._turn_to(file, self._cursor)
                return True
            file.close()
        current = self._open_if_there(self._path)
        if current is None:
            return False
        _log.warning(
            "%s: the file read before is gone, with it what was unread; "
            "going on at the start of the new one",
            self._path,
        )
        self._gap = True
        self._turn_to(current, _Cursor(0))
        return True

    def _candidates(self) -> Iterator[BinaryIO]:
        """Files in which the cursor may point: that with its inode first, then the current one."""
        known = self._cursor.device, self._cursor.inode
        paths = (self._path, *rotation.rotated(self._path))
        statuses = [(path, status) for path in paths if (status := rotation.status(path))]
        same = [path for path, status in statuses if (status.st_dev, status.st_ino) == known]
        # Without a fingerprint nothing but the inode can tell one rotated file from another.
        others = [path for path, _ in statuses] if self._cursor.head_bytes else [self._path]
        for path in (*same, *(path for path in others if path not in same)):
            file = self._open_if_there(path)
            if file is not None:
                yield file

    def _cut_short(self, file: BinaryIO) -> bool:
        """The file was truncated or written anew since it was last read."""
        return os.fstat(file.fileno()).st_size < file.tell() or not self._holds(file, self._cursor)

    def _holds(self, file: BinaryIO, cursor: _Cursor) -> bool:
        """The file has the cursor's beginning and reaches to its byte. Keeps the position."""
        before = file.tell()
        file.seek(0)
        head = _hash(file.read(cursor.head_bytes))
        end = file.seek(cursor.byte) if self._packed else os.fstat(file.fileno()).st_size
        file.seek(before)
        return end >= cursor.byte and (not cursor.head_bytes or head == cursor.head)

    def _turn_to(self, file: BinaryIO, cursor: _Cursor) -> None:
        self.close()
        self._file = file
        status = os.fstat(file.fileno())
        self._cursor = cursor
        cursor.device, cursor.inode = status.st_dev, status.st_ino
        file.seek(0)
        self._beginning = file.read(min(cursor.byte, _HEAD))
        file.seek(cursor.byte)

    def _remember_head(self) -> None:
        """Take more of the beginning into the fingerprint while the file is young."""
        size = min(self._cursor.byte, _HEAD)
        if size > self._cursor.head_bytes:
            self._cursor.head = _hash(self._beginning[:size])
            self._cursor.head_bytes = size

    def _open(self, path: Path) -> BinaryIO:
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise SourceError(f"{path}: not a regular file; use --source - for a pipe")
            if self._packed:
                return cast(BinaryIO, gzip.open(path, "rb"))
            return path.open("rb", buffering=0)
        except OSError as error:
            raise SourceError(
                f"{path}: {error.strerror}; check --source and its permissions"
            ) from error

    def _open_if_there(self, path: Path) -> BinaryIO | None:
        """Rotation may rename a file between two looks at the folder."""
        return self._open(path) if path.exists() else None

    def _open_file(self) -> BinaryIO:
        if self._file is None:
            raise SourceError(f"{self._path}: not started")
        return self._file

    def _read(self, file: BinaryIO) -> bytes:
        try:
            return file.read(_CHUNK)
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    def _decode(self, stored: Position) -> _Cursor:
        if not stored.next:
            return _Cursor(0)
        try:
            return msgspec.json.decode(stored.cursor, type=_Cursor)
        except msgspec.MsgspecError as error:
            raise self._conflict(stored.next) from error

    def _conflict(self, line: int) -> PositionConflict:
        return PositionConflict(
            f"{self._path}: line {line}, where the store stopped, is not in this file: it was "
            "replaced or shortened; give a new file a --store of its own, a rotated one --follow"
        )

    def _unreadable(self, error: Exception) -> SourceError:
        return SourceError(f"{self._path}: cannot be read after line {self._next}: {error}")

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def acknowledge(self, positions: Mapping[int, Position]) -> None:
        """A file has nobody to tell."""

    def lag(self) -> Mapping[int, int]:
        return {0: 0} if self._at_end else {}

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._lines = LineSplitter(self._max_record_bytes)


def _hash(beginning: bytes) -> str:
    return hashlib.blake2b(beginning, digest_size=16).hexdigest()
