"""Records of several partitions reach detection in the order in which they were made."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.sources.merge import BUFFER_BYTES, BUFFER_RECORDS, TimeMerge


class Record(NamedTuple):
    partition: int
    offset: int
    timestamp: int
    value: bytes = b"{}"


def records(partition: int, *timestamps: int) -> list[Record]:
    return [Record(partition, i, t) for i, t in enumerate(timestamps)]


def filled(*partitions: list[Record]) -> TimeMerge:
    merge = TimeMerge()
    for rows in partitions:
        merge.add(rows[0].partition, rows)
    return merge


def test_a_backlog_is_not_read_one_partition_after_the_other() -> None:
    merge = filled(records(0, 10, 30, 50), records(1, 20, 40, 60))
    assert [r.timestamp for r in merge.take(10, starving=())] == [10, 20, 30, 40, 50, 60]


def test_nothing_newer_is_handed_out_while_a_partition_may_hold_something_older() -> None:
    merge = filled(records(0, 10, 30), records(1, 20))
    assert [r.timestamp for r in merge.take(10, starving={1})] == [10, 20]
    assert not merge.take(10, starving={1})
    merge.add(1, records(1, 25))
    assert [r.timestamp for r in merge.take(10, starving=())] == [25, 30]


def test_a_partition_that_was_never_seen_holds_the_others_back() -> None:
    assert not filled(records(0, 10)).take(10, starving={1})


def test_a_partition_keeps_its_order_even_when_its_clock_went_back() -> None:
    merge = filled(records(0, 50, 10, 20), records(1, 30))
    assert [(r.partition, r.offset) for r in merge.take(10, starving=())] == [
        (1, 0), (0, 0), (0, 1), (0, 2),
    ]  # fmt: skip


def test_what_waits_is_bounded_in_records_and_bytes() -> None:
    merge = filled([Record(0, i, i) for i in range(BUFFER_RECORDS)])
    assert merge.full(0, partitions=4)
    assert not merge.full(1, partitions=4)
    heavy = filled([Record(0, 0, 0, b"x" * (BUFFER_BYTES // 4))])
    assert heavy.full(0, partitions=4)
    heavy.take(1, starving=())
    assert not heavy.full(0, partitions=4)


@settings(derandomize=True, max_examples=100)
@given(
    st.lists(st.lists(st.integers(0, 1000), max_size=20), min_size=1, max_size=5),
    st.integers(1, 7),
)
def test_every_record_comes_out_once_and_in_order_of_time(
    columns: list[list[int]], most: int
) -> None:
    merge = TimeMerge()
    for partition, timestamps in enumerate(columns):
        merge.add(partition, records(partition, *sorted(timestamps)))
    out: list[Record] = []
    while len(merge):
        taken = merge.take(most, starving=())
        assert 0 < len(taken) <= most
        out.extend(taken)
    assert [r.timestamp for r in out] == sorted(t for column in columns for t in column)
    assert len({(r.partition, r.offset) for r in out}) == len(out)
