"""Standard input: a pipe that is read once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

import pytest

from monitor.sources import Position, Source, SourceError, StdinSource
from tests.unit.sources.contract import Reading, SourceContract, read_all


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            pass  # the test closed it


class TestContract(SourceContract):
    @pytest.fixture(autouse=True)
    def _pipe(self, pipe: tuple[int, int]) -> None:
        self.reader, self.writer = pipe

    def write(self, values: Sequence[bytes]) -> None:
        os.write(self.writer, b"".join(value + b"\n" for value in values))

    def make(self) -> Source:
        return StdinSource(descriptor=self.reader)


def test_offsets_go_on_after_those_the_store_has(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"a\nb\n")
    source = StdinSource(descriptor=pipe[0])
    source.start({0: Position(7)})
    reading = read_all(source)
    assert reading.offsets == [7, 8]
    assert reading.positions[0].next == 9


def test_a_closed_pipe_ends_the_source_with_its_last_line(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"a\nno newline")
    source = StdinSource(descriptor=pipe[0])
    source.start({})
    reading = read_all(source)
    assert (reading.values, source.exhausted) == ([b"a"], False)
    os.close(pipe[1])
    reading.until(source, lambda: source.exhausted)
    assert reading.values == [b"a", b"no newline"]


def test_a_full_batch_does_not_swallow_the_last_line(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"a\nb")
    os.close(pipe[1])
    source = StdinSource(descriptor=pipe[0])
    source.start({})
    assert read_all(source, max_records=1).values == [b"a", b"b"]
    assert source.exhausted


def test_a_silent_pipe_does_not_hold_up_the_loop(pipe: tuple[int, int]) -> None:
    source = StdinSource(descriptor=pipe[0])
    source.start({})
    began = time.monotonic()
    assert Reading().poll(source, timeout=0.05).records == []
    assert 0.04 < time.monotonic() - began < 5
    assert source.at_end
    assert not source.exhausted


def test_lines_that_are_there_do_not_wait_for_more(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"a\n")
    source = StdinSource(descriptor=pipe[0])
    source.start({})
    began = time.monotonic()
    assert len(source.poll(100, 30).records) == 1
    assert time.monotonic() - began < 10


def test_going_back_is_refused_with_a_way_out(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"a\nb\n")
    source = StdinSource(descriptor=pipe[0])
    source.start({})
    positions = Reading().poll(source, max_records=1).positions
    source.start(positions)
    with pytest.raises(SourceError, match="--source FILE"):
        source.start({})


def test_a_batch_that_the_store_did_not_take_is_handed_out_again(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"a\nb\nc\n")
    source = StdinSource(descriptor=pipe[0])
    source.start({})
    first, second = source.poll(1, 0.0), source.poll(1, 0.0)
    os.close(pipe[1])
    source.start(first.positions)
    assert not source.exhausted
    assert source.poll(1, 0.0) == second
    assert read_all(source).values == [b"c"]
    assert source.exhausted


def test_a_long_line_is_rejected(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"x" * 50 + b"\nb\n")
    source = StdinSource(max_record_bytes=10, descriptor=pipe[0])
    source.start({})
    reading = read_all(source)
    assert reading.values == [b"b"]
    assert [r.reason for r in reading.rejected] == ["too_large"]
