"""The guarantees taken out one by one; with any of them the harness must find a difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from monitor.pipeline import assembly
from monitor.store.base import Commit
from monitor.store.sql import SqlStore

Checkpoint = Callable[[str], None]


def _offsets_apart(checkpoint: Checkpoint) -> None:
    """Commit the offsets after the state, in a transaction of their own."""
    whole = SqlStore.commit

    def commit(self: SqlStore, commit: Commit, *, now: float) -> None:
        whole(self, replace(commit, offsets=()), now=now)
        checkpoint("between")
        whole(self, Commit(offsets=commit.offsets), now=now)

    SqlStore.commit = commit  # type: ignore[method-assign]


def _no_compare_and_set(_: Checkpoint) -> None:
    """Write offsets whatever they have become in the meantime."""
    whole = SqlStore.commit

    def commit(self: SqlStore, commit: Commit, *, now: float) -> None:
        moves = []
        for move in commit.offsets:
            stored = self.offsets(move.source).get(move.partition)
            moves.append(replace(move, expected=None if stored is None else stored[0]))
        whole(self, replace(commit, offsets=moves), now=now)

    SqlStore.commit = commit  # type: ignore[method-assign]


def _outputs_not_cut(_: Checkpoint) -> None:
    """Continue output files at their end instead of at their stored length."""
    original = assembly.open_output
    assembly.open_output = lambda path, _: original(path, {})  # type: ignore[attr-defined]


def _no_lock(_: Checkpoint) -> None:
    """Let two processes work on one store, as when a lock is lost unnoticed."""
    SqlStore.lock = lambda self: None  # type: ignore[method-assign]


MUTANTS: Mapping[str, Callable[[Checkpoint], None]] = {
    "offsets_apart": _offsets_apart,
    "no_compare_and_set": _no_compare_and_set,
    "outputs_not_cut": _outputs_not_cut,
    "no_lock": _no_lock,
}


def install(names: Sequence[str], checkpoint: Checkpoint) -> None:
    for name in names:
        MUTANTS[name](checkpoint)
