"""Records of several partitions in the order of time, as far as it can be known.

A consumer that has fallen behind is handed one partition after the other, each from long ago
until now. Event time would then leap to the end with the first partition and everything else
would be late. So records wait here until every partition that has more to read shows its next
one, and the oldest goes first (what Kafka Streams does with its partition groups).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Any, Final

BUFFER_RECORDS: Final = 4_096
"""Records of one partition that are enough to wait with."""
BUFFER_BYTES: Final = 64 * 1024 * 1024
"""Bytes over all partitions."""


class TimeMerge:
    """Buffers of records (with `timestamp`, `value`, `partition`), merged by time stamp.

    Within a partition the order stays as it is, whatever the time stamps say.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, deque[Any]] = {}
        self._bytes: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, partition: int, records: Sequence[Any]) -> None:
        """Append what was fetched of `partition`."""
        self._waiting.setdefault(partition, deque()).extend(records)
        self._bytes[partition] = self._bytes.get(partition, 0) + _size(records)

    def drop(self, partition: int) -> None:
        """Forget what waits of `partition`: it is going to be fetched again."""
        self._waiting.pop(partition, None)
        self._bytes.pop(partition, None)

    def clear(self) -> None:
        self._waiting.clear()
        self._bytes.clear()

    def empty(self, partition: int) -> bool:
        return not self._waiting.get(partition)

    def full(self, partition: int, partitions: int) -> bool:
        """Whether no more of `partition` should be fetched now; there are `partitions` in all."""
        return len(self._waiting.get(partition, ())) >= BUFFER_RECORDS or self._bytes.get(
            partition, 0
        ) >= BUFFER_BYTES // max(partitions, 1)

    def take(self, most: int, starving: Collection[int]) -> Sequence[Any]:
        """At most `most` records, oldest first.

        `starving` partitions have more to read, but nothing here: as soon as one of them might
        hold something older, nothing more is handed out.
        """
        if any(self.empty(p) for p in starving):
            return ()
        taken: list[Any] = []
        heads = [(waiting[0].timestamp, p) for p, waiting in self._waiting.items() if waiting]
        heapify(heads)
        while heads and len(taken) < most:
            _, partition = heads[0]
            rival = min(heads[1:3], default=None)
            self._take_run(partition, rival, most, taken)
            waiting = self._waiting[partition]
            if waiting:
                heapreplace(heads, (waiting[0].timestamp, partition))
            elif partition in starving:
                break
            else:
                heappop(heads)
        return taken

    def _take_run(
        self, partition: int, rival: tuple[int, int] | None, most: int, taken: list[Any]
    ) -> None:
        """Move records of `partition` to `taken` until the first of another one, `rival`, is
        next in time."""
        waiting, start = self._waiting[partition], len(taken)
        while waiting and len(taken) < most:
            if rival is not None and (waiting[0].timestamp, partition) > rival:
                break
            taken.append(waiting.popleft())
        self._bytes[partition] -= _size(taken[start:])


def _size(records: Iterable[Any]) -> int:
    return sum(len(record.value) for record in records if record.value is not None)
