"""Records from all partitions of a Kafka topic, at the offsets of our own store."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from kafka import TopicPartition
from kafka.errors import (
    CorruptRecordError,
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
    RetriableError,
    TopicAuthorizationFailedError,
    UnsupportedCodecError,
)

from monitor.sources.base import (
    Position,
    PositionConflict,
    RawBatch,
    RawRecord,
    Rejected,
    SourceError,
)
from monitor.sources.kafka_client import connect
from monitor.sources.kafka_commits import GroupCommits
from monitor.sources.kafka_settings import DEFAULT_SETTINGS, KafkaSettings
from monitor.sources.lines import MAX_RECORD_BYTES
from monitor.sources.merge import TimeMerge
from monitor.sources.poison import Poison, read_past_poison

_OFFSETS_TIMEOUT: Final = 5.0
_WARNING_INTERVAL: Final = 10.0
_PATIENCE: Final = 60.0
_ORDER_PATIENCE: Final = 3.0
"""Seconds for which one partition that does not answer may hold up the others."""
_FETCH_RECORDS: Final = 8_192
_log = logging.getLogger(__name__)


class KafkaSource:
    """Reads every partition of a topic with `assign`: one reader, no group rebalancing.

    Records come in the order of their time stamps over partitions, also after an outage.

    A partition without a stored position starts at its first record; new partitions join
    within `KafkaSettings.partition_refresh`. Transactions that were aborted are not read.

    Args:
        servers: ``host:port`` of one or more brokers.
        topic: name of the topic.
        settings: security and sizes.
        max_record_bytes: longer records are rejected as ``too_large``.
    """

    def __init__(
        self,
        servers: Sequence[str],
        topic: str,
        settings: KafkaSettings = DEFAULT_SETTINGS,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        self._servers = list(servers)
        self._topic = topic
        self._settings = settings
        self._max_record_bytes = max_record_bytes
        self._consumer: Any = None
        self._commits = GroupCommits(self._url, self._servers, topic, settings, self._warn)
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._moved: set[int] = set()
        self._lost: dict[int, int] = {}
        self._unplaced: dict[int, int | None] = {}
        self._merge = TimeMerge()
        self._held: set[int] = set()
        self._waiting_since = math.inf
        self._paused = False
        self._at_end = False
        self._warning_due = 0.0
        self._failing_since = math.inf

    @property
    def name(self) -> str:
        return f"kafka:{self._topic}"

    @property
    def at_end(self) -> bool:
        return self._at_end

    @property
    def exhausted(self) -> bool:
        return False

    def start(self, positions: Mapping[int, Position]) -> None:
        """Connect, check every stored position against the log, and go there.

        Raises:
            SourceError: no broker answers, or there is no such topic.
            PositionConflict: a position is beyond the end of its partition, or the partition
                is gone.
        """
        if self._consumer is None:
            self._consumer = connect(self._url, self._servers, self._settings)
            read_past_poison(self._consumer)
            self._commits.connect()
        partitions = self._consumer.partitions_for_topic(self._topic)
        if not partitions:
            raise self._error("no such topic, or this user may not see it; create it first")
        missing = sorted(set(positions) - partitions)
        if missing:
            raise PositionConflict(
                f"{self._url}: the store has read partitions {missing}, which the topic does not "
                "have; it was made anew: use a new --store"
            )
        self._next = dict.fromkeys(sorted(partitions), 0)
        self._lost.clear()
        self._unplaced.clear()
        self._merge.clear()
        self._held.clear()
        self._waiting_since = math.inf
        self._at_end = False
        self._consumer.assign(self._topic_partitions())
        try:
            self._go_to({p: positions[p].next if p in positions else None for p in self._next})
        except KafkaError as error:
            problem = f"the ends of the log cannot be read ({type(error).__name__}); try again"
            raise self._error(problem) from error
        if self._paused:
            self.pause()

    def poll(self, max_records: int, timeout: float) -> RawBatch:
        """As in `Source`; while brokers are away it returns nothing and keeps trying.

        Raises:
            SourceError: the topic may not be read, or needs a codec that is not installed.
            PositionConflict: the log was cut back behind what has been read.
        """
        self._at_end = False
        records: Sequence[Any] = ()
        try:
            self._commits.commit_if_due()
            self._place_partitions()
            records = self._fetch(max_records, timeout)
            self._failing_since = math.inf
        except OffsetOutOfRangeError as error:
            for tp in error.args[0]:
                self._merge.drop(tp.partition)
                self._unplaced[tp.partition] = self._next[tp.partition]
        except TopicAuthorizationFailedError as error:
            raise self._error("this user may not read it; grant READ on the topic") from error
        except UnsupportedCodecError as error:
            raise self._error(f"{error}; install the codec's Python package") from error
        except CorruptRecordError as error:
            raise self._error("a record batch of an old format is corrupt") from error
        except LogTruncationError as error:
            raise self._conflict("records that were read have vanished from the log") from error
        except KafkaError as error:
            self._bear(error)
            time.sleep(min(timeout, 0.2))
        return self._batch(records)

    def _fetch(self, max_records: int, timeout: float) -> Sequence[Any]:
        """Fetch what is there, and take what is next in time."""
        self._let_go()
        behind = any(self._merge.empty(p) for p in self._starving())
        wait = int(timeout * 1000) if behind or not len(self._merge) else 0
        polled = self._consumer.poll(timeout_ms=wait, max_records=_FETCH_RECORDS)
        for tp, arrived in polled.items():
            self._merge.add(tp.partition, arrived)
        self._hold_back()
        if not polled and (self._paused or not len(self._merge)):
            self._catch_up()
        if self._paused or not len(self._merge):
            return ()
        now = time.monotonic()
        starving = self._starving() | self._held
        if now - self._waiting_since > _ORDER_PATIENCE:
            starving = set()
        records = self._merge.take(max_records, starving)
        self._waiting_since = math.inf if records else min(self._waiting_since, now)
        return records

    def _starving(self) -> set[int]:
        """Partitions that have more to read, of which nothing is here yet."""
        found = set()
        for tp in self._topic_partitions():
            if tp.partition not in self._held:
                end = max(self._consumer.highwater(tp) or 0, self._ends.get(tp.partition, 0))
                position = self._consumer.position(tp, timeout_ms=0)
                if position is None or position < end:
                    found.add(tp.partition)
        return found

    def _hold_back(self) -> None:
        """Stop fetching partitions of which enough is here, and go on with the others."""
        total = len(self._next)
        full = {p for p in self._next if self._merge.full(p, total)}
        if full - self._held:
            self._consumer.pause(*self._of_topic(full - self._held))
        self._held |= full

    def _let_go(self) -> None:
        """Fetch partitions again of which nothing is left, before anybody waits for them."""
        slack = {p for p in self._held if self._merge.empty(p)}
        if slack and not self._paused:
            self._consumer.resume(*self._of_topic(slack))
        self._held -= slack

    def _bear(self, error: KafkaError) -> None:
        """Brokers may be away for any time; errors that do not say so only for a while."""
        self._warn(error)
        now = time.monotonic()
        self._failing_since = min(self._failing_since, now)
        if not isinstance(error, RetriableError) and now - self._failing_since > _PATIENCE:
            raise self._error(f"cannot be read: {error}; see the log of the brokers") from error

    def pause(self) -> None:
        self._paused = True
        self._consumer.pause(*self._topic_partitions())

    def resume(self) -> None:
        self._paused = False
        self._consumer.resume(*self._of_topic(self._next.keys() - self._held))

    def acknowledge(self, positions: Mapping[int, Position]) -> None:
        """Commit to Kafka at most once a second, only so that lag tools see the progress."""
        self._commits.note({p: position.next for p, position in positions.items()})

    def lag(self) -> Mapping[int, int]:
        behind: dict[int, int] = {}
        for tp in self._topic_partitions():
            end = max(self._consumer.highwater(tp) or 0, self._ends.get(tp.partition, 0))
            behind[tp.partition] = max(0, end - self._next[tp.partition])
        return behind

    def close(self) -> None:
        self._commits.close()
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=2000)
        self._consumer = None

    @property
    def _url(self) -> str:
        return f"kafka://{','.join(self._servers)}/{self._topic}"

    def _error(self, problem: str) -> SourceError:
        return SourceError(f"{self._url}: {problem}")

    def _conflict(self, problem: str) -> PositionConflict:
        return PositionConflict(f"{self._url}: {problem}; restore the topic or use a new --store")

    def _warn(self, error: Exception) -> None:
        now = time.monotonic()
        if now >= self._warning_due:
            self._warning_due = now + _WARNING_INTERVAL
            _log.warning("%s: %s; trying again", self._url, type(error).__name__)

    def _topic_partitions(self) -> list[Any]:
        return self._of_topic(self._next)

    def _of_topic(self, partitions: Iterable[int]) -> list[Any]:
        return [TopicPartition(self._topic, p) for p in sorted(partitions)]

    def _go_to(self, wanted: Mapping[int, int | None]) -> None:
        """Seek in each partition to the wanted offset (``None``: its first record)."""
        first, ends = self._bounds(wanted)
        for partition, offset in wanted.items():
            at = first[partition] if offset is None else offset
            if at > ends[partition]:
                raise self._conflict(
                    f"partition {partition} ends at offset {ends[partition]}, before offset {at} "
                    "where the store stopped"
                )
            if at < first[partition]:
                self._lost[partition] = first[partition] - at
                self._moved.add(partition)
                at = first[partition]
            self._next[partition] = at
            self._ends[partition] = ends[partition]
            self._consumer.seek(TopicPartition(self._topic, partition), at)

    def _bounds(self, wanted: Mapping[int, int | None]) -> tuple[dict[int, int], dict[int, int]]:
        """First and next-to-be-written offset of the wanted partitions."""
        partitions = [TopicPartition(self._topic, p) for p in wanted]
        deadline = time.monotonic() + _OFFSETS_TIMEOUT
        while True:
            timeout = int(_OFFSETS_TIMEOUT * 1000)
            first = self._consumer.beginning_offsets(partitions, timeout_ms=timeout)
            ends = self._consumer.end_offsets(partitions, timeout_ms=timeout)
            # A broker that has just started may for a moment report an end that is too low.
            beyond = any((wanted[tp.partition] or 0) > end for tp, end in ends.items())
            if not beyond or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        return (
            {tp.partition: offset for tp, offset in first.items()},
            {tp.partition: offset for tp, offset in ends.items()},
        )

    def _place_partitions(self) -> None:
        """Take up partitions that the topic did not have before, and go on after a gap."""
        new = self._consumer.partitions_for_topic(self._topic) - self._next.keys()
        if new and not self._paused:
            _log.info("%s: reading new partitions %s", self._url, sorted(new))
            self._next.update(dict.fromkeys(sorted(new), 0))
            self._unplaced.update(dict.fromkeys(new))
            self._consumer.assign(self._topic_partitions())
            self._consumer.pause(*self._of_topic(self._held))
        if self._unplaced:
            self._go_to(self._unplaced)
            self._unplaced.clear()

    def _catch_up(self) -> None:
        """After an empty poll: step over what is not a record, and see whether this is the end."""
        for tp in self._topic_partitions():
            if not self._merge.empty(tp.partition):
                continue
            position = self._consumer.position(tp, timeout_ms=0)
            if position is not None and position > self._next[tp.partition]:
                self._next[tp.partition] = position
                self._moved.add(tp.partition)
        ends = self._consumer.end_offsets(self._topic_partitions(), timeout_ms=1000)
        self._ends = {tp.partition: end for tp, end in ends.items()}
        self._at_end = all(self._next[p] >= end for p, end in self._ends.items())

    def _batch(self, arrived: Sequence[Any]) -> RawBatch:
        records: list[RawRecord] = []
        rejected: list[Rejected] = []
        after: dict[int, int] = {}
        for record in arrived:
            value, partition, offset = record.value, record.partition, record.offset
            if type(value) is bytes and len(value) <= self._max_record_bytes:
                ingest = record.timestamp / 1000 if record.timestamp >= 0 else math.nan
                records.append(RawRecord(value, partition, offset, ingest))
            else:
                rejected.append(self._rejected(record))
            after[partition] = offset + 1
        self._next.update(after)
        self._moved.update(after)
        positions = {p: Position(self._next[p]) for p in sorted(self._moved)}
        lost = dict(self._lost)
        self._moved.clear()
        self._lost.clear()
        return RawBatch(records, rejected, positions, lost)

    def _rejected(self, record: Any) -> Rejected:
        value = record.value
        where = record.partition, record.offset
        if value is None:
            return Rejected(*where, "null_value", "a record without a value (tombstone)")
        if isinstance(value, Poison):
            return Rejected(*where, value.reason, value.decode())
        error = f"{len(value)} bytes, more than the limit of {self._max_record_bytes}"
        return Rejected(*where, "too_large", error)
