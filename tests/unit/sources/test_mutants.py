"""The checks of the sources can fail: each one does when its mechanism is taken away."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from monitor.sources import FileSource, Position, RawBatch, rotation
from monitor.sources.lines import LineSplitter
from tests.unit.sources import contract, test_file

# A check that fails leaves its source open.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


class Forgetful(FileSource):
    def start(self, positions: Mapping[int, Position]) -> None:
        super().start({})


class Restless(FileSource):
    def pause(self) -> None:
        pass


class Greedy(FileSource):
    def poll(self, max_records: int, timeout: float) -> RawBatch:
        return super().poll(max_records + 1, timeout)


class Hasty(FileSource):
    @property
    def at_end(self) -> bool:
        return True


class Careless(FileSource):
    def poll(self, max_records: int, timeout: float) -> RawBatch:
        batch = super().poll(max_records, timeout)
        return RawBatch(batch.records[1:], batch.rejected, batch.positions)


Check = Callable[[contract.SeekableContract], None]
Promises = contract.SeekableContract


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Forgetful, Promises.test_a_restart_goes_on_at_exactly_the_stored_position),
        (Forgetful, Promises.test_going_back_repeats_the_same_bytes_at_the_same_offsets),
        (Restless, Promises.test_a_pause_hands_out_nothing_and_loses_nothing),
        (Greedy, Promises.test_a_poll_keeps_to_max_records_and_says_when_there_is_more),
        (Hasty, Promises.test_a_poll_keeps_to_max_records_and_says_when_there_is_more),
        (Careless, Promises.test_records_arrive_once_and_in_order),
        (Careless, Promises.test_records_that_come_later_are_read),
    ],
)
def test_the_contract_catches_a_broken_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: type[FileSource], check: Check
) -> None:
    class Suite(test_file.TestContract):
        def make(self) -> FileSource:
            return broken(self.path, follow=True, interval=0.01)

    monkeypatch.setattr(contract, "DEADLINE", 0.5)
    suite = Suite()
    suite.path = tmp_path / "outputs.jsonl"
    with pytest.raises(AssertionError):
        check(suite)
    gc.collect()


def _only_size(_: FileSource, file: object) -> bool:
    return os.fstat(file.fileno()).st_size < file.tell()  # type: ignore[attr-defined]


def _unbounded(splitter: LineSplitter, part: bytes) -> None:
    splitter._size += len(part)
    splitter._parts.append(part)


@pytest.mark.parametrize(
    ("owner", "mechanism", "replacement", "check"),
    [
        (
            FileSource,
            "_cut_short",
            _only_size,
            test_file.test_a_file_that_was_truncated_and_has_grown_past_us_is_read_from_its_start,
        ),
        (
            FileSource,
            "_cut_short",
            lambda *_: False,
            test_file.test_truncation_in_place_starts_again_at_the_beginning,
        ),
        (
            rotation,
            "rotated",
            lambda _: [],
            test_file.test_a_copy_made_before_the_truncation_gives_back_what_was_unread,
        ),
        (
            rotation,
            "rotated",
            lambda _: [],
            test_file.test_two_rotations_between_two_polls_lose_nothing,
        ),
        (
            rotation,
            "successor",
            lambda path, _: path,
            test_file.test_rotation_by_renaming_loses_and_repeats_nothing,
        ),
        (
            LineSplitter,
            "_extend",
            _unbounded,
            test_file.test_a_huge_line_is_rejected_without_being_held_in_memory,
        ),
    ],
)
def test_without_its_mechanism_the_check_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    mechanism: str,
    replacement: object,
    check: Callable[[Path], None],
) -> None:
    monkeypatch.setattr(contract, "DEADLINE", 0.5)
    monkeypatch.setattr(owner, mechanism, replacement)
    with pytest.raises(AssertionError):
        check(tmp_path / "outputs.jsonl")
    gc.collect()
