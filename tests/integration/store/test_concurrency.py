"""The detector, the outbox thread and operators write at the same time; nobody sees an error."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

from monitor.store import Commit, SqlStore, StateConflict, StoreError, open_store
from tests.integration.store.rows import SOURCE, delivery, move

BATCHES = 150

OPERATOR = """
import sys
from monitor.store import open_store
store = open_store(sys.argv[1])
for number in range(40):
    store.record_action("mute", by="ana", reason="", args={}, now=1.0)
store.close()
"""


def test_detector_outbox_and_operator_write_together(store: SqlStore, url: str) -> None:
    store.lock()
    finished = threading.Event()
    delivered: Counter[str] = Counter()

    def detect() -> None:
        try:
            for at in range(BATCHES):
                expected = at or None
                outbox = [delivery(f"k{at % 7}", str(at))]
                store.commit(Commit(offsets=[move(expected, at + 1)], outbox=outbox), now=1.0)
        finally:
            finished.set()

    def deliver() -> None:
        while True:
            last = finished.is_set()
            due = store.deliveries(now=2.0)
            for number, entry in enumerate(due):
                if number % 5 == 4 and not last:
                    store.delivery_failed(entry.id, now=2.0, retry_at=2.0, error="503")
                else:
                    delivered[entry.event] += 1
                    store.delivered(entry.id, now=2.0)
            if last and not due:
                return

    operator = subprocess.Popen([sys.executable, "-c", OPERATOR, url])
    with ThreadPoolExecutor(2) as pool:
        work = [pool.submit(task) for task in (detect, deliver)]
        for task in work:
            task.result(120)
    assert operator.wait(60) == 0
    assert delivered == Counter(str(at) for at in range(BATCHES))
    assert store.offsets(SOURCE) == {0: (BATCHES, "")}
    assert len(store.actions(pending=True)) == 40


@pytest.fixture
def in_the_making(tmp_path: Path) -> Iterator[str]:
    """URL of a new store to which another process writes for half a second."""
    path = tmp_path / "store.db"
    making = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    making.execute("BEGIN IMMEDIATE")
    end = threading.Timer(0.5, making.execute, ["ROLLBACK"])
    end.start()
    yield f"sqlite:///{path}"
    end.join()
    making.close()


def test_a_new_store_is_opened_while_another_process_makes_it(in_the_making: str) -> None:
    with closing(open_store(in_the_making)) as store:
        assert store.totals() == {}


def test_a_store_that_does_not_wait_for_its_maker_is_caught(
    in_the_making: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself waits for nobody while a file changes to write-ahead logging."""
    monkeypatch.setattr(import_module("monitor.store.upgrade"), "BUSY_SECONDS", -1)
    with pytest.raises(StoreError, match="database is locked"):
        open_store(in_the_making)


def race(url: str, task: Callable[[SqlStore, threading.Barrier], None], threads: int = 4) -> None:
    """Run `task` in several stores on one database at the same moment."""
    barrier = threading.Barrier(threads)

    def run() -> None:
        try:
            with closing(open_store(url)) as store:
                task(store, barrier)
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(threads) as pool:
        failed = [done.exception(120) for done in [pool.submit(run) for _ in range(threads)]]
    for error in failed:
        # The others only say that somebody did not come.
        if error is not None and not isinstance(error, threading.BrokenBarrierError):
            raise error
    assert not any(failed)


def test_of_detectors_that_race_for_a_batch_one_wins(url: str) -> None:
    rounds = 15
    won: list[int] = []

    def detect(store: SqlStore, barrier: threading.Barrier) -> None:
        for at in range(rounds):
            barrier.wait(60)
            commit = Commit(offsets=[move(at or None, at + 1)], totals={("consumed", ""): 1})
            try:
                store.commit(commit, now=1.0)
            except StateConflict:
                continue
            won.append(at)

    race(url, detect)
    assert sorted(won) == list(range(rounds))
    with closing(open_store(url)) as store:
        assert store.totals() == {("consumed", ""): rounds}


def test_processes_that_make_the_store_together_make_one(url: str) -> None:
    secrets: set[bytes] = set()
    barrier = threading.Barrier(4)

    def make(number: int) -> None:
        barrier.wait(60)
        with closing(open_store(url)) as store:
            secrets.add(store.secret("privacy", str(number).encode()))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(4)))
    assert len(secrets) == 1
