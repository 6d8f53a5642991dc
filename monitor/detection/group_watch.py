"""`HazardSpike` on one lane: the group witnesses with their change times and incidents."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.detection.breadth import coarse_bins, coarse_indicator
from monitor.detection.change import ChangeTime
from monitor.detection.counts import IntArray
from monitor.detection.gamma_poisson import PRIOR_SHAPE, FloatArray
from monitor.detection.incident import Incident
from monitor.detection.recovery import harmful_prompts, returned
from monitor.detection.shiryaev_roberts import ShiryaevRoberts
from monitor.detection.spikes import GroupCounts, GroupWitnesses
from monitor.detection.tally import Layout
from monitor.detection.watches import HORIZON
from monitor.detection.witnesses import LEFT
from monitor.records import GROUPS

ALERT = "HazardSpike"


class GroupWatch:
    """One alarm per hazard group. Recovery is against the reference at the change time."""

    __slots__ = ("_coarse", "change", "incidents", "layout", "witnesses")

    def __init__(self, layout: Layout, volume: IntArray, d1: float) -> None:
        self.layout = layout
        self._coarse = coarse_indicator(coarse_bins(volume))
        self.witnesses = GroupWitnesses(layout.groups, d1)
        self.change = ChangeTime.zero(
            alternatives=len(LEFT), counts=1 + 2 * layout.bins, runs=(layout.groups,)
        )
        self.incidents: list[Incident | None] = [None] * layout.groups

    def log_likelihoods(self, reference: IntArray, live: IntArray) -> FloatArray:
        """(witness, ..., G, K) in nats, of vectors (..., size)."""
        return self.witnesses.log_likelihoods(self._counts(reference), self._counts(live))

    def update(
        self, log_likelihood: FloatArray, live: IntArray, spend: float, *, start: float, end: float
    ) -> None:
        """One epoch without an open page; `log_likelihood` (witness, G, K)."""
        layout = self.layout
        self.witnesses.statistic.update(log_likelihood, spend)
        n = np.full((layout.groups, 1), layout.n(live))
        counts = np.concatenate([n, layout.refused(live), layout.answered(live)], axis=1)
        both = log_likelihood[0] + log_likelihood[1]
        self.change.update(both, counts, start=start, end=end)

    def due(self) -> list[int]:
        """Groups whose alarm opens now."""
        return [group for group in self.witnesses.due() if self.incidents[group] is None]

    def open(self, group: int, reference: IntArray, at: float) -> Incident:
        """Open the alarm of `group`; `reference` holds everything counted so far."""
        change = self.change.estimate(group)
        since = self._vector(group, change.counts)
        before = self._only(group, reference) - since
        (r0, n0), (r1, n1) = (
            (int(self.layout.refused(v).sum()), int(v[0])) for v in (before, since)
        )
        left = (r1 + PRIOR_SHAPE) * n0 / ((r0 + PRIOR_SHAPE) * n1)
        incident = Incident.begin(
            ALERT,
            "ticket",
            change,
            opened=at,
            before=before,
            since=since,
            factor=min(left, 0.8),
            statistics=2,
            family="group_witnesses",
            attribution="model",
            group=GROUPS[group],
        )
        incident.flagged = (GROUPS[group],)
        self.incidents[group] = incident
        return incident

    def recovered(self, live: IntArray, refused_rate: float) -> list[Incident]:
        """Open alarms that end with this epoch: both counts of the group are back."""
        return [
            incident
            for group, incident in enumerate(self.incidents)
            if incident is not None
            and self._is_back(incident, self._only(group, live), refused_rate)
        ]

    def close(self, incident: Incident) -> None:
        for group, other in enumerate(self.incidents):
            if other is incident:
                self.incidents[group] = None
                self.witnesses.statistic.reset((slice(None), group))
                self.change.reset(group)

    def reset(self) -> None:
        """Forget all evidence and all open alarms."""
        self.incidents = [None] * self.layout.groups
        self.witnesses.reset()
        self.change.reset()

    def _is_back(self, incident: Incident, live: IntArray, refused_rate: float) -> bool:
        layout, n = self.layout, self.layout.n(live)
        spend = harmful_prompts(n, refused_rate, horizon=HORIZON)
        (r0, c0), (r1, c1) = (
            (int(layout.refused(v).sum()), int(layout.answered(v).sum()))
            for v in (incident.before, live)
        )
        n0 = layout.n(incident.before)
        lost = (1.0 - incident.factor) * r0
        rise = (c0 + lost + PRIOR_SHAPE) / (c0 + PRIOR_SHAPE)
        back = ShiryaevRoberts(np.array(incident.recovery)[:, None])
        back.update(
            np.stack(
                [
                    returned(r1, n, rate=(r0 + PRIOR_SHAPE) / n0, factor=incident.factor),
                    returned(c1, n, rate=(c0 + PRIOR_SHAPE) / n0, factor=rise),
                ]
            ),
            spend,
        )
        incident.recovery = back.log_r[:, 0].tolist()
        return bool(back.evidence().min() >= 0.0)

    def _counts(self, vector: IntArray) -> GroupCounts:
        tables = self.layout.tables(vector) @ self._coarse
        return GroupCounts(tables[..., 0, :, :], tables[..., 1, :, :], vector[..., 0])

    def _vector(self, group: int, counts: IntArray) -> IntArray:
        """Counts of the twin of `group` as a vector in which the other groups are empty."""
        vector = np.zeros(self.layout.size, dtype=np.int64)
        vector[0] = counts[0]
        bins = self.layout.bins
        self.layout.refused(vector)[group] = counts[1 : 1 + bins]
        self.layout.answered(vector)[group] = counts[1 + bins :]
        return vector

    def only(self, name: str, vector: IntArray) -> IntArray:
        """Counts of the hazard group `name`, with those of the others left out."""
        return self._only(GROUPS.index(name), vector)

    def _only(self, group: int, vector: IntArray) -> IntArray:
        layout = self.layout
        parts = [vector[:1], layout.refused(vector)[group], layout.answered(vector)[group]]
        return self._vector(group, np.concatenate(parts))

    def to_state(self) -> dict[str, Any]:
        return {
            "log_r": self.witnesses.statistic.log_r.tolist(),
            "change": self.change.to_state(),
            "incidents": [i and i.to_state() for i in self.incidents],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.witnesses.statistic.log_r = np.array(state["log_r"], dtype=np.float64)
        self.change = ChangeTime.from_state(state["change"])
        self.incidents = [i and Incident.from_state(i) for i in state["incidents"]]
