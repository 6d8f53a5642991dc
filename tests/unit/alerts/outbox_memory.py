"""An outbox in memory that keeps the promise of `Store.deliveries`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from monitor.store.base import PendingDelivery, StoreError


@dataclass
class Row:
    delivery: PendingDelivery
    due_at: float = 0.0
    closed: str = ""
    error: str = ""


@dataclass
class MemoryOutbox:
    rows: list[Row] = field(default_factory=list)
    ordered: bool = True
    """False: the mutant that forgets the order within a dedup key."""
    broken: set[str] = field(default_factory=set)
    """Names of the methods that fail."""

    def put(self, channel: str, key: str, event: str, payload: bytes = b"{}") -> int:
        number = len(self.rows)
        self.rows.append(Row(PendingDelivery(number, channel, key, event, payload, 0, 0.0)))
        return number

    def deliveries(self, *, now: float, limit: int = 100) -> Sequence[PendingDelivery]:
        self._may_fail("deliveries")
        heads: set[tuple[str, str]] = set()
        due = []
        for row in self.rows:
            line = (row.delivery.channel, row.delivery.dedup_key)
            if row.closed or (self.ordered and line in heads):
                continue
            heads.add(line)
            if row.due_at <= now:
                due.append(row.delivery)
        return due[:limit]

    def delivered(self, delivery: int, *, now: float) -> None:
        self._may_fail("delivered")
        self.rows[delivery].closed = "delivered"

    def delivery_failed(
        self, delivery: int, *, now: float, retry_at: float | None, error: str
    ) -> None:
        self._may_fail("delivery_failed")
        row = self.rows[delivery]
        tries = row.delivery.attempts + 1
        row.delivery = PendingDelivery(
            row.delivery.id,
            row.delivery.channel,
            row.delivery.dedup_key,
            row.delivery.event,
            row.delivery.payload,
            tries,
            row.delivery.created_at,
        )
        row.error = error
        if retry_at is None:
            row.closed = "given up"
        else:
            row.due_at = retry_at

    def _may_fail(self, method: str) -> None:
        if method in self.broken:
            raise StoreError("the disk is full; free some space")
