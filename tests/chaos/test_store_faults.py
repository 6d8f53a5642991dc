"""The database goes away in the middle of a run, or does its work and fails to say so."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.chaos.harness import Worker, proven_kills


@pytest.mark.parametrize(
    "fault", ["commits refused", "answers lost", "first answer lost", "reads fail"]
)
def test_a_store_that_fails_for_a_while_costs_nothing(
    stream: str, whole: Worker, tmp_path: Path, fault: str
) -> None:
    worker = Worker(tmp_path, stream, faults=[fault])
    worker.run()
    assert "is done again" in worker.errors
    assert worker.outputs() == whole.outputs()
    assert worker.contents() == whole.contents()


@pytest.mark.parametrize("fault", ["commits refused", "answers lost"])
def test_going_on_from_memory_is_caught(
    stream: str, whole: Worker, tmp_path: Path, fault: str
) -> None:
    worker = Worker(tmp_path, stream, faults=[fault], mutants=["no start over"])
    worker.start().wait()
    assert worker.contents() != whole.contents()


def test_a_store_that_stays_away_ends_the_run_in_good_order(
    stream: str, whole: Worker, tmp_path: Path
) -> None:
    """Nothing is lost: the next run goes on where the store is."""
    worker = Worker(tmp_path, stream, faults=["commits refused for good"])
    assert worker.start().wait() == 1
    worker.faults = ()
    worker.run()
    assert worker.outputs() == whole.outputs()
    assert worker.contents() == whole.contents()


def test_a_full_disk_costs_nothing(stream: str, whole: Worker, tmp_path: Path) -> None:
    worker = Worker(tmp_path, stream, faults=["disk full"])
    assert worker.start().wait() == 1
    assert "verdicts: cannot be written (File too large)" in worker.errors
    worker.faults = ()
    worker.run()
    assert worker.outputs() == whole.outputs()
    assert worker.contents() == whole.contents()


@contextmanager
def refusing_connections(url: str) -> Iterator[None]:
    """The server throws everybody out of the database and lets nobody in."""
    with administering(url) as (server, name):
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        end_sessions(server, name)
        try:
            yield
        finally:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@contextmanager
def administering(url: str) -> Iterator[tuple[psycopg.Connection[Any], str]]:
    """A connection to the server of `url`, and the name of its database."""
    server, _, name = url.replace("+psycopg", "").rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        yield connection, name


def end_sessions(server: psycopg.Connection[Any], name: str) -> None:
    server.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name]
    )


def test_postgresql_that_goes_away_and_comes_back_ends_as_sqlite_does(
    stream: str, whole: Worker, tmp_path: Path, postgres_database: str
) -> None:
    worker = Worker(tmp_path, stream, postgres_database)
    run = worker.start("detected", 15, signal.SIGSTOP)
    run.until_stopped()
    with refusing_connections(postgres_database):
        run.send(signal.SIGCONT)
        run.until(lambda: worker.errors.count("is done again") >= 3)
    assert run.wait() == 0, worker.errors
    assert worker.outputs() == whole.outputs()
    assert worker.contents() == whole.contents()


def test_kills_on_postgresql_lose_nothing(
    stream: str, whole: Worker, tmp_path: Path, postgres_database: str
) -> None:
    worker = Worker(tmp_path, stream, postgres_database)
    for point in ("written", "applied"):
        worker.kill(point, nth=15)
    worker.run()
    assert list(proven_kills(worker.notes())) == ["written", "applied"]
    assert worker.outputs() == whole.outputs()
    assert worker.contents() == whole.contents()


@pytest.mark.parametrize("successor_done", [True, False], ids=["done", "still running"])
def test_a_lock_that_was_lost_unnoticed_lets_nobody_do_harm(
    stream: str, whole: Worker, tmp_path: Path, postgres_database: str, successor_done: bool
) -> None:
    """The server drops the session that holds the lock, and another process takes over."""
    zombie = Worker(tmp_path / "zombie", stream, postgres_database)
    held = zombie.start("detected", 10, signal.SIGSTOP)
    held.until_stopped()
    with administering(postgres_database) as (server, name):
        end_sessions(server, name)
    successor = Worker(tmp_path / "successor", stream, postgres_database)
    taking_over = successor.start("" if successor_done else "detected", 10, signal.SIGSTOP)
    if successor_done:
        assert taking_over.wait() == 0
        held.send(signal.SIGCONT)
        assert held.wait() == 0, zombie.errors
    else:
        taking_over.until_stopped()
        held.send(signal.SIGCONT)
        assert held.wait() == 1
        assert "StoreLocked" in zombie.errors
        taking_over.send(signal.SIGCONT)
        assert taking_over.wait() == 0, successor.errors
    assert successor.contents() == whole.contents()
    assert successor.outputs()["alerts"] == whole.outputs()["alerts"]
