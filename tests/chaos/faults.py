"""What a store may do to a run: refuse, or do its work and fail to say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from monitor.pipeline import embedded
from monitor.store.base import Commit, StoreError
from monitor.store.sql import SqlStore

REFUSED = range(6, 9)
"""Numbers of the commits that are refused, or whose answer is lost."""


def _refuse(self: SqlStore, whole: Callable[..., Any], commit: Commit, now: float) -> None:
    raise StoreError("the database is away")


def _lose_the_answer(self: SqlStore, whole: Callable[..., Any], commit: Commit, now: float) -> None:
    whole(self, commit, now=now)
    raise StoreError("the connection broke before the answer came")


def _commits(fail: Callable[..., None], numbers: range) -> None:
    whole = SqlStore.commit
    made = 0

    def commit(self: SqlStore, commit: Commit, *, now: float) -> None:
        nonlocal made
        made += 1
        if made in numbers:
            fail(self, whole, commit, now)
        else:
            whole(self, commit, now=now)

    SqlStore.commit = commit  # type: ignore[method-assign]


def _no_reads() -> None:
    """Every third read of states, offsets, seen keys or actions fails for a while."""
    for name in ("states", "offsets", "seen", "actions"):
        _reads(name)


def _reads(name: str) -> None:
    whole = getattr(SqlStore, name)
    made = 0

    def read(self: SqlStore, *args: Any, **options: Any) -> Any:
        nonlocal made
        made += 1
        if made % 3 == 0 and made < 12:
            raise StoreError("the database is away")
        return whole(self, *args, **options)

    setattr(SqlStore, name, read)


FAULTS: Mapping[str, Callable[[], None]] = {
    "commits refused": lambda: _commits(_refuse, REFUSED),
    "answers lost": lambda: _commits(_lose_the_answer, REFUSED),
    "first answer lost": lambda: _commits(_lose_the_answer, range(1, 2)),
    "gone for good": lambda: _commits(_refuse, range(6, 1_000)),
    "reads fail": _no_reads,
}


def install(names: tuple[str, ...]) -> None:
    if names:
        embedded.RETRY_SECONDS = (0.01,) * 15  # type: ignore[misc]
    for name in names:
        FAULTS[name]()
