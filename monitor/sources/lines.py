"""Lines of JSON out of a stream of bytes, however it is cut and however long a line is."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from monitor.sources.base import RawRecord, Rejected

MAX_RECORD_BYTES: Final = 4 * 1024 * 1024
"""Default limit of one record; longer ones are rejected."""

MAX_BATCH_BYTES: Final = 16 * 1024 * 1024
"""A batch ends with the record that passes this, so that long records cannot fill the memory."""


class Line(NamedTuple):
    """One line; `value` is ``None`` when it was longer than the limit."""

    value: bytes | None
    size: int
    """Bytes it took in the stream, its newline included."""


class LineSplitter:
    """Cuts bytes into lines. Holds no more than `limit` bytes of an unfinished line."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ready: deque[Line] = deque()
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Add the next bytes of the stream."""
        first, *rest = data.split(b"\n")
        self._extend(first)
        for part in rest:
            self._ready.append(self._finish(newline=1))
            self._extend(part)

    def take(self) -> Line | None:
        """The next complete line, if there is one."""
        return self._ready.popleft() if self._ready else None

    def take_unfinished(self) -> Line | None:
        """What stands after the last newline: at the end of a stream, a line too."""
        return self._finish(newline=0) if self._size else None

    def _extend(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            self._parts.clear()
        elif part:
            self._parts.append(part)

    def _finish(self, newline: int) -> Line:
        value = b"".join(self._parts) if self._size <= self._limit else None
        line = Line(value, self._size + newline)
        self._parts.clear()
        self._size = 0
        return line


class LineBatch:
    """Lines of one poll on their way into a `RawBatch`; offsets are line numbers."""

    def __init__(self, first: int, max_records: int, max_record_bytes: int) -> None:
        self.next = first
        self.records: list[RawRecord] = []
        self.rejected: list[Rejected] = []
        self._first = first
        self._max_records = max_records
        self._max_record_bytes = max_record_bytes
        self._bytes = 0

    @property
    def moved(self) -> bool:
        """At least one line was read, though perhaps only blank ones."""
        return self.next > self._first

    @property
    def full(self) -> bool:
        count = len(self.records) + len(self.rejected)
        return count >= self._max_records or self._bytes >= MAX_BATCH_BYTES

    def add(self, line: Line) -> None:
        """Take in one line. A blank one has an offset but is not a record."""
        if line.value is None:
            error = f"{line.size} bytes, more than the limit of {self._max_record_bytes}"
            self.rejected.append(Rejected(0, self.next, "too_large", error))
        elif line.value and not line.value.isspace():
            self.records.append(RawRecord(line.value, 0, self.next))
            self._bytes += line.size
        self.next += 1
