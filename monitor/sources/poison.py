"""Reading past records of Kafka that cannot be read.

kafka-python 3.0 raises at a corrupt batch without saying how far it reaches, stops every
partition for it, and at the next poll turns in circles on the same offset. Here each batch is
wrapped, so that its unreadable records come out one by one, in order, as `Poison`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kafka.consumer.fetcher import Fetcher
from kafka.errors import UnsupportedCodecError
from kafka.record.default_records import DefaultRecord

_MOST_IN_A_BATCH: Final = 10_000_000


class Poison(bytes):
    """Stands where the value of an unreadable record would be; the bytes are the error."""

    reason: str

    @classmethod
    def of(cls, reason: str, error: str) -> Poison:
        poison = cls(error.encode())
        poison.reason = reason
        return poison


def read_past_poison(consumer: Any) -> None:
    """Make a `KafkaConsumer` hand out `Poison` instead of raising."""
    # No public hook exists; the version of kafka-python is pinned, and a test corrupts a log.
    consumer._fetcher.PartitionRecords = _partition_records  # noqa: SLF001


def _partition_records(fetch_offset: int, partition: Any, records: Any, **options: Any) -> Any:
    safe = _Records(records, fetch_offset)
    return Fetcher.PartitionRecords(fetch_offset, partition, safe, **options)


class _Records:
    """The batches of one fetch, each wrapped."""

    def __init__(self, records: Any, fetch_offset: int) -> None:
        self._batches = _wrapped(records, fetch_offset)

    def next_batch(self) -> Any:
        return next(self._batches, None)


def _wrapped(records: Any, fetch_offset: int) -> Iterator[Any]:
    batch = records.next_batch()
    while batch is not None:
        # Read one ahead, because the next batch tells where a broken one ends.
        following = records.next_batch()
        # Formats before v2 (Kafka 0.11) keep no last offset in the header.
        old = batch.magic < 2
        yield batch if old else _Batch(batch, fetch_offset, following and following.base_offset)
        batch = following


class _Batch:
    """One batch of format v2; what it cannot yield as a record it yields as poison."""

    def __init__(self, batch: Any, fetch_offset: int, following: int | None) -> None:
        self._batch = batch
        self._fetch_offset = fetch_offset
        self._following = following
        self._poison: Poison | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        if not self._batch.validate_crc():
            self._poison = Poison.of("crc_mismatch", "checksum of the record batch does not match")
        return True

    @property
    def is_control_batch(self) -> bool:
        return self._poison is None and bool(self._batch.is_control_batch)

    def has_producer_id(self) -> bool:
        return self._poison is None and bool(self._batch.has_producer_id())

    @property
    def last_offset(self) -> int:
        base, delta = int(self._batch.base_offset), int(self._batch.last_offset_delta)
        if self._poison is None or 0 <= self._batch.records_count - 1 <= delta < _MOST_IN_A_BATCH:
            return base + delta
        # The header is broken, too. Without a batch behind it, take one offset at a time.
        return max(base, self._fetch_offset, (self._following or 0) - 1)

    @property
    def next_offset(self) -> int:
        return self.last_offset + 1

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        following = int(self._batch.base_offset)
        if self._poison is None:
            try:
                for record in self._batch:
                    yield record
                    following = record.offset + 1
                return
            except UnsupportedCodecError:
                raise  # a missing library, not a broken record
            except Exception as error:
                # Only the type: messages of decoders quote what they could not decode.
                name = type(error).__name__
                self._poison = Poison.of("undecodable", f"record batch: {name}")
        for offset in range(following, self.next_offset):
            yield DefaultRecord(0, offset, -1, 0, None, self._poison, [])
