"""The guarantees taken out one by one; with any of them gone the suite must find a difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from monitor.pipeline import assembly, embedded, outputs, state
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


def _outbox_apart(checkpoint: Checkpoint) -> None:
    """Write down what is to be delivered once the state is committed."""
    whole = SqlStore.commit

    def commit(self: SqlStore, commit: Commit, *, now: float) -> None:
        whole(self, replace(commit, outbox=()), now=now)
        if commit.outbox:
            checkpoint("before outbox")
            whole(self, Commit(outbox=commit.outbox), now=now)

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


def _no_commit_number(_: Checkpoint) -> None:
    """Protect only commits that move the offset of a source."""
    whole = SqlStore.commit

    def commit(self: SqlStore, commit: Commit, *, now: float) -> None:
        moves = [move for move in commit.offsets if move.source != state.COMMITS]
        whole(self, replace(commit, offsets=moves), now=now)

    SqlStore.commit = commit  # type: ignore[method-assign]


def _outputs_not_cut(_: Checkpoint) -> None:
    """Continue output files at their end instead of at their stored length."""
    original = assembly.open_output
    assembly.open_output = lambda path, _: original(path, {})  # type: ignore[attr-defined]
    outputs.FileOutput.cut = lambda self, _: None  # type: ignore[method-assign]


def _outputs_after_commit(_: Checkpoint) -> None:
    """Let lines wait in memory while the commit that counts them is already made."""

    def prepare(self: Any) -> int:
        length: int = self._file.tell()
        return length

    outputs.FileOutput.prepare = prepare  # type: ignore[method-assign]


def _no_start_over(_: Checkpoint) -> None:
    """Go on with what memory holds after a commit that may not have been made."""
    load = embedded.Embedded._start_over

    def once(self: embedded.Embedded) -> None:
        if not self.started:
            load(self)
        self.source.resume()

    embedded.Embedded._start_over = once  # type: ignore[method-assign]


def _no_lock(_: Checkpoint) -> None:
    """Let two processes work on one store, as when a lock is lost unnoticed."""
    SqlStore.lock = lambda self: None  # type: ignore[method-assign]


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


def install(names: tuple[str, ...], checkpoint: Checkpoint) -> None:
    for name in names:
        MUTANTS[name](checkpoint)
