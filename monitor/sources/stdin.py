"""Records from standard input, one line of JSON each."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Mapping
from typing import Final

from monitor.sources.base import Position, RawBatch, SourceError
from monitor.sources.lines import MAX_RECORD_BYTES, LineBatch, LineSplitter

_CHUNK: Final = 256 * 1024


class StdinSource:
    """Reads a pipe to its end. A pipe cannot be read twice: offsets go on where the store stopped,
    and what an earlier process had read without committing is gone. Within one process the last
    batch is kept until the next one, so that it can be done again.

    Args:
        max_record_bytes: longer lines are rejected as ``too_large``.
        descriptor: file descriptor to read.
    """

    name = "stdin"

    def __init__(self, max_record_bytes: int = MAX_RECORD_BYTES, descriptor: int = 0) -> None:
        self._max_record_bytes = max_record_bytes
        self._descriptor = descriptor
        self._lines = LineSplitter(max_record_bytes)
        self._next = 0
        self._last = RawBatch()
        self._last_start = 0
        self._again = False
        self._started = False
        self._ended = False
        self._paused = False
        self._at_end = False

    @property
    def at_end(self) -> bool:
        return self._at_end

    @property
    def exhausted(self) -> bool:
        return self._ended and self._at_end and not self._again

    def start(self, positions: Mapping[int, Position]) -> None:
        """Number the lines from the stored position on.

        Raises:
            SourceError: records from before the last batch are asked for again.
        """
        stored = positions.get(0, Position(0)).next
        if self._started and stored != self._next:
            if not (self._last.positions and stored == self._last_start):
                raise SourceError(
                    f"stdin: cannot go back from line {self._next} to line {stored}; "
                    "write the input to a file and use --source FILE"
                )
            self._again = True
        else:
            self._last, self._again = RawBatch(), False
        self._next = stored
        self._started = True

    def poll(self, max_records: int, timeout: float) -> RawBatch:
        if self._paused:
            time.sleep(timeout)
            return RawBatch()
        if self._again:
            self._again = False
            self._next = self._last.positions[0].next
            return self._last
        batch = LineBatch(self._next, max_records, self._max_record_bytes)
        deadline = time.monotonic() + timeout
        self._at_end = False
        while not batch.full and not self._at_end:
            line = self._lines.take()
            if line is not None:
                batch.add(line)
                continue
            # Lines already here are handed on at once.
            wait = 0.0 if batch.moved else max(0.0, deadline - time.monotonic())
            self._at_end = not self._read(wait)
        if self._ended and not batch.full:
            unfinished = self._lines.take_unfinished()
            if unfinished is not None:
                batch.add(unfinished)
        if not batch.moved:
            return RawBatch()
        self._last_start, self._next = self._next, batch.next
        self._last = RawBatch(batch.records, batch.rejected, {0: Position(batch.next)})
        return self._last

    def _read(self, wait: float) -> bool:
        """Read what is there within `wait` seconds; whether there was anything."""
        if self._ended or not select.select([self._descriptor], [], [], wait)[0]:
            return False
        data = os.read(self._descriptor, _CHUNK)
        self._ended = not data
        self._lines.feed(data)
        return bool(data)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def acknowledge(self, positions: Mapping[int, Position]) -> None:
        """A pipe has nobody to tell."""

    def lag(self) -> Mapping[int, int]:
        return {0: 0} if self._at_end else {}

    def close(self) -> None:
        """Standard input belongs to the process: it stays open."""
