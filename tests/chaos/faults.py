"""What the world does to a run: a store refuses, or does its work and fails to say so; a process
dies between sending an alert and writing down that it did."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Mapping
from typing import Any

from monitor.alerts.channels import WebhookChannel
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


def _die_after_sending(nth: int) -> None:
    whole = WebhookChannel.send
    sent = 0

    def send(self: WebhookChannel, alert: bytes) -> None:
        nonlocal sent
        whole(self, alert)
        sent += 1
        if sent == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    WebhookChannel.send = send  # type: ignore[method-assign]


def _fill_the_disk() -> None:
    """Files cannot grow any more once they have a megabyte and a half."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))


FAULTS: Mapping[str, Callable[[], None]] = {
    "commits refused": lambda: _commits(_refuse, REFUSED),
    "answers lost": lambda: _commits(_lose_the_answer, REFUSED),
    "first answer lost": lambda: _commits(_lose_the_answer, range(1, 2)),
    "gone for good": lambda: _commits(_refuse, range(6, 1_000)),
    "dies after sending": lambda: _die_after_sending(1),
    "dies after sending again": lambda: _die_after_sending(2),
    "disk full": _fill_the_disk,
    "reads fail": _no_reads,
}


def install(names: tuple[str, ...]) -> None:
    if names:
        embedded.RETRY_SECONDS = (0.01,) * 15  # type: ignore[misc]
    for name in names:
        FAULTS[name]()
