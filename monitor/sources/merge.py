"""Records of several partitions in the order of time, as far as it can be known.

A consumer that has fallen behind is handed one partition after the other, each from long ago
until now. Event time would then leap to the end with the first partition and everything else
would be late. So records wait here until every partition that has more to read shows its next
one, and the oldest goes first (what Kafka Streams does with its partition groups).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
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

    def add(self, partition: int, records: Iterable[Any]) -> None:
        """Append what was fetched of `partition`."""
        waiting = self._waiting.setdefault(partition, deque())
        for record in records:
            waiting.append(record)
            self._bytes[partition] = self._bytes.get(partition, 0) + _size(record)

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
        taken: list[Any] = []
        behind = {p for p in starving if self.empty(p)}
        heads = {p: waiting[0].timestamp for p, waiting in self._waiting.items() if waiting}
        while heads and len(taken) < most and not behind:
            partition = min(heads, key=lambda p: (heads[p], p))
            waiting = self._waiting[partition]
            record = waiting.popleft()
            self._bytes[partition] -= _size(record)
            taken.append(record)
            if waiting:
                heads[partition] = waiting[0].timestamp
            else:
                del heads[partition]
                if partition in starving:
                    behind.add(partition)
        return taken


def _size(record: Any) -> int:
    return len(record.value) if isinstance(record.value, bytes) else 0
