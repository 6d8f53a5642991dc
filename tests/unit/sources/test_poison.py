"""Batches of Kafka that cannot be read come out as poison, one offset at a time."""

from __future__ import annotations

import pytest
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder

from monitor.sources.poison import Poison, _wrapped


def batch(first: int, count: int) -> bytearray:
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 100_000)
    for offset in range(count):
        builder.append(offset, 1_700_000_000_000, None, b"value", [])
    content = bytearray(builder.build())
    content[0:8] = first.to_bytes(8, "big")
    return content


def offsets(content: bytes, fetch_offset: int) -> tuple[list[int], list[int], int]:
    """Offsets of records, offsets of poison, and where to fetch next."""
    records: list[int] = []
    poison: list[int] = []
    following = fetch_offset
    for one in _wrapped(MemoryRecords(bytes(content)), fetch_offset):
        assert one.validate_crc()
        for record in one:
            (poison if isinstance(record.value, Poison) else records).append(record.offset)
        following = one.next_offset
    return records, poison, following


def test_sound_batches_pass_unchanged() -> None:
    content = batch(0, 2) + batch(2, 3)
    assert offsets(content, 0) == ([0, 1, 2, 3, 4], [], 5)


def test_a_flipped_bit_spoils_its_batch_and_no_other() -> None:
    bad = batch(2, 3)
    bad[-1] ^= 1
    assert offsets(batch(0, 2) + bad + batch(5, 1), 0) == ([0, 1, 5], [2, 3, 4], 6)


@pytest.mark.parametrize(("fetch_offset", "poison"), [(2, 2), (3, 3)])
def test_a_broken_header_at_the_end_still_moves_on(fetch_offset: int, poison: int) -> None:
    bad = batch(2, 3)
    bad[23:27] = b"\x7f\xff\xff\xff"
    found = offsets(bad, fetch_offset)
    assert poison in found[1]
    assert found[2] == poison + 1


def test_the_error_quotes_nothing_of_the_record() -> None:
    bad = batch(0, 1)
    bad[-1] ^= 1
    (one,) = _wrapped(MemoryRecords(bytes(bad)), 0)
    one.validate_crc()
    (record,) = one
    assert record.value == b"checksum of the record batch does not match"
