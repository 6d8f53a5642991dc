"""A store has one detector: never two, and never none for longer than the last one lives."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import sqlalchemy as sa

from monitor.store import Commit, SqlStore, StateConflict, StoreError, StoreLocked, open_store
from tests.integration.store.rows import SOURCE, contents, move

HOLDER = """
import sys
from monitor.store import open_store
store = open_store(sys.argv[1])
store.lock()
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def other_process(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"locked\n"
        yield holder
    finally:
        holder.kill()
        holder.wait(10)
        holder.stdin.close()
        holder.stdout.close()


def lock_within(store: SqlStore, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            store.lock()
        except StoreLocked:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def test_two_processes_cannot_both_detect(store: SqlStore, url: str) -> None:
    with other_process(url):
        with pytest.raises(StoreLocked, match="another process runs on store"):
            store.lock()
        # Looking at it and asking for something needs no lock.
        assert store.states() == {}
        store.record_action("mute", by="ana", reason="", args={}, now=1.0)


def test_the_lock_is_free_once_its_holder_is_killed(store: SqlStore, url: str) -> None:
    with other_process(url) as holder:
        holder.kill()
        holder.wait(10)
        lock_within(store, 10)
        store.commit(Commit(offsets=[move(None, 1)]), now=1.0)


def test_the_lock_is_free_once_its_holder_closes(store: SqlStore, url: str) -> None:
    with closing(open_store(url)) as first:
        first.lock()
        with pytest.raises(StoreLocked):
            store.lock()
    lock_within(store, 10)


def test_a_failed_try_leaves_the_lock_with_its_holder(store: SqlStore, url: str) -> None:
    store.lock()
    for _ in range(2):
        with closing(open_store(url)) as second, pytest.raises(StoreLocked):
            second.lock()
    with closing(open_store(url)) as third, pytest.raises(StoreLocked):
        third.lock()


def end_other_sessions(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    engine.dispose()


def test_a_detector_that_lost_its_session_cannot_commit(postgres_database: str) -> None:
    with closing(open_store(postgres_database)) as store:
        store.lock()
        store.commit(Commit(offsets=[move(None, 5)]), now=1.0)
        before = contents(store)
        end_other_sessions(postgres_database)
        for _ in range(3):
            with pytest.raises(StoreError) as caught:
                store.commit(Commit(offsets=[move(5, 6)]), now=2.0)
            assert not isinstance(caught.value, StateConflict)
        assert "lock" in str(caught.value)
        # Others work on: the pool finds new sessions, and the lock is free.
        assert contents(store) == before
        with closing(open_store(postgres_database)) as successor:
            lock_within(successor, 10)
            successor.commit(Commit(offsets=[move(5, 7)]), now=3.0)
            with pytest.raises(StoreError, match="start again"):
                store.commit(Commit(offsets=[move(7, 8)]), now=4.0)
            assert successor.offsets(SOURCE) == {0: (7, "")}


def test_stores_in_two_schemas_of_one_database_have_two_locks(postgres_database: str) -> None:
    engine = sa.create_engine(postgres_database)
    with engine.begin() as connection:
        for schema in ("blue", "green"):
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    engine.dispose()
    options = "?options=-csearch_path%3D"
    with (
        closing(open_store(f"{postgres_database}{options}blue")) as blue,
        closing(open_store(f"{postgres_database}{options}green")) as green,
    ):
        blue.lock()
        green.lock()
        blue.commit(Commit(states={"a": b""}), now=1.0)
        assert green.states() == {}
