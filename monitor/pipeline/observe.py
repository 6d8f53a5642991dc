"""What the outside sees of a run: metrics of committed state, liveness, readiness."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from monitor.pipeline.deployment import Deployment
from monitor.pipeline.embedded import Embedded
from monitor.store.base import StoreError
from monitor.telemetry import Health, LaneMetrics, MetricsSnapshot, progressing

REFRESH_SECONDS: Final = 1.0


@dataclass(slots=True)
class Observatory:
    """Takes a snapshot after a commit, at most once a second, for other threads to read."""

    embedded: Embedded
    build: dict[str, str]
    snapshot: MetricsSnapshot = field(init=False)
    _taken: float = 0.0

    def __post_init__(self) -> None:
        # Whoever asks before the source is open must not see counters begin at 0 again.
        totals = dict(self.embedded.store.totals())
        self.snapshot = MetricsSnapshot(totals=totals, build=self.build)

    def refresh(self) -> None:
        """Called by the thread of the run, between batches."""
        now = time.monotonic()
        if now - self._taken >= REFRESH_SECONDS:
            self._taken = now
            self.snapshot = self._take()

    def healthy(self) -> Health:
        """Whether the loop goes round."""
        return progressing(lambda: self.embedded.beat)()

    def ready(self) -> Health:
        """Whether source and store are there."""
        if not self.embedded.started:
            return Health(False, "the source is not open yet")
        try:
            self.embedded.store.outbox_backlog()
        except StoreError as error:
            return Health(False, str(error))
        return Health(True)

    def _take(self) -> MetricsSnapshot:
        embedded = self.embedded
        deployments = embedded.detect.deployments
        pending, oldest = embedded.store.outbox_backlog()
        rows = embedded.memory.desk.incidents.opened().values()
        return MetricsSnapshot(
            totals=dict(embedded.totals),
            lanes=[lane for d in deployments.values() for lane in _lanes(d)],
            learning_eta=_eta(deployments.values()),
            watermarks={
                name: d.watermark for name, d in deployments.items() if math.isfinite(d.watermark)
            },
            lag=embedded.source.lag(),
            outbox_pending=pending,
            outbox_oldest=0.0 if oldest is None else max(0.0, embedded.clock() - oldest),
            alerts_open=dict(Counter((r.deployment, r.alert, r.severity) for r in rows)),
            build=self.build,
        )


def _lanes(deployment: Deployment) -> list[LaneMetrics]:
    judged = deployment.judged + deployment.unjudged
    coverage = deployment.judged / judged if judged else None
    if not deployment.slots:
        return [
            LaneMetrics(
                deployment=deployment.name, artifact="", state="learning", coverage=coverage
            )
        ]
    lanes = []
    for name, slot in deployment.slots.items():
        gauges = slot.lane.gauges()
        lanes.append(
            LaneMetrics(
                deployment=deployment.name,
                artifact=name,
                state=gauges.status,
                evidence={
                    "refused": gauges.refused_evidence,
                    "risky_answered": gauges.answered_evidence,
                    "degenerate": gauges.degenerate_evidence,
                },
                before={
                    "refused": gauges.refused_before,
                    "risky_answered": gauges.answered_before,
                    "degenerate": gauges.degenerate_before,
                },
                now={
                    "refused": gauges.refused_now,
                    "risky_answered": gauges.answered_now,
                    "degenerate": gauges.degenerate_now,
                },
                reference_n=gauges.reference_n,
                armed_for=gauges.armed_for,
                coverage=coverage,
                budget_spent=gauges.budget_spent,
            )
        )
    return lanes


def _eta(deployments: Iterable[Deployment]) -> dict[str, float]:
    etas = {}
    for deployment in deployments:
        if deployment.learning is not None:
            eta = deployment.learning.eta(deployment.watermark)
            if eta is not None:
                etas[deployment.name] = eta
    return etas
