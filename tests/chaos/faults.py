"""What the world does to a run: a store refuses, or does its work and fails to say so; a disk is
full; a process dies between sending an alert and writing down that it did."""

from __future__ import annotations

import itertools
import os
import resource
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monitor.alerts.channels import WebhookChannel
from monitor.pipeline import embedded
from monitor.store.base import Commit, StoreError
from monitor.store.sql import SqlStore
from tests.chaos.patches import Whole, put, put_commit

A_WHILE = range(6, 9)
"""Numbers of the commits that go wrong; the first is that of the start."""
FOR_GOOD = range(6, 1_000)
AT_THE_START = range(1, 2)


def _refuse(numbers: range) -> None:
    """Commits fail and leave no trace."""
    count = itertools.count(1)

    def commit(whole: Whole, store: SqlStore, commit: Commit, now: float) -> None:
        if next(count) in numbers:
            raise StoreError("the database is away")
        whole(store, commit, now)

    put_commit(commit)


def _lose_the_answer(numbers: range) -> None:
    """Commits are made, but who asked for them hears that they failed."""
    count = itertools.count(1)

    def commit(whole: Whole, store: SqlStore, commit: Commit, now: float) -> None:
        whole(store, commit, now)
        if next(count) in numbers:
            raise StoreError("the connection broke before the answer came")

    put_commit(commit)


def _fail_to_read() -> None:
    """Every third read of states, offsets, seen keys or actions fails, until the twelfth."""

    def make(original: Any) -> Any:
        count = itertools.count(1)

        def read(*args: Any, **options: Any) -> Any:
            if next(count) in range(3, 12, 3):
                raise StoreError("the database is away")
            return original(*args, **options)

        return read

    for name in ("states", "offsets", "seen", "actions"):
        put(SqlStore, name, make)


def _fill_the_disk() -> None:
    """Files cannot grow any more once they have a megabyte and a half."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))


def _die_after_sending(nth: int) -> None:
    count = itertools.count(1)

    def make(original: Any) -> Any:
        def send(self: WebhookChannel, alert: bytes) -> None:
            original(self, alert)
            if next(count) == nth:
                os.kill(os.getpid(), signal.SIGKILL)

        return send

    put(WebhookChannel, "send", make)


FAULTS: Mapping[str, Callable[[], None]] = {
    "commits refused": lambda: _refuse(A_WHILE),
    "commits refused for good": lambda: _refuse(FOR_GOOD),
    "answers lost": lambda: _lose_the_answer(A_WHILE),
    "first answer lost": lambda: _lose_the_answer(AT_THE_START),
    "reads fail": _fail_to_read,
    "disk full": _fill_the_disk,
    "dies after sending": lambda: _die_after_sending(1),
    "dies after sending again": lambda: _die_after_sending(2),
}


def install(names: Sequence[str]) -> None:
    if names:
        put(embedded, "RETRY_SECONDS", lambda _: (0.01,) * 15)
    for name in names:
        FAULTS[name]()
