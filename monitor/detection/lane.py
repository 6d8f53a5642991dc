"""A lane: one artifact of one deployment, and everything detection knows about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from monitor.detection import describe, unalignment
from monitor.detection.ahead import Ahead, Likelihoods
from monitor.detection.arming import armed_for
from monitor.detection.baseline import Baseline
from monitor.detection.budget import Budget, epoch_share
from monitor.detection.counts import Epoch, EpochCounts, IntArray
from monitor.detection.detectors import TESTED, Detectors
from monitor.detection.finding import Event, Finding, Severity
from monitor.detection.gauges import LaneGauges, Status, gauges, log10
from monitor.detection.incident import MOST_UPDATES, Incident
from monitor.detection.learning import ARMED_K
from monitor.detection.recent import Recent
from monitor.detection.tally import Layout
from monitor.detection.watches import DEGENERATE_OUTPUT, RULES
from monitor.records import GROUPS

STATE_VERSION: Final = 1
CONFIRMED: Final = "canaries_confirm"
CANARY_NOTE_OF: Final = MappingProxyType({"loss": CONFIRMED, "none": "canaries_deny"})
CANARY_NOTES: Final = frozenset(CANARY_NOTE_OF.values())
RISKY_LEFT: Final = 0.8
"""Share of refusals left that one witness alone might mean."""


class Closed(NamedTuple):
    """What an epoch brought out, and `Lane.evidence` after it."""

    findings: list[Finding]
    evidence: tuple[float, float]


class Lane:
    """Detection on one lane, epoch by epoch.

    *Pages* (`Unalignment`, `DegenerateOutput`): while one is open the reference is rolled back
    to the change time and absorbs nothing. *Single counts and groups* (`TrafficShift`,
    `RiskyAnswers`, `OverRefusal`, `FilterChange`, `HazardSpike`) inform, and the reference
    goes on learning. A page supersedes their open alarms, and while it lasts they are not
    watched: their counts are what the page is about. `ReferenceDivergence` asks for a new
    approval when the reference has learned too much.
    """

    def __init__(self, baseline: Baseline, budget: Budget, *, artifact: str) -> None:
        self.artifact = artifact
        self._budget = budget
        self._per_epoch = {alert: budget.per_epoch(alert) for alert in TESTED}
        self._adopt(baseline)

    @classmethod
    def begin(cls, baseline: Baseline, budget: Budget, *, artifact: str) -> Lane:
        """A lane without evidence whose reference is the approved baseline."""
        return cls(baseline, budget, artifact=artifact)

    def _adopt(self, baseline: Baseline) -> None:
        self._baseline = baseline
        self._layout = layout = Layout(groups=len(GROUPS), bins=baseline.bins)
        self._reference = layout.vector(baseline.counts)
        self._detectors = Detectors(baseline, layout)
        self._recent = Recent()
        self._spent = 0.0
        self._armed_for = baseline.armed_for

    # What it is

    @property
    def baseline(self) -> Baseline:
        return self._baseline

    @property
    def status(self) -> Status:
        if self._baseline.blind:
            return "blind"
        if self._detectors.page_open:
            return "firing"
        if self._provisional:
            return "candidate"
        return "warning" if self._detectors.unalignment.warning else "armed"

    @property
    def open_alerts(self) -> tuple[str, ...]:
        """Names of the alerts that are open."""
        return tuple(dict.fromkeys(incident.alert for incident in self._detectors.incidents))

    @property
    def _provisional(self) -> bool:
        """Not approved, or not enough of a reference to find a loss to a fifth."""
        armed = self._armed_for is not None and self._armed_for >= ARMED_K
        return self._baseline.state == "candidate" or not armed

    @property
    def _never_pages(self) -> bool:
        return self._provisional or self._baseline.blind or self._baseline.output_only

    @property
    def evidence(self) -> tuple[float, float]:
        """log10 of the evidence of witness 1 and of witness 2."""
        refused, answered, *_ = self._detectors.unalignment.evidence
        return log10(refused), log10(answered)

    def gauges(self) -> LaneGauges:
        layout = self._layout
        return gauges(
            layout,
            self.status,
            evidence=self._detectors.unalignment.witnesses.evidence(),
            degenerate_evidence=float(self._detectors.watches.log_evidence()[DEGENERATE_OUTPUT]),
            before=self._reference,
            now=self._recent.counts(layout.size),
            armed_for=self._armed_for,
            budget_spent=self._spent,
        )

    # One epoch

    def close_epoch(self, counts: EpochCounts, *, start: float, end: float) -> list[Finding]:
        """Take in the counts of one epoch from `start` to `end`, seconds of event time.

        An epoch without any counts changes nothing.
        """
        return self.close_epochs([Epoch(counts, start, end)])[0].findings

    def close_epochs(self, epochs: Sequence[Epoch]) -> list[Closed]:
        """Take in several epochs in order: the same as one by one, but faster."""
        live = np.array([self._layout.vector(epoch.counts) for epoch in epochs])
        ahead: Ahead | None = None
        closed = []
        for i, epoch in enumerate(epochs):
            findings: list[Finding] = []
            if live[i].any():
                if ahead is None or not ahead.holds(i, self._reference):
                    ahead = self._detectors.ahead(self._reference, live, i)
                findings = self._close_epoch(epoch, live[i], ahead.epoch(i))
            closed.append(Closed(findings, self.evidence))
        return closed

    def _close_epoch(self, epoch: Epoch, live: IntArray, said: Likelihoods) -> list[Finding]:
        counts, start, end = epoch
        expected = said.refused_rate
        self._recent.update(
            counts,
            live,
            start=start,
            refused_rate=expected,
            boilerplate=self._baseline.boilerplate,
        )
        if self._provisional:
            self._arm()
        spends = self._spends(counts)
        self._spent += spends[unalignment.ALERT]
        self._detectors.update(epoch, live, said, spends)
        if not self._detectors.page_open:
            self._reference = self._reference + live
        return [
            *self._close(live, expected, end),
            *self._open(live, expected, end),
            *self._update(end),
        ]

    def _spends(self, counts: EpochCounts) -> dict[str, float]:
        """s of the epoch, by alert."""
        judged, filtered = (
            epoch_share(n, rate=self._baseline.rate, deployment_n=counts.deployment_n)
            for n in (counts.n, counts.n + counts.blocked)
        )
        return {
            alert: most * (filtered if alert == "FilterChange" else judged)
            for alert, most in self._per_epoch.items()
        }

    def _arm(self) -> None:
        """Healthy traffic since the approval counts towards what the lane is armed for."""
        spend = self._budget.spend_per_interaction(unalignment.ALERT, rate=self._baseline.rate)
        self._armed_for = armed_for(
            self._layout.witnesses(self._reference),
            d1=self._baseline.d1,
            spend_per_interaction=spend,
        )

    # Opening

    def _open(self, live: IntArray, refused_rate: float, end: float) -> list[Finding]:
        expected = self._layout.n(live) * refused_rate
        due = self._detectors.watches.due(self._detectors.unalignment.silent, expected)
        findings = [*self._open_degenerate(due, end), *self._open_unalignment(end)]
        if self._detectors.page_open:
            return findings
        opened = [self._open_watch(row, RULES[row].severity, end) for row in due]
        opened += [
            self._detectors.groups.open(g, self._reference, end)
            for g in self._detectors.groups.due()
        ]
        opened += self._detectors.divergence.open(
            self._reference, start=self._baseline.last, at=end
        )
        return [*findings, *(self._say(incident, "open", end) for incident in opened)]

    def _open_degenerate(self, due: list[int], end: float) -> list[Finding]:
        if DEGENERATE_OUTPUT not in due:
            return []
        superseded = self._supersede(end)
        incident = self._open_watch(
            DEGENERATE_OUTPUT, "ticket" if self._never_pages else "page", end
        )
        self._reference = incident.before
        return [*superseded, self._say(incident, "open", end)]

    def _open_watch(self, row: int, severity: Severity, end: float) -> Incident:
        change = self._detectors.watches.change.estimate(row)
        before = self._before(change.counts)
        incident = self._detectors.watches.open(row, severity, change, before=before, at=end)
        if self._baseline.output_only and incident.alert == "TrafficShift":
            # Without prompts nobody can tell fewer risky prompts from fewer refusals.
            incident.severity, incident.attribution = "ticket", "undecided"
        return incident

    def _open_unalignment(self, end: float) -> list[Finding]:
        if self._baseline.output_only or not self._detectors.unalignment.due:
            return []
        change = self._detectors.unalignment.change.estimate()
        before = self._before(change.counts)
        if not unalignment.is_plausible(self._layout, before, change, self._recent):
            return []
        superseded = self._supersede(end)
        incident = self._detectors.unalignment.open(
            self._layout, change, before=before, at=end, page=not self._never_pages
        )
        self._reference = before
        describe.examine(incident, self._layout, self._baseline, self._recent)
        return [*superseded, self._say(incident, "open", end)]

    def _before(self, since: IntArray) -> IntArray:
        """Reference at tau. A page that is open already has rolled it back."""
        return self._reference if self._detectors.page_open else self._reference - since

    def _supersede(self, end: float) -> list[Finding]:
        ended = self._detectors.supersede()
        return [self._say(incident, "resolve", end, "superseded") for incident in ended]

    # Updating

    def _update(self, end: float) -> list[Finding]:
        """Say what became known about an open `Unalignment`: an escalation at once, the rest
        when the records since tau have doubled since the last word."""
        incident = self._detectors.unalignment.incident
        if incident is None or incident.opened == end:
            return []
        known = incident.known
        if not self._never_pages and self._detectors.unalignment.escalates:
            said = tuple(n for n in incident.notes if n in CANARY_NOTES)
            incident.severity, incident.notes = "page", said
        elif not incident.may_update:
            return []
        describe.examine(incident, self._layout, self._baseline, self._recent)
        if incident.known == known:
            return []
        incident.updated()
        return [self._say(incident, "update", end)]

    # Canaries

    @property
    def undecided(self) -> bool:
        """A page on traffic is open that canaries have neither confirmed nor denied."""
        incident = self._detectors.unalignment.incident
        return incident is not None and not any(n in CANARY_NOTES for n in incident.notes)

    def arbitrate(
        self, speaks: Callable[[float, float], Literal["loss", "none", ""]], at: float
    ) -> list[Finding]:
        """Let canaries say whether it is the model: `speaks(since, left)` of
        `CanaryWatch`. Each open `Unalignment` or `RiskyAnswers` is told of it when that changes."""
        findings = []
        for incident in self._detectors.incidents:
            if incident.alert not in ("Unalignment", "RiskyAnswers"):
                continue
            left = incident.factor if incident.alert == "Unalignment" else RISKY_LEFT
            note = CANARY_NOTE_OF.get(speaks(incident.at, left), "")
            if not note or note in incident.notes or incident.updates >= MOST_UPDATES:
                continue
            others = tuple(n for n in incident.notes if n not in CANARY_NOTES)
            incident.notes = (note, *others)
            incident.attribution = "model" if note == CONFIRMED else "traffic"
            incident.updated()
            findings.append(self._say(incident, "update", at))
        return findings

    # Resolving

    def _close(self, live: IntArray, refused_rate: float, end: float) -> list[Finding]:
        over = self._detectors.recovered(self._reference, live, refused_rate)
        return self._end(over, end, "recovered")

    def resolve(self, alert: str, at: float, how: str, subject: str | None = None) -> list[Finding]:
        """End the open incidents of `alert`: ``operator``, or ``approved`` with a baseline.

        `subject` is the hazard group, or the direction of an alert that has two; without it
        every incident of the alert ends. Evidence starts from nothing, against the reference at
        the change time. If the model is still changed, a new incident opens; approving a new
        baseline ends it for good.
        """
        meant = [
            incident
            for incident in self._detectors.incidents
            if incident.alert == alert and subject in (None, incident.group or incident.direction)
        ]
        return self._end(meant, at, how)

    def _end(self, incidents: list[Incident], at: float, how: str) -> list[Finding]:
        findings = [self._say(incident, "resolve", at, how) for incident in incidents]
        self._detectors.close(incidents)
        return findings

    def rebase(self, baseline: Baseline) -> None:
        """Adopt a newly approved baseline, without evidence. If it is the same baseline that
        the lane runs on, its running reference and its evidence stay."""
        if baseline.id == self._baseline.id:
            self._baseline = baseline
        else:
            self._adopt(baseline)

    def _say(self, incident: Incident, event: Event, at: float, resolution: str = "") -> Finding:
        return describe.finding(
            incident,
            event,
            at,
            layout=self._layout,
            budget=self._budget,
            recent=self._recent,
            provisional=self._provisional,
            resolution=resolution,
        )

    # State

    def to_state(self) -> dict[str, Any]:
        """Primitives and lists that survive MessagePack bit for bit."""
        return {
            "version": STATE_VERSION,
            "baseline": self._baseline.id,
            "artifact": self.artifact,
            "reference": self._reference.tolist(),
            **self._detectors.to_state(),
            "recent": self._recent.to_state(),
            "spent": self._spent,
            "armed_for": self._armed_for,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], baseline: Baseline, budget: Budget) -> Lane:
        """The lane that `to_state` described.

        Raises:
            ValueError: the state is of another version or belongs to another baseline.
        """
        if state["version"] != STATE_VERSION:
            raise ValueError(
                f"lane state: version {state['version']} cannot be read by this release, which "
                f"writes {STATE_VERSION}; run the release that wrote it, or use a fresh store"
            )
        if state["baseline"] != baseline.id:
            raise ValueError(
                f"lane state: belongs to baseline {state['baseline']}, not {baseline.id}; "
                "import that baseline"
            )
        lane = cls(baseline, budget, artifact=state["artifact"])
        lane._reference = np.array(state["reference"], dtype=np.int64)
        lane._detectors.restore(state)
        lane._recent = Recent.from_state(state["recent"])
        lane._spent = state["spent"]
        lane._armed_for = state["armed_for"]
        return lane
