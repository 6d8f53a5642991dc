"""Which alerts are open, and how many incidents there have been of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from monitor.store.base import AlertRow


class Incidents:
    """The detector's memory of alerts; its rows come from the store, its numbers from state.

    The lanes of a deployment have incidents of their own (one artifact may recover while
    another still fails), counted together, so that no two share a dedup key.

    Args:
        rows: alert rows of the store, any state, any order.
        numbers: what `numbers_state` gave, so that pruning closed alerts never makes a number,
            and with it a dedup key, come back.
    """

    def __init__(self, rows: Iterable[AlertRow] = (), numbers: bytes = b"") -> None:
        self._open: dict[tuple[str, str, str, str], AlertRow] = {}
        self._last: dict[tuple[str, str, str], int] = {}
        if numbers:
            for deployment, alert, group, last in msgspec.json.decode(
                numbers, type=list[tuple[str, str, str, int]]
            ):
                self._last[deployment, alert, group] = last
        for row in rows:
            self.note(row)

    def open(self, deployment: str, artifact: str, alert: str, group: str = "") -> AlertRow | None:
        """The open alert of one lane; `group` is `subject(finding)`."""
        return self._open.get((deployment, artifact, alert, group))

    def next_number(self, deployment: str, alert: str, group: str = "") -> int:
        """The number of the next incident, from 1."""
        return self._last.get((deployment, alert, group), 0) + 1

    def note(self, row: AlertRow) -> None:
        """Take in a new, changed or closed alert."""
        lane = (row.deployment, row.artifact, row.alert, row.group)
        known = self._open.get(lane)
        if row.state == "open":
            self._open[lane] = row
        elif known is not None and known.dedup_key == row.dedup_key:
            del self._open[lane]
        kind = (row.deployment, row.alert, row.group)
        self._last[kind] = max(row.incident, self._last.get(kind, 0))

    def opened(self, deployment: str | None = None) -> Mapping[str, AlertRow]:
        """Open alerts by dedup key."""
        return {
            row.dedup_key: row
            for row in self._open.values()
            if deployment is None or row.deployment == deployment
        }

    def numbers_state(self) -> bytes:
        """The last number of every kind of incident, in an order of its own: equal contents
        give equal bytes."""
        return msgspec.json.encode([[*kind, last] for kind, last in sorted(self._last.items())])
