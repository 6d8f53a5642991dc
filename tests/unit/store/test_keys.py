"""Keys of 64 unsigned bits survive a database that only knows signed numbers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.store.keys import signed, unsigned

KEYS = st.lists(st.integers(0, 2**64 - 1))


@settings(derandomize=True)
@given(KEYS)
def test_no_key_becomes_another_one(keys: list[int]) -> None:
    stored = signed(keys)
    assert all(-(2**63) <= key < 2**63 for key in stored)
    assert unsigned(stored) == keys
