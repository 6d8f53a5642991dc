"""What every source promises, as a suite that each kind of source runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from monitor.sources import Position, RawRecord, Rejected, Source

DEADLINE = 20.0
"""Seconds after which a source that is still silent has failed."""


@dataclass
class Reading:
    """What a source has handed out, joined over its polls."""

    records: list[RawRecord] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    positions: dict[int, Position] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)

    @property
    def values(self) -> list[bytes]:
        return [record.value for record in self.records]

    @property
    def offsets(self) -> list[int]:
        return [record.offset for record in self.records]

    def poll(self, source: Source, max_records: int = 1000, timeout: float = 0.5) -> Reading:
        """Add one poll, and check that it kept to its limit."""
        batch = source.poll(max_records, timeout)
        assert len(batch.records) + len(batch.rejected) <= max_records
        self.records += batch.records
        self.rejected += batch.rejected
        self.positions.update(batch.positions)
        for partition, count in batch.lost.items():
            self.lost[partition] = self.lost.get(partition, 0) + count
        return self

    def until(self, source: Source, enough: Callable[[], bool], max_records: int = 1000) -> Reading:
        """Poll until `enough()`, or fail at the deadline."""
        deadline = time.monotonic() + DEADLINE
        while not enough():
            assert time.monotonic() < deadline, f"only {len(self.records)} records in time"
            self.poll(source, max_records)
        return self


def read_all(source: Source, max_records: int = 1000) -> Reading:
    """Everything up to the end of the source as it is now."""
    reading = Reading().poll(source, max_records)
    return reading.until(source, lambda: source.at_end, max_records)


def read(source: Source, count: int, max_records: int = 1) -> Reading:
    """At least `count` records, in polls of at most `max_records`."""
    reading = Reading()
    return reading.until(source, lambda: len(reading.records) >= count, max_records)


class SourceContract:
    """Promises of every source. A subclass says how to fill one and how to open it."""

    def write(self, values: Sequence[bytes]) -> None:
        """Append records where the source reads."""
        raise NotImplementedError

    def make(self) -> Source:
        """The source, not started."""
        raise NotImplementedError

    def started(
        self, positions: Mapping[int, Position] | None = None
    ) -> closing[Source]:  # a context manager that closes it
        source = self.make()
        source.start(positions or {})
        return closing(source)

    def lines(self, count: int, first: int = 0) -> list[bytes]:
        return [
            b'{"id": "r%d", "response": "line %d"}' % (i, i) for i in range(first, first + count)
        ]

    def test_records_arrive_once_and_in_order(self) -> None:
        self.write(self.lines(50))
        with self.started() as source:
            reading = read_all(source, max_records=7)
        assert reading.values == self.lines(50)
        assert reading.offsets == list(range(50))
        assert reading.positions[0].next == 50

    def test_a_poll_keeps_to_max_records_and_says_when_there_is_more(self) -> None:
        self.write(self.lines(3))
        with self.started() as source:
            for count in (1, 2):
                read(source, 1)
                assert not source.at_end, f"called the end after {count} of 3 records"
            read(source, 1)
            assert read_all(source).records == []

    def test_a_pause_hands_out_nothing_and_loses_nothing(self) -> None:
        self.write(self.lines(20))
        with self.started() as source:
            before = read(source, 3)
            source.pause()
            assert Reading().poll(source, timeout=0.05).records == []
            source.resume()
            assert before.values + read_all(source).values == self.lines(20)

    def test_numbering_goes_on_at_the_stored_position(self) -> None:
        self.write(self.lines(4))
        with self.started() as source:
            reading = read_all(source)
            source.acknowledge(reading.positions)
        assert [(r.partition, r.offset) for r in reading.records] == [(0, i) for i in range(4)]

    def test_lag_is_zero_at_the_end(self) -> None:
        self.write(self.lines(4))
        with self.started() as source:
            read_all(source)
            assert source.lag() == {0: 0}

    def test_close_may_be_called_twice(self) -> None:
        self.write(self.lines(1))
        source = self.make()
        source.start({})
        source.close()
        source.close()


class SeekableContract(SourceContract):
    """Promises of a source that can be read again."""

    def resumable_at(self) -> Iterator[int]:
        yield from (1, 4, 9, 10)

    def test_a_restart_goes_on_at_exactly_the_stored_position(self) -> None:
        self.write(self.lines(10))
        for count in self.resumable_at():
            with self.started() as source:
                before = read(source, count)
            with self.started(before.positions) as source:
                after = read_all(source)
            assert before.values + after.values == self.lines(10)
            assert before.offsets + after.offsets == list(range(10))

    def test_going_back_repeats_the_same_bytes_at_the_same_offsets(self) -> None:
        self.write(self.lines(30))
        with self.started() as source:
            early = read(source, 5)
            first = read_all(source)
            for _ in range(2):
                source.start(early.positions)
                assert read_all(source, max_records=4).records == first.records
            source.start({})
            assert read_all(source).values == self.lines(30)

    def test_records_that_come_later_are_read(self) -> None:
        self.write(self.lines(2))
        with self.started() as source:
            reading = read_all(source)
            self.write(self.lines(2, first=2))
            reading.until(source, lambda: len(reading.records) >= 4)
        assert reading.values == self.lines(4)
        assert reading.offsets == [0, 1, 2, 3]
