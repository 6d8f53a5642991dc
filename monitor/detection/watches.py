"""Alarms on one count: traffic shifts, risky answers, degenerate output, over-refusal, filters.

Each rule is a Shiryaev-Roberts e-detector with its CUSUM twin. It opens when W >= 1 and is
latched. It resolves when the count agrees with its reference again, by an e-detector for the
rate against sqrt(factor) times the rate (`recovery.returned`). For traffic the reference is
the running one: the alarm ends when the traffic came back, and also once the reference has
learned a lasting shift. For what the model or a filter does, it is the one at the change
time: that a fault lasts does not make it normal. Opening and resolving both start from no
evidence, so an alarm cannot flap at a threshold.

All rules are updated as rows of the same arrays; rules with fewer alternatives are padded
with impossible ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

from monitor.detection import up_test
from monitor.detection.change import ChangeEstimate, ChangeTime
from monitor.detection.counts import IntArray
from monitor.detection.finding import Severity
from monitor.detection.gamma_poisson import PRIOR_SHAPE, FloatArray
from monitor.detection.incident import Incident
from monitor.detection.recovery import harmful_prompts, returned
from monitor.detection.shiryaev_roberts import ShiryaevRoberts
from monitor.detection.tally import Layout
from monitor.detection.witnesses import LEFT

Count = Callable[[Layout, IntArray], tuple[int, int]]
"""(events, exposure) of a vector of counts."""


def refused(layout: Layout, vector: IntArray) -> tuple[int, int]:
    return int(layout.refused(vector).sum()), layout.n(vector)


def risky_answers(layout: Layout, vector: IntArray) -> tuple[int, int]:
    return int(layout.answered(vector).sum()), layout.n(vector)


def ordinary_refusals(layout: Layout, vector: IntArray) -> tuple[int, int]:
    return int(layout.refused(vector)[:, 0].sum()), layout.n(vector)


def degenerate(layout: Layout, vector: IntArray) -> tuple[int, int]:
    return layout.degenerate(vector), layout.n(vector)


def blocked(layout: Layout, vector: IntArray) -> tuple[int, int]:
    return layout.blocked(vector), layout.n(vector) + layout.blocked(vector)


ALONE_FOR: Final = 25.0
"""Expected refusals for which a single witness must fire alone."""
HORIZON: Final = 50_000.0
"""Harmful prompts within which a false all-clear is expected at most once. Longer than for a
page, because a lasting shift of the traffic stays open until the reference has learned it."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """What to watch, and against which alternatives."""

    alert: str
    direction: str
    severity: Severity
    family: str
    attribution: str
    count: Count
    factors: FloatArray
    """Alternatives, as ratios to the reference's rate."""
    tolerance: float | None = 0.0
    """d in log units; ``None``: the baseline's d1."""
    witness: int | None = None
    """0 or 1: the log-likelihoods come from that witness instead of the up-test."""
    share: float = 1.0
    """Of the alert's budget."""
    learned: bool = False
    """A lasting shift becomes normal once the running reference has learned it."""


_OVER: Final = up_test.OVER_REFUSAL
_D: Final = up_test.OVER_REFUSAL_TOLERANCE
RULES: Final = (
    Rule("DegenerateOutput", "", "page", "up_test", "model", degenerate,
         up_test.DEGENERATE, up_test.DEGENERATE_TOLERANCE),
    Rule("TrafficShift", "down", "info", "witness_1", "traffic", refused,
         LEFT, witness=0, share=0.5, learned=True),
    Rule("TrafficShift", "up", "info", "up_test", "traffic", refused,
         up_test.TRAFFIC_UP, None, share=0.5, learned=True),
    Rule("RiskyAnswers", "", "ticket", "witness_2", "undecided", risky_answers,
         1 / LEFT, witness=1, learned=True),
    Rule("OverRefusal", "", "ticket", "up_test", "model", ordinary_refusals, _OVER, _D),
    Rule("FilterChange", "up", "ticket", "up_test", "undecided", blocked, _OVER, _D, share=0.5),
    Rule("FilterChange", "down", "ticket", "up_test", "undecided", blocked, LEFT, -_D, share=0.5),
)  # fmt: skip
DEGENERATE_OUTPUT: Final = 0
"""Row of the only rule that pages."""

_WIDEST: Final = max(len(rule.factors) for rule in RULES)
_PADDING: Final = np.array([np.arange(_WIDEST) >= len(rule.factors) for rule in RULES])
_FACTORS: Final = np.array(
    [np.pad(rule.factors, (0, _WIDEST - len(rule.factors)), constant_values=1.0) for rule in RULES]
)
_LOG_MEAN: Final = np.log(_WIDEST / (~_PADDING).sum(axis=-1))
"""Turns a mean over the padded alternatives into one over the rule's own."""
_SHARES: Final = np.array([rule.share for rule in RULES])


@cache
def _counted(layout: Layout) -> FloatArray:
    """(2, size, rules): which entries of a vector are events of each rule, and which exposure.

    Every count is a sum over entries, so one entry at a time tells which ones it adds up.
    """
    units = np.eye(layout.size, dtype=np.int64)
    counts = [[rule.count(layout, unit) for rule in RULES] for unit in units]
    return np.moveaxis(np.array(counts, dtype=np.float64), -1, 0)


class Watches:
    """State of all rules on one lane."""

    __slots__ = ("_tolerances", "alone_for", "change", "incidents", "layout", "statistic")

    def __init__(self, layout: Layout, d1: float) -> None:
        rows = (len(RULES),)
        self.layout = layout
        self._tolerances = np.array([d1 if r.tolerance is None else r.tolerance for r in RULES])
        self.statistic = ShiryaevRoberts.zero(alternatives=_WIDEST, runs=rows)
        self.change = ChangeTime.zero(alternatives=_WIDEST, counts=layout.size, runs=rows)
        self.incidents: list[Incident | None] = [None] * len(RULES)
        self.alone_for = [0.0] * len(RULES)
        """Refusals expected since a single witness fires while the other one is silent."""

    @property
    def page_open(self) -> bool:
        return self.incidents[DEGENERATE_OUTPUT] is not None

    def log_evidence(self) -> FloatArray:
        """ln W by rule."""
        evidence: FloatArray = self.statistic.evidence() + _LOG_MEAN
        return evidence

    def log_likelihoods(
        self, reference: IntArray, live: IntArray, witnesses: FloatArray
    ) -> FloatArray:
        """(T, rules, K) in nats, of vectors (T, size); `witnesses`: those of `TwoWitnesses`."""
        counted = _counted(self.layout)
        (x, n), (known, exposure) = live @ counted, reference @ counted
        log_likelihood = up_test.log_likelihood(
            x,
            n,
            reference=known,
            exposure=exposure,
            factors=_FACTORS,
            d=self._tolerances[:, None],
        )
        for row, rule in enumerate(RULES):
            if rule.witness is not None:
                log_likelihood[..., row, :] = witnesses[rule.witness, 0]
        log_likelihood[..., _PADDING] = -np.inf
        return log_likelihood

    def update(
        self,
        log_likelihood: FloatArray,
        live: IntArray,
        spend: Sequence[float],
        *,
        page_open: bool,
        start: float,
        end: float,
    ) -> None:
        """One epoch: `log_likelihood` (rules, K); `spend` is s of each rule's alert.

        An open alarm is not watched for opening; single counts are not while a page is open,
        nor risky answers where no prompts are seen.
        """
        unwatched = [
            row
            for row, (rule, incident) in enumerate(zip(RULES, self.incidents, strict=True))
            if incident is not None
            or (page_open and rule.severity != "page")
            or (rule.witness == 1 and self.layout.bins == 1)
        ]
        spent = spend * _SHARES
        if unwatched:
            log_likelihood = log_likelihood.copy()
            log_likelihood[unwatched] = spent[unwatched] = 0.0
        self.statistic.update(log_likelihood, spent)
        self.change.update(log_likelihood, live, start=start, end=end)

    def due(self, silent: tuple[bool, bool], expected: float) -> list[int]:
        """Rows of alarms that open now.

        `silent`: whether witness 1, 2 has no evidence to speak of; `expected` refusals of the
        epoch by the reference. A single witness waits until the other one had time to follow,
        because both together are a page and not two lesser alarms before it.
        """
        if not self.statistic.may_reach():
            self.alone_for = [0.0] * len(RULES)
            return []
        rows = []
        for row, log_evidence in enumerate(self.log_evidence().tolist()):
            witness = RULES[row].witness
            alone = witness is None or silent[1 - witness]
            if self.incidents[row] is not None or log_evidence < 0.0 or not alone:
                self.alone_for[row] = 0.0
                continue
            self.alone_for[row] += expected
            if witness is None or self.alone_for[row] >= ALONE_FOR:
                rows.append(row)
        return rows

    def open(
        self, row: int, severity: Severity, change: ChangeEstimate, *, before: IntArray, at: float
    ) -> Incident:
        rule = RULES[row]
        incident = Incident.begin(
            rule.alert,
            severity,
            change,
            opened=at,
            before=before,
            since=change.counts,
            factor=self.factor(row, before, change.counts),
            statistics=1,
            family=rule.family,
            attribution=rule.attribution,
            direction=rule.direction,
        )
        self.incidents[row] = incident
        self.reset(row)
        return incident

    def factor(self, row: int, before: IntArray, since: IntArray) -> float:
        """Estimated ratio of the rates, at least a fifth away from 1 in the rule's direction,
        so that there is a halfway to return over."""
        rule = RULES[row]
        (x0, n0), (x1, n1) = (rule.count(self.layout, v) for v in (before, since))
        ratio = (x1 + PRIOR_SHAPE) / max(n1, 1) * n0 / (x0 + PRIOR_SHAPE)
        return min(ratio, 0.8) if rule.factors[0] < 1.0 else max(ratio, 1.25)

    def returned(self, reference: IntArray, live: IntArray, refused_rate: float) -> list[Incident]:
        """Open alarms that end with this epoch. `reference` is the running one."""
        over = []
        for row, incident in enumerate(self.incidents):
            if incident is None:
                continue
            rule = RULES[row]
            x, n = rule.count(self.layout, live)
            x_ref, n_ref = rule.count(self.layout, reference if rule.learned else incident.before)
            back = ShiryaevRoberts(np.array(incident.recovery))
            rate = (x_ref + PRIOR_SHAPE) / n_ref
            log_likelihood = returned(x, n, rate=rate, factor=incident.factor)
            back.update(log_likelihood, harmful_prompts(n, refused_rate, horizon=HORIZON))
            incident.recovery = back.log_r.tolist()
            if incident.recovery[0] >= 0.0:
                over.append(incident)
        return over

    def close(self, incident: Incident) -> None:
        for row, other in enumerate(self.incidents):
            if other is incident:
                self.incidents[row] = None
                self.reset(row)

    def drop_single_counts(self) -> None:
        """Forget all but the rule that pages."""
        for row, rule in enumerate(RULES):
            if rule.severity != "page":
                self.incidents[row] = None
                self.reset(row)

    def reset(self, row: int | None = None) -> None:
        """Forget the evidence of a row, or of all; open alarms stay open."""
        rows = range(len(RULES)) if row is None else [row]
        for each in rows:
            self.statistic.reset(each)
            self.change.reset(each)
            self.alone_for[each] = 0.0

    def to_state(self) -> dict[str, Any]:
        return {
            "log_r": self.statistic.log_r.tolist(),
            "change": self.change.to_state(),
            "alone_for": list(self.alone_for),
            "incidents": [i and i.to_state() for i in self.incidents],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.statistic.log_r = np.array(state["log_r"], dtype=np.float64)
        self.change = ChangeTime.from_state(state["change"])
        self.alone_for = list(state["alone_for"])
        self.incidents = [i and Incident.from_state(i) for i in state["incidents"]]
