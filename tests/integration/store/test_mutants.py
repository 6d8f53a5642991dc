"""Each guarantee of the store is held by one mechanism; without it the checks must fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from monitor.store import Commit, OffsetMove, PendingDelivery, SqlStore, open_store, schema, writes
from monitor.store.locks import AdvisoryLock, FileLock
from monitor.store.statements import insert
from tests.integration.store import test_concurrency, test_faults, test_locks
from tests.integration.store.contract import StoreContract

CHECKS = StoreContract()
CAUGHT = (AssertionError, pytest.fail.Exception)


def move_without_comparing(connection: sa.Connection, move: OffsetMove, now: float) -> None:
    row = {"source": move.source, "partition": move.partition}
    new = {"next": move.next, "cursor": move.cursor, "committed_at": now}
    statement = insert(connection, schema.offsets).values(row | new)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["source", "partition"], set_=new)
    )


def test_without_compare_and_set_a_zombie_is_noticed(
    store: SqlStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "move_offset", move_without_comparing)
    with pytest.raises(CAUGHT):
        CHECKS.test_a_zombie_detector_changes_nothing(store, 9)
    with pytest.raises(CAUGHT):
        CHECKS.test_an_offset_of_an_unknown_partition_is_a_conflict(store)
    with pytest.raises(CAUGHT):
        test_concurrency.test_of_detectors_that_race_for_a_batch_one_wins(url)


def test_offsets_committed_separately_are_noticed(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = store.commit

    def in_two_transactions(commit: Commit, *, now: float) -> None:
        whole(Commit(offsets=commit.offsets), now=now)
        whole(replace(commit, offsets=()), now=now)

    monkeypatch.setattr(
        SqlStore, "commit", lambda _, commit, now: in_two_transactions(commit, now=now)
    )
    with pytest.raises(CAUGHT):
        test_faults.test_a_commit_that_fails_in_the_middle_changes_nothing(store)


def test_a_transaction_that_is_none_is_noticed(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def each_statement_alone(_: object, engine: sa.Engine) -> Iterator[sa.Connection]:
        options = {"isolation_level": "AUTOCOMMIT", "sqlite_begin": ""}
        with engine.execution_options(**options).connect() as connection:
            yield connection

    for lock in (FileLock, AdvisoryLock):
        monkeypatch.setattr(lock, "begin", each_statement_alone)
    with pytest.raises(CAUGHT):
        test_faults.test_a_commit_that_fails_in_the_middle_changes_nothing(store)


def test_a_lock_that_is_none_is_noticed(
    store: SqlStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for lock in (FileLock, AdvisoryLock):
        monkeypatch.setattr(lock, "acquire", lambda _: None)
    with pytest.raises(CAUGHT):
        test_locks.test_two_processes_cannot_both_detect(store, url)


def test_commits_outside_the_session_with_the_lock_are_noticed(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def any_session(_: object, engine: sa.Engine) -> Iterator[sa.Connection]:
        with engine.begin() as connection:
            yield connection

    monkeypatch.setattr(AdvisoryLock, "begin", any_session)
    with pytest.raises(CAUGHT):
        test_locks.test_a_detector_that_lost_its_session_cannot_commit(postgres_database)


def test_deliveries_out_of_order_are_noticed(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_due(store: SqlStore, *, now: float, limit: int = 100) -> list[PendingDelivery]:
        row = schema.outbox.c
        columns = [row[field.name] for field in fields(PendingDelivery)]
        query = sa.select(*columns).where(row.closed_at.is_(None), row.due_at <= now)
        with store._engine.connect() as connection:
            return [PendingDelivery(*found) for found in connection.execute(query.order_by(row.id))]

    monkeypatch.setattr(SqlStore, "deliveries", all_due)
    with pytest.raises((*CAUGHT, ValueError)):
        CHECKS.test_transitions_of_one_alert_go_out_in_order(store)


@pytest.mark.parametrize(
    ("mechanism", "check"),
    [
        ("_prune", CHECKS.test_what_is_too_old_goes_and_the_rest_stays),
        ("_insert_seen", CHECKS.test_a_key_seen_on_another_day_or_deployment_counts_again),
        ("_write_windows", CHECKS.test_a_learning_window_comes_back_in_order_and_goes_when_closed),
        ("_apply_action", CHECKS.test_an_operators_action_is_applied_once_and_stays_on_record),
        ("_add_totals", CHECKS.test_totals_add_up),
    ],
)
def test_a_commit_that_forgets_a_part_is_noticed(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch, mechanism: str, check: Any
) -> None:
    monkeypatch.setattr(writes, mechanism, lambda *_: None)
    with pytest.raises(CAUGHT):
        check(store)


def test_the_checks_themselves_pass_on_the_real_store(url: str) -> None:
    """Otherwise a mutant could be noticed for the wrong reason."""
    checks = [
        partial(CHECKS.test_a_zombie_detector_changes_nothing, stale=9),
        test_faults.test_a_commit_that_fails_in_the_middle_changes_nothing,
    ]
    for check in checks:
        with closing(open_store(url)) as store:
            check(store)
            with store._engine.begin() as connection:
                for table in schema.metadata.sorted_tables:
                    connection.execute(sa.delete(table))
