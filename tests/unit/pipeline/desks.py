"""A detector with an operator in front of it, all in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.alerts import Incidents, Lifecycle, Links
from monitor.pipeline.actions import apply_actions
from monitor.pipeline.alerting import Alerting, Announced
from monitor.pipeline.detected import Detected
from monitor.store.base import Action, AlertRow
from tests.unit.pipeline.streams import START, Detector, Stream

CLOCK = START + 1e6
"""Wall clock of every action, far from event time."""


@dataclass
class Office:
    """Feeds streams, applies actions, keeps alert rows and lines."""

    detector: Detector = field(default_factory=Detector)
    lines: list[dict[str, Any]] = field(default_factory=list)
    unsaved: set[str] = field(default_factory=set)
    """Deployments that an action changed without saying so: lost with the process."""
    _number: int = 0

    def __post_init__(self) -> None:
        self.alerting = Alerting(Lifecycle(()), Incidents(), Links(), false_pages=1.0)

    def feed(self, source: Stream, cuts: tuple[int, ...] = ()) -> Office:
        for poll in source.polls(cuts):
            self._announce(self.detector.run(poll))
        self._announce(self.detector.close())
        return self

    def _announce(self, out: Detected) -> None:
        self._keep(self.alerting.announce(out.raised))

    def _keep(self, announced: Announced) -> None:
        self.lines += [json.loads(line) for line in announced.lines]

    def act(self, kind: str, /, *, by: str = "ann", reason: str = "", **args: str) -> str:
        """The result of one action, as the audit log keeps it."""
        self._number += 1
        action = Action(self._number, CLOCK, by, reason, kind, args)
        before = self.detector.states()
        detected, announced = Detected(), Announced()
        results: Mapping[int, str] = apply_actions(
            [action], self.detector.step, self.alerting, self.detector.baselines, detected,
            announced,
        )  # fmt: skip
        after = self.detector.states()
        changed = {name for name in after if before.get(name) != after[name]}
        self.unsaved |= changed - detected.touched
        self.detector.commit(detected)
        self._keep(announced)
        return results[action.id]

    def open(self, alert: str) -> list[AlertRow]:
        rows = self.alerting.incidents.opened().values()
        return [row for row in rows if row.alert == alert]

    def transitions(self, alert: str) -> list[str]:
        return [line["event"] for line in self.lines if line["alert"] == alert]

    @property
    def baseline_id(self) -> str:
        (baseline,) = self.detector.baselines.values()
        return baseline.id

    def state_of(self, baseline: str) -> str:
        return self.detector.baselines[baseline].state
