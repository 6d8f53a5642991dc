"""How a worker puts something else in the place of a part of the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monitor.store.base import Commit
from monitor.store.sql import SqlStore

Whole = Callable[[SqlStore, Commit, float], None]
"""The commit as it is: store, what to commit, wall clock."""


def put(owner: Any, name: str, new: Callable[[Any], Any]) -> None:
    """Replace attribute `name` of `owner` by `new(what it was)`, until the process ends."""
    setattr(owner, name, new(getattr(owner, name)))


def put_commit(new: Callable[[Whole, SqlStore, Commit, float], None]) -> None:
    """Replace `SqlStore.commit` by `new`, which also gets the commit as it was."""

    def make(original: Any) -> Any:
        def whole(store: SqlStore, commit: Commit, now: float) -> None:
            original(store, commit, now=now)

        def replaced(self: SqlStore, commit: Commit, *, now: float) -> None:
            new(whole, self, commit, now)

        return replaced

    put(SqlStore, "commit", make)
