"""Lines out of bytes, however they are cut."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.sources.lines import LineBatch, LineSplitter


@settings(derandomize=True, max_examples=200)
@given(st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"x", b"\n"))), st.integers(1, 20))
def test_cutting_the_stream_elsewhere_changes_no_line(chunks: list[bytes], limit: int) -> None:
    splitter = LineSplitter(limit)
    for chunk in chunks:
        splitter.feed(chunk)
    found = []
    while (line := splitter.take()) is not None:
        found.append(line)
    last = splitter.take_unfinished()
    whole = b"".join(chunks)
    expected = whole.split(b"\n")
    assert [line.value for line in found] == [v if len(v) <= limit else None for v in expected[:-1]]
    assert (last.value if last else b"") == (expected[-1] if len(expected[-1]) <= limit else None)
    assert sum(line.size for line in found) + (last.size if last else 0) == len(whole)


def test_a_full_batch_says_so_for_rejected_lines_too() -> None:
    batch = LineBatch(5, 2, 3)
    splitter = LineSplitter(3)
    splitter.feed(b"long line\n\nlong line\n")
    while (line := splitter.take()) is not None:
        batch.add(line)
    assert batch.full
    assert [r.offset for r in batch.rejected] == [5, 7]
    assert batch.next == 8
