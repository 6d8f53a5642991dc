"""One open alarm of a lane: what it began with and what was counted since."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from monitor.detection.change import ChangeEstimate
from monitor.detection.counts import IntArray
from monitor.detection.finding import Breadth, Change, Severity

MOST_UPDATES: Final = 3


@dataclass(slots=True, eq=False)
class Incident:
    """Latched from `open` to `resolve`."""

    alert: str
    severity: Severity
    opened: float
    at: float
    earliest: float
    latest: float
    before: IntArray
    """Counts of the reference at tau, by `Layout`."""
    since: IntArray
    """Counts since tau, by `Layout`; grows."""
    evidence: float
    """ln of the uncapped likelihood ratio since tau; grows."""
    alternative: int
    """Index of the alternative that `evidence` follows."""
    factor: float
    """Estimated ratio of the counts' rate after to before (share of refusals left, ...)."""
    recovery: list[float]
    """ln R of the statistics that must reach 0 for recovery."""
    family: str = ""
    attribution: str = "undecided"
    direction: str = ""
    group: str = ""
    updates: int = 0
    reported_n: int = 0
    """Interactions since tau when the last finding went out."""
    breadth: Breadth | None = None
    flagged: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def begin(
        cls,
        alert: str,
        severity: Severity,
        change: ChangeEstimate,
        *,
        opened: float,
        before: IntArray,
        since: IntArray,
        factor: float,
        statistics: int,
        family: str,
        attribution: str,
        direction: str = "",
        group: str = "",
        notes: tuple[str, ...] = (),
    ) -> Incident:
        return cls(
            alert=alert,
            severity=severity,
            opened=opened,
            at=change.at,
            earliest=change.earliest,
            latest=change.latest,
            before=before,
            since=since,
            evidence=change.evidence,
            alternative=change.alternative,
            factor=factor,
            recovery=[-np.inf] * statistics,
            family=family,
            attribution=attribution,
            direction=direction,
            group=group,
            reported_n=int(since[0]),
            notes=notes,
        )

    @property
    def change(self) -> Change:
        return Change(self.at, self.earliest, self.latest, records_since=int(self.since[0]))

    def count(self, live: IntArray) -> None:
        """One more epoch since tau."""
        self.since = self.since + live

    @property
    def known(self) -> tuple[object, ...]:
        """What an update would have to change to be worth sending."""
        return self.severity, self.breadth, self.flagged, self.notes

    @property
    def may_update(self) -> bool:
        """Few updates, each after as many records again as all before."""
        return self.updates < MOST_UPDATES and int(self.since[0]) >= 2 * self.reported_n

    def updated(self) -> None:
        self.updates += 1
        self.reported_n = int(self.since[0])

    def to_state(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in self.__slots__}
        breadth = self.breadth and [self.breadth.label, list(self.breadth.groups)]
        vectors = {"before": self.before.tolist(), "since": self.since.tolist()}
        lists = {"flagged": list(self.flagged), "notes": list(self.notes)}
        return state | vectors | lists | {"breadth": breadth, "recovery": list(self.recovery)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Incident:
        vectors = {name: np.array(state[name], dtype=np.int64) for name in ("before", "since")}
        tuples = {name: tuple(state[name]) for name in ("flagged", "notes")}
        breadth = state["breadth"] and Breadth(state["breadth"][0], tuple(state["breadth"][1]))
        recovery = list(state["recovery"])
        return cls(**(state | vectors | tuples | {"breadth": breadth, "recovery": recovery}))
