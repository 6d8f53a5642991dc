"""Rows for the tests, and a look at everything a store holds."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from monitor.store import (
    AlertRow,
    BaselineRow,
    Commit,
    LedgerEntry,
    ModelEventRow,
    OffsetMove,
    OutboxEntry,
    Retention,
    SqlStore,
)
from monitor.store.schema import metadata

BYTES = bytes(range(256)) + "é\0".encode()
BIG = 2**64 - 1
SOURCE = "kafka:llm.outputs"


def alert(key: str = "k1", **changes: Any) -> AlertRow:
    values = {
        "dedup_key": key,
        "alert": "Unalignment",
        "deployment": "chat",
        "artifact": "m1",
        "group": "",
        "severity": "page",
        "state": "open",
        "incident": 1,
        "updates": 0,
        "opened_at": 100.25,
        "changed_at": 100.25,
        "muted_until": None,
        "line": b'{"event":"open"}',
    }
    return AlertRow(**(values | changes))


def baseline(name: str = "b1", **changes: Any) -> BaselineRow:
    values = {
        "id": name,
        "deployment": "chat",
        "artifact": "m1",
        "state": "candidate",
        "body": BYTES,
    }
    return BaselineRow(**(values | changes))


def delivery(key: str = "k1", event: str = "open", channel: str = "log") -> OutboxEntry:
    return OutboxEntry(channel, key, event, f"{key} {event}".encode())


def move(expected: int | None, next_: int, partition: int = 0, cursor: str = "") -> OffsetMove:
    return OffsetMove(SOURCE, partition, expected, next_, cursor)


FIRST = Commit(
    offsets=[move(None, 10, 0, '{"byte":7}'), move(None, 20, 1)],
    states={"deployment:chat": BYTES, "pipeline": b""},
    seen={("chat", 19_000): [0, 1, 2**63 - 1, 2**63, BIG], ("code", 19_000): [5]},
    totals={("consumed", ""): 30, ("skipped", "excluded"): 2},
    ledger=[LedgerEntry("chat", "m1", 1_000, 9, 3, 2, 1, 1, 1, 0.1, -2.5)],
    window_rows={"chat": BYTES, "code": b"c"},
    baselines=[baseline("b2"), baseline("b1", deployment="code")],
    alerts=[alert("k1"), alert("k2", opened_at=300.0, state="resolved", muted_until=7.5)],
    outbox=[delivery("k1"), delivery("k1", "update"), delivery("k2"), delivery("k1", channel="pd")],
    events=[ModelEventRow("chat", 90.5, "deploy", "m2", "ci"), ModelEventRow("a", 1, "x", "", "")],
    outputs={"alerts.jsonl": 12, "-": 0},
)
"""Every part of a commit, with the values that are easy to damage."""

NAMES = ("chat", "code", "d", "e")


def older_than(minute: int, day: int, alerts: float, outbox: float) -> Retention:
    """One rule for every deployment of these rows."""
    return Retention(
        dict.fromkeys(NAMES, minute),
        dict.fromkeys(NAMES, day),
        dict.fromkeys(NAMES, alerts),
        outbox,
    )


EVERYTHING_CLOSED = older_than(10**6, 10**6, 1e12, 1e12)


def contents(store: SqlStore) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with store._engine.connect() as connection:
        return {
            table.name: sorted(
                (tuple(row) for row in connection.execute(sa.select(table))), key=repr
            )
            for table in metadata.sorted_tables
        }
