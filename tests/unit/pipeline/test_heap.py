"""The garbage collector leaves alone what start-up made, and only while records go through."""

from __future__ import annotations

import gc

import pytest

from monitor.pipeline.heap import settled_heap


def test_what_was_there_is_not_walked_through_within_the_block() -> None:
    kept = [[] for _ in range(1_000)]
    with settled_heap():
        assert gc.get_freeze_count() >= len(kept)
        made = [[]]
        assert any(entry is made for entry in gc.get_objects())
        assert not any(entry is kept for entry in gc.get_objects())
    assert gc.get_freeze_count() == 0


def test_an_error_gives_everything_back_to_the_collector() -> None:
    with pytest.raises(ValueError, match="stop"), settled_heap():
        raise ValueError("stop")
    assert gc.get_freeze_count() == 0
