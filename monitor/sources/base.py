"""What a source of records is: bytes with a position, read in order, read again on request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class RawRecord(NamedTuple):
    """One record as it arrived."""

    value: bytes
    partition: int
    offset: int
    ingest: float = math.nan
    """Seconds since 1970 at which the source took it in, or NaN if the source does not know."""


class Rejected(NamedTuple):
    """A record the source could read past, but not hand on (too large, not decompressible)."""

    partition: int
    offset: int
    reason: str
    error: str


class Position(NamedTuple):
    """Where to go on in one partition: `next` is the offset of the first record not yet read.

    `cursor` is the source's own note of how to find it again (a JSON text; for a file the
    byte position and a fingerprint of the file); the store keeps it beside `next`.
    """

    next: int
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Records of one poll, in the order read, and the positions after them."""

    records: Sequence[RawRecord] = ()
    rejected: Sequence[Rejected] = ()
    positions: Mapping[int, Position] = field(default_factory=dict)
    """New position of each partition that moved."""
    lost: Mapping[int, int] = field(default_factory=dict)
    """Offsets that were gone before they could be read, per partition."""


class SourceError(Exception):
    """The source cannot be read; the message is one line and names the fix. Exit 1."""


class PositionConflict(Exception):
    """The stored position lies beyond what the source holds; going on would skip or repeat
    records. Exit 6."""


class Source(Protocol):
    """Reads records in order. Used by one thread."""

    @property
    def name(self) -> str:
        """Stable identity under which positions are stored, such as ``kafka:llm.outputs``."""
        ...

    @property
    def at_end(self) -> bool:
        """Nothing more to read right now: the last poll reached the end of every partition."""
        ...

    @property
    def exhausted(self) -> bool:
        """Nothing more will ever come (end of a file that is not followed)."""
        ...

    def start(self, positions: Mapping[int, Position]) -> None:
        """Connect and go to the stored positions; a partition without one starts at its
        beginning.

        Raises:
            SourceError: it cannot be reached or opened.
            PositionConflict: a stored position is beyond its end.
        """
        ...

    def poll(self, max_records: int, timeout: float) -> RawBatch:
        """At most `max_records`, waiting at most `timeout` seconds for the first one.

        Returns an empty batch when there is nothing. What was handed out is not handed out
        again unless `start` is called with an earlier position.
        """
        ...

    def pause(self) -> None:
        """Stop fetching (back-pressure): polls keep connections alive and return nothing."""
        ...

    def resume(self) -> None:
        """Undo `pause`."""
        ...

    def acknowledge(self, positions: Mapping[int, Position]) -> None:
        """Tell the outside how far the store has committed. Best effort, never raises."""
        ...

    def lag(self) -> Mapping[int, int]:
        """Records behind the end, per partition, as far as known."""
        ...

    def close(self) -> None:
        """Release everything; safe to call twice."""
        ...
