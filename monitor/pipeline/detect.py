"""The detect step: verdicts in; counts, findings and changed state out.

A function of the verdicts and their order: batch sizes, restarts and the wall clock leave no
trace in what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.detection import Baseline, Budget, EmptyWindowError, IntArray, Window, learn
from monitor.pipeline.canaries import watch_probe
from monitor.pipeline.classify import Classified
from monitor.pipeline.conditions import (
    blind,
    coverage_change,
    ingest_change,
    lateness_change,
)
from monitor.pipeline.counting import Live, count_window
from monitor.pipeline.deployment import BlockShare, Deployment
from monitor.pipeline.detected import Detected, Raised
from monitor.pipeline.event_time import EventTimes, ReadClock, resolve
from monitor.pipeline.judges import Pin, Shadow
from monitor.pipeline.learning import Learning, WindowRule
from monitor.pipeline.probed import Probed
from monitor.pipeline.rows import NO_ROWS, rows_of
from monitor.pipeline.shadow import learn_beside
from monitor.pipeline.watch import close_epoch, watch
from monitor.records import Outcome, VerdictBatch
from monitor.store.base import ModelEventRow

MAX_DEPLOYMENTS: Final = 1_000
OTHER_DEPLOYMENT: Final = "other"
AUTOMATIC: Final = "auto"
"""Who approved a baseline that nobody was asked about."""
ARM_FOR: Final = 0.2
"""A default window ends once losses to this share of refusals would be found."""

FloatArray = NDArray[np.float64]


def _turns(classified: Classified) -> Iterator[tuple[int, int, Probed | None]]:
    """Stretches of verdicts (from, to) with the probe read after each: what a probe says must
    not depend on where a poll ended."""
    start = 0
    for probe in classified.probes:
        stop = int(np.searchsorted(classified.order, probe.place))
        yield start, stop, probe
        start = stop
    yield start, len(classified.batch), None


def _is_enough(baseline: Baseline) -> bool:
    return baseline.armed_for is not None and baseline.armed_for >= ARM_FOR


class DetectStep:
    """Owns the state of every deployment; one instance per store."""

    def __init__(
        self,
        *,
        budget: Budget,
        rule: WindowRule,
        auto_approve: bool,
        seen: Callable[[str, int, Sequence[int]], set[int]],
        breaker_records: int,
        breaker_share: float,
        approved: frozenset[str] = frozenset(),
        tau: float | None = None,
    ) -> None:
        self.budget = budget
        self.rule = rule
        self.auto_approve = auto_approve
        self.seen = seen
        self.breaker_records = breaker_records
        self.breaker_share = breaker_share
        self.tau = tau
        self.approved = approved
        """Artifacts that the configuration names."""
        self.deployments: dict[str, Deployment] = {}
        self.clocks: dict[str, ReadClock] = {}
        self.lost_at: float | None = None
        """Event time of the latest loss of records that is not over yet."""
        self.known_artifacts: set[tuple[str, str]] = set()
        """(deployment, artifact) named by an approved baseline or by an event."""

    def restore(
        self,
        states: Mapping[str, bytes],
        *,
        clocks: Mapping[str, ReadClock],
        lost_at: float | None = None,
        baselines: Mapping[str, Baseline],
        events: Iterable[ModelEventRow],
        window: Callable[[str], Sequence[bytes]],
    ) -> None:
        """Replace all state by what a store holds."""
        self.clocks = dict(clocks)
        self.lost_at = lost_at
        self.deployments = {
            name: Deployment.decode(
                data, baselines=baselines, budget=self.budget, rule=self.rule, rows=window
            )
            for name, data in states.items()
        }
        self.know_only(events, baselines.values())

    def know_only(self, events: Iterable[ModelEventRow], baselines: Iterable[Baseline]) -> None:
        """No strangers are the artifacts of `events` and of approved `baselines`; all others
        are."""
        self.known_artifacts = {(event.deployment, event.artifact) for event in events}
        for baseline in baselines:
            if baseline.state == "approved":
                self.know(baseline)

    def know(self, baseline: Baseline) -> None:
        """The artifacts of an approved baseline are no strangers."""
        self.known_artifacts |= {(baseline.deployment, a) for a in baseline.artifacts}

    def knows(self, deployment: str, artifact: str) -> bool:
        """Whether somebody approved or announced `artifact`, or it is what the candidate in force
        was learned from: approving that is asked for already."""
        if artifact in self.approved or (deployment, artifact) in self.known_artifacts:
            return True
        held_to = self.deployments[deployment].baseline if deployment in self.deployments else None
        return held_to is not None and artifact in held_to.artifacts

    def pin(self, name: str) -> Pin:
        """What must judge the records of deployment `name`."""
        deployment = self.deployments.get(name)
        if deployment is None and len(self.deployments) >= MAX_DEPLOYMENTS:
            deployment = self.deployments.get(OTHER_DEPLOYMENT)
        return Pin() if deployment is None else deployment.pin

    def run(self, source: str, classified: Classified) -> Detected:
        """Count the verdicts of one poll; close every epoch that is over."""
        out = Detected()
        batch = classified.batch
        read = rows_of(batch.deployments)
        self._admit_all(classified, read)
        if len(batch):
            known = ~np.isnan(batch.ingest)
            low = self.clocks.setdefault(source, ReadClock()).ingest(batch.timestamps)
            ingest = np.where(known, batch.ingest, low)
        for start, stop, probe in _turns(classified):
            for deployment, rows in self._by_deployment(batch.deployments, start, stop, out):
                times = resolve(
                    batch.timestamps[rows], ingest[rows], known[rows], deployment.watermark
                )
                self._advance(deployment, classified, rows, times, out)
            if probe is not None:
                name = probe.deployment if self._admit(probe.deployment) else OTHER_DEPLOYMENT
                watch_probe(self.deployments[name], probe, self.budget, out)
        self._watch_ingest(classified, read, out)
        out.raised.sort(key=lambda raised: (raised.place, raised.deployment))
        return out

    def close_epochs(self) -> Detected:
        """Close every open epoch: the end of a file, or an idle source."""
        out = Detected()
        for name, deployment in sorted(self.deployments.items()):
            if any(slot.tally.records for slot in deployment.slots.values()):
                out.touched.add(name)
                close_epoch(deployment, 0, out)
        return out

    def _admit_all(self, classified: Classified, read: Mapping[str, IntArray]) -> None:
        """Give places to new deployments in the order read, rejected records included."""
        first = {name: int(classified.order[rows[0]]) for name, rows in read.items()}
        for probe in reversed(classified.probes):
            name = probe.deployment
            first[name] = min(probe.place, first.get(name, probe.place))
        for place, name in classified.rejected:
            first[name] = min(place, first.get(name, place))
        for name in sorted(first, key=lambda name: first[name]):
            self._admit(name)

    def _by_deployment(
        self, names: Sequence[str], start: int, stop: int, out: Detected
    ) -> Iterable[tuple[Deployment, IntArray]]:
        found: dict[str, list[IntArray]] = {}
        for name, rows in rows_of(names[start:stop]).items():
            known = name if self._admit(name) else OTHER_DEPLOYMENT
            if known is not name:
                out.totals["deployment_overflow", ""] += len(rows)
            found.setdefault(known, []).append(rows + start)
        for name, parts in found.items():
            yield self.deployments[name], np.sort(np.concatenate(parts))

    def _admit(self, name: str) -> bool:
        """Whether `name` has a place of its own, made for it if there is one left."""
        if name in self.deployments:
            return True
        full = len(self.deployments) >= MAX_DEPLOYMENTS
        admitted = OTHER_DEPLOYMENT if full else name
        if admitted not in self.deployments:
            deployment = Deployment(admitted, BlockShare(self.breaker_records))
            deployment.learning = Learning(self.rule)
            self.deployments[admitted] = deployment
        return not full

    def _advance(
        self,
        deployment: Deployment,
        classified: Classified,
        rows: IntArray,
        times: EventTimes,
        out: Detected,
    ) -> None:
        batch, places = classified.batch, classified.order[rows]
        out.touched.add(deployment.name)
        out.totals["late", ""] += times.late
        out.totals["clock_skew", ""] += times.skewed
        self._count_outcomes(deployment, batch, rows, out)
        self._watch_time(deployment, times, places, out)
        start = 0
        while deployment.learning is not None and start < len(rows):
            start = self._learn(deployment, batch, rows, times, places, start, out)
        if start < len(rows):
            self._watch_coverage(deployment, batch, rows, times, places, start, len(rows), out)
            epochs = times.epochs
            for first, stop in self._apart(deployment, classified, rows, epochs, start):
                part = slice(first, stop)
                live = Live(batch, rows[part], times.at[part], epochs[part], places[part])
                watch(deployment, live, self.budget, self.knows, self.seen, out)
                self._shadow(deployment, classified, rows[part], times.between(first, stop), out)
        out.mark(deployment, places, times.watermark)
        deployment.watermark = float(times.watermark[-1])

    def _count_outcomes(
        self,
        deployment: Deployment,
        batch: VerdictBatch,
        rows: IntArray,
        out: Detected,
    ) -> None:
        outcome = batch.outcome[rows]
        unjudged = outcome == Outcome.UNJUDGED
        deployment.consumed += len(rows)
        deployment.unjudged += int(unjudged.sum())
        deployment.judged += int((~unjudged & (outcome != Outcome.BLOCKED)).sum())
        for code, n in enumerate(np.bincount(outcome, minlength=len(Outcome)).tolist()):
            if n:
                out.totals["outcome", f"{deployment.name}|{Outcome(code).label}"] += n
        for i in rows[unjudged]:
            out.totals["unjudged", batch.reasons[i]] += 1

    def _watch_time(
        self, deployment: Deployment, times: EventTimes, places: IntArray, out: Detected
    ) -> None:
        """``IngestBroken`` while most records are dated long before the newest one: after a few
        from the years ahead, say, which nothing else can reach."""
        for last, share in deployment.lateness.feed(times.long_ago):
            at = float(times.watermark[last])
            change = lateness_change(deployment.raised, share, self.breaker_share, at)
            if change is not None:
                n = deployment.lateness.size
                counts = {"late": round(share * n), "read": n}
                place = int(places[last])
                out.raised.append(Raised(place, deployment.name, "", "", change, counts))

    def _watch_coverage(
        self,
        deployment: Deployment,
        batch: VerdictBatch,
        rows: IntArray,
        times: EventTimes,
        places: IntArray,
        start: int,
        stop: int,
        out: Detected,
    ) -> None:
        """``Blind`` while most of the records cannot be judged."""
        unjudged = batch.outcome[rows[start:stop]] == Outcome.UNJUDGED
        for last, share in deployment.coverage.feed(unjudged):
            if deployment.cannot_see_refusals:
                continue
            at = float(times.watermark[start + last])
            change = coverage_change(deployment.raised, share, at)
            if change is not None:
                n = deployment.coverage.size
                dark = round(share * n)
                place = int(places[start + last])
                out.found(deployment, "", place, [change], judged=n - dark, unjudged=dark)

    def _learn(
        self,
        deployment: Deployment,
        batch: VerdictBatch,
        rows: IntArray,
        times: EventTimes,
        places: IntArray,
        start: int,
        out: Detected,
    ) -> int:
        """Add to the learning window; returns the first row that is no longer part of it."""
        learning = deployment.learning
        if learning is None:
            return start
        classifier = batch.classifier_of(batch.deployments[int(rows[start])])
        if learning.classifier != classifier:
            if learning.count and learning.classifier:
                # One window never holds verdicts of two classifiers.
                learning = deployment.learning = Learning(self.rule, first=learning.first)
                out.end_windows([deployment.name])
            learning.classifier = classifier
        take, end = learning.room(times.watermark[start:])
        stop = start + take
        learning.append(batch, rows[start:stop], times.at[start:stop])
        self._watch_coverage(deployment, batch, rows, times, places, start, stop, out)
        out.keep_rows(deployment.name, learning.take_new())
        if end is not None or learning.due:
            last = start + (max(take - 1, 0) if end is None else end)
            at, place = float(times.watermark[last]), int(places[last])
            self._graduate(deployment, learning, end is not None, at, place, out)
        return stop

    def _graduate(
        self,
        deployment: Deployment,
        learning: Learning,
        over: bool,
        at: float,
        place: int,
        out: Detected,
    ) -> None:
        """Make a baseline of the window if it is over, or already good enough."""
        try:
            window, baseline = self._learned(deployment.name, learning)
        except EmptyWindowError:
            if over:
                deployment.learning = Learning(self.rule, first=learning.first)
                out.end_windows([deployment.name])
                self._cannot_see(deployment, at, place, out)
            else:
                learning.postpone()
            return
        if over or _is_enough(baseline):
            count_window(baseline, window, out)
            self._install(deployment, baseline, learning.first, at, place, out)
        else:
            learning.postpone()

    def _learned(self, deployment: str, learning: Learning) -> tuple[Window, Baseline]:
        window, artifact, artifacts = learning.window()
        return window, learn(
            window,
            deployment=deployment,
            artifact=artifact,
            artifacts=artifacts,
            classifier=learning.classifier,
            budget=self.budget,
            tau=self.tau,
        )

    def _apart(
        self,
        deployment: Deployment,
        classified: Classified,
        rows: IntArray,
        epochs: IntArray,
        start: int,
    ) -> Iterable[tuple[int, int]]:
        """Stretches (from, to) of the rows from `start` on to be watched at once. Beside a shadow
        run, which ends with the epoch that opens a page, these are epochs."""
        edges: list[int] = []
        if self._shadow_of(deployment, classified, rows) is not None:
            edges = (np.flatnonzero(np.diff(epochs[start:])) + 1 + start).tolist()
        return pairwise([start, *edges, len(rows)])

    def _shadow_of(
        self, deployment: Deployment, classified: Classified, rows: IntArray
    ) -> Shadow | None:
        shadow = classified.shadow
        if shadow is None or deployment.baseline is None:
            return None
        name = classified.batch.deployments[int(rows[0])]
        return shadow if name in shadow.deployments else None

    def _shadow(
        self,
        deployment: Deployment,
        classified: Classified,
        rows: IntArray,
        times: EventTimes,
        out: Detected,
    ) -> None:
        shadow = self._shadow_of(deployment, classified, rows)
        if shadow is None:
            return
        learn_beside(
            deployment, shadow, classified.batch, rows, times, rule=self.rule, learn=self._learned,
            is_enough=_is_enough, out=out,
        )  # fmt: skip

    def _install(
        self,
        deployment: Deployment,
        baseline: Baseline,
        first: bool,
        at: float,
        place: int,
        out: Detected,
    ) -> None:
        """Put a baseline in force where there is none: approved if it is the `first` one, else a
        candidate. Who retired a baseline wants to see the next one before it counts."""
        if self.auto_approve and first:
            reason = "first baseline of this deployment, approved automatically"
            baseline = baseline.with_approval(by=AUTOMATIC, at=at, reason=reason)
            self.know(baseline)
        deployment.baseline = baseline
        deployment.learning = None
        deployment.slot(baseline.artifact, at, self.budget)
        out.learned.append(baseline)
        out.end_windows([deployment.name])
        if baseline.blind:
            self._cannot_see(deployment, at, place, out)

    def _cannot_see(self, deployment: Deployment, at: float, place: int, out: Detected) -> None:
        if "Blind" not in deployment.raised:
            deployment.raised.add("Blind")
            out.found(deployment, "", place, [blind(at, "no_refusals")])

    def _watch_ingest(
        self, classified: Classified, read: Mapping[str, IntArray], out: Detected
    ) -> None:
        """``IngestBroken`` for a deployment most of whose records are rejected."""
        bad: dict[str, list[int]] = {}
        for place, name in classified.rejected:
            bad.setdefault(name, []).append(place)
        for name in dict.fromkeys([*read, *bad]):
            admitted = name if self._admit(name) else OTHER_DEPLOYMENT
            deployment = self.deployments[admitted]
            out.touched.add(admitted)
            good = classified.order[read.get(name, NO_ROWS)]
            places = np.concatenate([good, np.array(bad.get(name, ()), dtype=np.int64)])
            order = np.argsort(places, kind="stable")
            places, rejected = places[order], order >= len(good)
            for last, share in deployment.breaker.feed(rejected):
                at = max(out.watermark(deployment, int(places[last])), 0.0)
                change = ingest_change(deployment.raised, share, self.breaker_share, at)
                if change is not None:
                    n = deployment.breaker.size
                    counts = {"rejected": round(share * n), "read": n}
                    # No baseline: what cannot be read is held to none.
                    out.raised.append(Raised(int(places[last]), admitted, "", "", change, counts))
