"""The guarantees taken out one by one; with any of them gone the suite must find a difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitor.pipeline import assembly, state
from monitor.pipeline.embedded import Embedded
from monitor.pipeline.outputs import FileOutput
from monitor.store.base import Commit, OffsetMove
from monitor.store.sql import SqlStore
from tests.chaos.patches import Whole, put, put_commit

Checkpoint = Callable[[str], None]


def _offsets_apart(checkpoint: Checkpoint) -> None:
    """Commit the offsets after the state, in a transaction of their own."""

    def commit(whole: Whole, store: SqlStore, commit: Commit, now: float) -> None:
        whole(store, replace(commit, offsets=()), now)
        checkpoint("between")
        whole(store, Commit(offsets=commit.offsets), now)

    put_commit(commit)


def _outbox_apart(checkpoint: Checkpoint) -> None:
    """Write down what is to be delivered once the state is committed."""

    def commit(whole: Whole, store: SqlStore, commit: Commit, now: float) -> None:
        whole(store, replace(commit, outbox=()), now)
        if commit.outbox:
            checkpoint("before outbox")
            whole(store, Commit(outbox=commit.outbox), now)

    put_commit(commit)


def _no_compare_and_set(_: Checkpoint) -> None:
    """Write offsets whatever they have become in the meantime."""

    def blind(store: SqlStore, move: OffsetMove) -> OffsetMove:
        stored = store.offsets(move.source).get(move.partition)
        return replace(move, expected=None if stored is None else stored[0])

    def commit(whole: Whole, store: SqlStore, commit: Commit, now: float) -> None:
        moves = [blind(store, move) for move in commit.offsets]
        whole(store, replace(commit, offsets=moves), now)

    put_commit(commit)


def _no_commit_number(_: Checkpoint) -> None:
    """Protect only commits that move the offset of a source."""

    def commit(whole: Whole, store: SqlStore, commit: Commit, now: float) -> None:
        moves = [move for move in commit.offsets if move.source != state.COMMITS]
        whole(store, replace(commit, offsets=moves), now)

    put_commit(commit)


def _outputs_not_cut(_: Checkpoint) -> None:
    """Continue output files at their end instead of at their stored length."""
    put(assembly, "open_output", lambda original: lambda path, _: original(path, {}))
    put(FileOutput, "cut", lambda _: lambda self, length: None)


def _outputs_after_commit(_: Checkpoint) -> None:
    """Let lines wait in memory while the commit that counts them is already made."""
    put(FileOutput, "prepare", lambda _: lambda self: self._file.tell())


def _no_start_over(_: Checkpoint) -> None:
    """Go on with what memory holds after a commit that may not have been made."""

    def make(start_over: Any) -> Any:
        def once(self: Embedded) -> None:
            if not self.started:
                start_over(self)
            self.source.resume()

        return once

    put(Embedded, "_start_over", make)


def _no_lock(_: Checkpoint) -> None:
    """Let two processes work on one store, as when a lock is lost unnoticed."""
    put(SqlStore, "lock", lambda _: lambda self: None)


MUTANTS: Mapping[str, Callable[[Checkpoint], None]] = {
    "offsets apart": _offsets_apart,
    "outbox apart": _outbox_apart,
    "no compare-and-set": _no_compare_and_set,
    "no commit number": _no_commit_number,
    "outputs not cut": _outputs_not_cut,
    "outputs after commit": _outputs_after_commit,
    "no start over": _no_start_over,
    "no lock": _no_lock,
}


def install(names: Sequence[str], checkpoint: Checkpoint) -> None:
    for name in names:
        MUTANTS[name](checkpoint)
