"""Rows of a batch by name: no record may be counted for somebody else, or out of order."""

from __future__ import annotations

from monitor.pipeline.rows import rows_of


def test_every_row_goes_to_its_name_once_and_in_order() -> None:
    names = ["b", "a", "b", "c", "a", "b"]
    found = {name: rows.tolist() for name, rows in rows_of(names).items()}
    assert found == {"b": [0, 2, 5], "a": [1, 4], "c": [3]}
    assert list(found) == ["b", "a", "c"]


def test_a_batch_of_one_name_and_an_empty_one() -> None:
    assert {name: rows.tolist() for name, rows in rows_of(["x"] * 3).items()} == {"x": [0, 1, 2]}
    assert rows_of([]) == {}
