"""A file of JSON Lines, read once or followed."""

from __future__ import annotations

import gzip
import os
import shutil
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from monitor.sources import FileSource, Position, PositionConflict, Source, SourceError
from tests.unit.sources.contract import Reading, SeekableContract, read, read_all


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outputs.jsonl"


def append(path: Path, *lines: bytes, end: bytes = b"\n") -> None:
    with path.open("ab") as file:
        file.write(b"\n".join(lines) + end)


def older(path: Path, seconds: int) -> None:
    """Tests write faster than a file system's clock ticks."""
    then = path.stat().st_mtime_ns - seconds * 10**9
    os.utime(path, ns=(then, then))


def followed(path: Path, positions: dict[int, Position] | None = None) -> FileSource:
    source = FileSource(path, follow=True, interval=0.01)
    source.start(positions or {})
    return source


class TestContract(SeekableContract):
    @pytest.fixture(autouse=True)
    def _path(self, path: Path) -> None:
        self.path = path

    def write(self, values: Sequence[bytes]) -> None:
        append(self.path, *values)

    def make(self) -> Source:
        return FileSource(self.path, follow=True, interval=0.01)


class TestContractWithoutFollow(TestContract):
    def make(self) -> Source:
        return FileSource(self.path)


def test_blank_lines_have_an_offset_but_are_no_records(path: Path) -> None:
    append(path, b"a", b"", b"  \r", b"b")
    source = FileSource(path)
    source.start({})
    reading = read_all(source)
    source.close()
    assert list(zip(reading.values, reading.offsets, strict=True)) == [(b"a", 0), (b"b", 3)]


def test_a_file_ends_but_a_followed_one_never_does(path: Path) -> None:
    append(path, b"a")
    for follow in (False, True):
        source = FileSource(path, follow=follow)
        source.start({})
        assert not source.exhausted
        read_all(source)
        assert source.at_end
        assert source.exhausted is not follow
        source.close()


def test_the_last_line_counts_without_its_newline(path: Path) -> None:
    append(path, b"a", b"b", end=b"")
    source = FileSource(path)
    source.start({})
    assert read_all(source).values == [b"a", b"b"]
    source.close()


def test_a_line_that_is_still_being_written_is_not_handed_out(path: Path) -> None:
    append(path, b"a", b'{"half', end=b"")
    source = followed(path)
    reading = read_all(source)
    assert reading.values == [b"a"]
    append(path, b'": 1}')
    reading.until(source, lambda: len(reading.records) == 2)
    source.close()
    assert reading.values == [b"a", b'{"half": 1}']


def test_a_restart_in_the_middle_of_a_growing_line_reads_it_whole(path: Path) -> None:
    append(path, b"a", b'{"half', end=b"")
    source = followed(path)
    positions = read_all(source).positions
    source.close()
    append(path, b'": 1}')
    source = followed(path, positions)
    assert read_all(source).values == [b'{"half": 1}']
    source.close()


def test_a_huge_line_is_rejected_without_being_held_in_memory(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"a\n")
        for _ in range(64):
            file.write(b"x" * 1024 * 1024)
        file.write(b"\nb\n")
    source = FileSource(path, max_record_bytes=1024 * 1024)
    source.start({})
    tracemalloc.start()
    reading = read_all(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    source.close()
    assert reading.values == [b"a", b"b"]
    assert [(r.offset, r.reason) for r in reading.rejected] == [(1, "too_large")]
    assert peak < 4 * 1024 * 1024


def test_long_records_end_a_batch_before_they_fill_the_memory(path: Path) -> None:
    record = b"x" * 1024 * 1024
    append(path, *[record] * 40)
    source = FileSource(path)
    source.start({})
    assert len(source.poll(1000, 0).records) <= 17
    source.close()


def test_a_record_of_exactly_the_limit_passes(path: Path) -> None:
    append(path, b"x" * 100, b"x" * 101)
    source = FileSource(path, max_record_bytes=100)
    source.start({})
    reading = read_all(source)
    source.close()
    assert reading.offsets == [0]
    assert [r.offset for r in reading.rejected] == [1]


def test_a_compressed_file_reads_like_a_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "outputs.jsonl.gz"
    path.write_bytes(gzip.compress(b"a\nb\nc\n", mtime=0))
    source = FileSource(path)
    source.start({})
    before = read(source, 1)
    source.start(before.positions)
    after = read_all(source)
    source.close()
    assert before.values + after.values == [b"a", b"b", b"c"]
    with pytest.raises(SourceError, match="leave out --follow"):
        FileSource(path, follow=True)


@pytest.mark.parametrize("content", [gzip.compress(b"a\n" * 10_000, mtime=0)[:-9], b"not gzip\n"])
def test_a_broken_compressed_file_is_an_error_and_not_an_end(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "outputs.jsonl.gz"
    path.write_bytes(content)
    source = FileSource(path)
    source.start({})
    with pytest.raises(SourceError, match="cannot be read"):
        read_all(source)
    source.close()


def test_rotation_by_renaming_loses_and_repeats_nothing(path: Path) -> None:
    append(path, b"a")
    source = followed(path)
    reading = read_all(source)
    rotated = path.with_name("outputs.jsonl.1")
    with path.open("ab") as writer:
        path.rename(rotated)
        # The writer has not been told yet: it goes on in the renamed file.
        writer.write(b"b\n")
        writer.flush()
        path.touch()
        reading.until(source, lambda: len(reading.records) == 2)
        writer.write(b"c\nlast")
    append(path, b"d")
    reading.until(source, lambda: len(reading.records) == 5)
    source.close()
    assert reading.values == [b"a", b"b", b"c", b"last", b"d"]
    assert reading.offsets == [0, 1, 2, 3, 4]


def test_two_rotations_between_two_polls_lose_nothing(path: Path) -> None:
    append(path, b"a")
    source = followed(path)
    reading = read_all(source)
    path.rename(path.with_name("outputs.jsonl.2"))
    older(path.with_name("outputs.jsonl.2"), 20)
    append(path, b"b")
    path.rename(path.with_name("outputs.jsonl.1"))
    older(path.with_name("outputs.jsonl.1"), 10)
    append(path, b"c")
    reading.until(source, lambda: len(reading.records) == 3)
    source.close()
    assert reading.values == [b"a", b"b", b"c"]


def test_truncation_in_place_starts_again_at_the_beginning(path: Path) -> None:
    append(path, b"a" * 30, b"b" * 30)
    source = followed(path)
    reading = read_all(source)
    path.write_bytes(b"c\n")
    reading.until(source, lambda: len(reading.records) == 3)
    source.close()
    assert (reading.values[-1], reading.offsets[-1]) == (b"c", 2)


def test_a_file_that_was_truncated_and_has_grown_past_us_is_read_from_its_start(
    path: Path,
) -> None:
    append(path, b"a", b"b")
    source = followed(path)
    reading = read_all(source)
    path.write_bytes(b"new 1\nnew 2\n")
    reading.until(source, lambda: len(reading.records) == 4)
    source.close()
    assert reading.values[2:] == [b"new 1", b"new 2"]


def test_a_copy_made_before_the_truncation_gives_back_what_was_unread(path: Path) -> None:
    append(path, b"a")
    source = followed(path)
    reading = read_all(source)
    append(path, b"written just before the rotation")
    shutil.copy(path, path.with_name("outputs-20260101.jsonl"))
    older(path.with_name("outputs-20260101.jsonl"), 5)
    os.truncate(path, 0)
    append(path, b"c")
    reading.until(source, lambda: len(reading.records) == 3)
    source.close()
    assert reading.values == [b"a", b"written just before the rotation", b"c"]


def test_a_followed_file_may_be_missing_for_a_while(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = followed(path)
    assert "no such file yet" in caplog.text
    assert Reading().poll(source, timeout=0.02).records == []
    assert source.at_end
    append(path, b"a")
    reading = read(source, 1)
    path.unlink()
    assert Reading().poll(source, timeout=0.02).records == []
    append(path, b"b")
    reading.until(source, lambda: len(reading.records) == 2)
    source.close()
    assert reading.values == [b"a", b"b"]


@pytest.mark.parametrize("rotated", ["outputs.jsonl.1", "outputs.jsonl-20260102"])
def test_a_restart_after_a_rotation_finishes_the_old_file_first(path: Path, rotated: str) -> None:
    append(path, b"a", b"b", b"c")
    source = followed(path)
    before = read(source, 1)
    source.close()
    path.rename(path.with_name(rotated))
    older(path.with_name(rotated), 10)
    append(path, b"d")
    source = followed(path, before.positions)
    after = Reading()
    after.until(source, lambda: len(after.records) == 3)
    source.close()
    assert after.values == [b"b", b"c", b"d"]
    assert after.offsets == [1, 2, 3]
    assert after.lost == {}


def test_an_old_rotated_file_is_never_taken_for_news(path: Path) -> None:
    append(path.with_name("outputs.jsonl.1"), b"old")
    append(path.with_name("outputs.jsonl.bak"), b"older")
    source = followed(path)
    assert Reading().poll(source, timeout=0.02).records == []
    append(path, b"a")
    assert read(source, 1).values == [b"a"]
    source.close()


def test_a_rotated_file_that_is_gone_is_said_to_be_lost(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(path, b"a", b"b")
    source = followed(path)
    before = read(source, 1)
    source.close()
    path.unlink()
    append(path, b"c")
    source = followed(path, before.positions)
    after = read_all(source)
    source.close()
    assert (after.values, after.offsets, after.lost) == ([b"c"], [1], {0: 0})
    assert "is gone" in caplog.text


@pytest.mark.parametrize("content", [b"a\n", b"x\ny\nz\n", b""])
def test_a_replaced_or_shortened_file_is_refused_and_the_fix_is_named(
    path: Path, content: bytes
) -> None:
    append(path, b"a", b"b", b"c")
    source = FileSource(path)
    source.start({})
    before = read(source, 2)
    source.close()
    path.write_bytes(content)
    with pytest.raises(PositionConflict, match=r"line 2.*--store"):
        FileSource(path).start(before.positions)


def test_a_position_without_its_cursor_is_refused(path: Path) -> None:
    append(path, b"a", b"b")
    with pytest.raises(PositionConflict, match="line 1"):
        FileSource(path).start({0: Position(1)})


def test_a_file_that_was_copied_elsewhere_is_still_the_same(path: Path) -> None:
    append(path, b"a", b"b")
    source = FileSource(path)
    source.start({})
    before = read(source, 1)
    source.close()
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    copy.replace(path)
    source.start(before.positions)
    assert read_all(source).values == [b"b"]
    source.close()


@pytest.mark.parametrize("follow", [False, True])
def test_what_cannot_be_opened_is_named(tmp_path: Path, follow: bool) -> None:
    with pytest.raises(SourceError, match=r"nowhere.*check --source"):
        FileSource(tmp_path / "nowhere" / "outputs.jsonl", follow).start({})
    with pytest.raises(SourceError, match="not a regular file"):
        FileSource(tmp_path, follow).start({})


def test_the_cursor_holds_no_text(path: Path) -> None:
    append(path, b'{"prompt": "planted-marker"}')
    source = FileSource(path)
    source.start({})
    reading = read_all(source)
    source.close()
    assert "planted-marker" not in reading.positions[0].cursor
