"""`Unalignment`: the page of the two witnesses, from opening to recovery."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from monitor.detection.change import ChangeEstimate, ChangeTime
from monitor.detection.counts import IntArray
from monitor.detection.gamma_poisson import PRIOR_SHAPE, FloatArray
from monitor.detection.incident import Incident
from monitor.detection.recent import Recent
from monitor.detection.recovery import Recovery
from monitor.detection.tally import Layout
from monitor.detection.witnesses import (
    LEFT,
    TwoWitnesses,
    rates,
    refused_rate,
)

ALERT: Final = "Unalignment"
LEAST_ANSWERS: Final = 5
"""Answered risky prompts since tau, after deduplication, before anybody is paged."""
LEAST_SOURCES: Final = 3
WARNING: Final = math.log(0.01)
"""ln of both witnesses at which the lane warns."""
REFERENCE_MOVED_AFTER: Final = 50.0
"""Expected refusals for which the running reference alone must keep firing: the frozen twin
needs 10 to 15 harmful prompts more than it."""
_LEFT_RANGE: Final = (0.02, 0.9)


class Unalignment:
    """Two witnesses, their common CUSUM twin and at most one incident."""

    __slots__ = ("change", "incident", "running_for", "witnesses")

    def __init__(self, witnesses: TwoWitnesses, layout: Layout) -> None:
        self.witnesses = witnesses
        self.change = ChangeTime.zero(alternatives=len(LEFT), counts=layout.size)
        self.incident: Incident | None = None
        self.running_for = 0.0
        """Refusals expected since the running reference alone began to fire."""

    def update(
        self,
        log_likelihood: FloatArray,
        live: IntArray,
        spend: float,
        *,
        expected: float,
        start: float,
        end: float,
    ) -> None:
        """One epoch: `log_likelihood` of `TwoWitnesses`, `expected` refusals by the running
        reference."""
        self.witnesses.statistic.update(log_likelihood, spend)
        both = log_likelihood[0, 0] + log_likelihood[1, 0]
        if self.incident is None:
            self.change.update(both, live, start=start, end=end)
        else:
            self.incident.evidence += float(both[self.incident.alternative])
        refused, answered, *frozen = self.evidence
        if min(refused, answered) >= 0.0 and min(frozen) < 0.0:
            self.running_for += expected
        else:
            self.running_for = 0.0

    @property
    def evidence(self) -> tuple[float, float, float, float]:
        """ln W in the order of `Evidence`."""
        (refused, frozen_refused), (answered, frozen_answered) = (
            self.witnesses.statistic.evidence().tolist()
        )
        return refused, answered, frozen_refused, frozen_answered

    @property
    def _firing(self) -> bool:
        return min(self.evidence) >= 0.0

    @property
    def due(self) -> bool:
        """Both witnesses fire against both references, or against the running one alone for
        so long that the frozen twin will not follow."""
        return self.incident is None and (self._firing or self.reference_moved)

    @property
    def reference_moved(self) -> bool:
        return self.running_for >= REFERENCE_MOVED_AFTER

    @property
    def escalates(self) -> bool:
        """An incident that opened as a ticket has become a page."""
        incident = self.incident
        return incident is not None and incident.severity != "page" and self._firing

    @property
    def warning(self) -> bool:
        return min(self.evidence) >= WARNING

    @property
    def silent(self) -> tuple[bool, bool]:
        """Whether witness 1, 2 has nothing to say against the running reference."""
        refused, answered, *_ = self.evidence
        return refused < WARNING, answered < WARNING

    def open(
        self, layout: Layout, change: ChangeEstimate, *, before: IntArray, at: float, page: bool
    ) -> Incident:
        """Open the incident; `page` is whether this lane may page at all."""
        firing = self._firing
        self.incident = Incident.begin(
            ALERT,
            "page" if page and firing else "ticket",
            change,
            opened=at,
            before=before,
            since=change.counts,
            factor=self.left(layout, before, change.counts),
            statistics=2,
            family="two_witnesses",
            attribution="model",
            notes=() if firing else ("reference_moved",),
        )
        return self.incident

    def close(self, incident: Incident) -> None:
        if incident is self.incident:
            self.incident = None

    def left(self, layout: Layout, before: IntArray, since: IntArray) -> float:
        """Estimated share of refusals left."""
        expected = layout.n(since) * float(refused_rate(layout.witnesses(before)))
        ratio = (int(layout.refused(since).sum()) + PRIOR_SHAPE) / (expected + PRIOR_SHAPE)
        return min(max(ratio, _LEFT_RANGE[0]), _LEFT_RANGE[1])

    def has_recovered(self, layout: Layout, live: IntArray) -> bool:
        """One epoch of the open incident against the reference at tau."""
        if self.incident is None:
            return False
        back = Recovery(self.incident.factor)
        back.refused.log_r = np.array(self.incident.recovery[:1])
        back.answered.log_r = np.array(self.incident.recovery[1:])
        back.update(rates(layout.witnesses(self.incident.before)), layout.witnesses(live))
        self.incident.recovery = [float(back.refused.log_r[0]), float(back.answered.log_r[0])]
        return back.complete

    def reset(self) -> None:
        self.witnesses.reset()
        self.change.reset()
        self.running_for = 0.0

    def to_state(self) -> dict[str, Any]:
        return {
            "log_r": self.witnesses.statistic.log_r.tolist(),
            "change": self.change.to_state(),
            "running_for": self.running_for,
            "incident": None if self.incident is None else self.incident.to_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.witnesses.statistic.log_r = np.array(state["log_r"], dtype=np.float64)
        self.change = ChangeTime.from_state(state["change"])
        self.running_for = state["running_for"]
        incident = state["incident"]
        self.incident = None if incident is None else Incident.from_state(incident)


def degenerate_explains(layout: Layout, before: IntArray, since: IntArray) -> bool:
    """Whether broken outputs account for at least half of the refusals missing since tau.

    Both are excesses over what the reference expects, so that a model that always breaks one
    answer in fifty does not silence the alarm for good.
    """
    ratio = layout.n(since) / layout.n(before)
    broken = layout.degenerate(since) - layout.degenerate(before) * ratio
    missing = int(layout.refused(before).sum()) * ratio - int(layout.refused(since).sum())
    return broken > 0.0 and broken >= 0.5 * missing


def is_plausible(layout: Layout, before: IntArray, change: ChangeEstimate, recent: Recent) -> bool:
    """Whether there is enough to show, and broken outputs do not explain it: at least 5
    answers to risky prompts since tau, from 3 sources (or templates, where none is known)."""
    answered = int(layout.answered(change.counts).sum())
    sources = recent.sources_since(change.at) if recent.identified else LEAST_SOURCES
    return (
        answered >= LEAST_ANSWERS
        and sources >= LEAST_SOURCES
        and not degenerate_explains(layout, before, change.counts)
    )
