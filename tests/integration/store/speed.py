"""Commits a second, each with what a batch of 1,024 records changes.

``python -m tests.integration.store.speed [URL]``; by default a SQLite file in a new folder.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import closing

import numpy as np

from monitor.store import Commit, LedgerEntry, OffsetMove, OutboxEntry, SqlStore, open_store

RECORDS = 1_024
SECONDS = 8.0
random = np.random.default_rng(1)


def batch(at: int) -> Commit:
    """A busy batch: half its records are events, with two keys each."""
    deployments = [f"deployment-{number}" for number in range(4)]
    return Commit(
        offsets=[OffsetMove("file:outputs.jsonl", 0, at or None, at + 1, '{"byte": 123456}')],
        states={f"deployment:{name}": random.bytes(8_000) for name in deployments}
        | {"pipeline": random.bytes(500)},
        seen={(name, 20_000): _keys(RECORDS // 4) for name in deployments},
        totals={("classified", name): RECORDS // 4 for name in deployments}
        | {("consumed", ""): RECORDS},
        ledger=[LedgerEntry(name, "m", at // 20, 200, 20, 5) for name in deployments],
        outbox=[OutboxEntry("log", "k", "open", b"x" * 3_000)] if at % 100 == 0 else [],
        outputs={"alerts.jsonl": at, "verdicts.jsonl": at * 1_000},
    )


def _keys(count: int) -> list[int]:
    keys: list[int] = random.integers(0, 2**64, count, dtype=np.uint64).tolist()
    return keys


def measure(store: SqlStore) -> None:
    commits = [batch(at) for at in range(200)]
    spent: list[float] = []
    looked: list[float] = []
    begin = time.perf_counter()
    for commit in commits:
        started = time.perf_counter()
        for name, day in commit.seen:
            store.seen(name, day, _keys(RECORDS // 4))
        looked.append(time.perf_counter() - started)
        started = time.perf_counter()
        store.commit(commit, now=1.0)
        spent.append(time.perf_counter() - started)
        if time.perf_counter() - begin > SECONDS:
            break
    commit_ms, look_ms = np.median(spent) * 1e3, np.median(looked) * 1e3
    slow_ms = np.quantile(spent, 0.95) * 1e3
    print(f"{len(spent)} commits; median {commit_ms:.1f} ms, p95 {slow_ms:.1f} ms")
    print(f"{1e3 / commit_ms:.0f} commits/s; lookup of {RECORDS} keys {look_ms:.1f} ms")
    print(f"{RECORDS / (commit_ms + look_ms) * 1e3:,.0f} records/s with both")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"{folder}/store.db"
        with closing(open_store(url)) as opened:
            opened.lock()
            measure(opened)
