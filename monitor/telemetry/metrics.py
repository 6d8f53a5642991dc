"""Every metric, declared once, and the collector that reads them from committed state.

Nothing here counts: values are taken from the store's totals and the lanes as they were last
committed, so that a restart or a batch done twice neither resets nor doubles a counter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

PREFIX: Final = "backslide_"
LOWEST_EVIDENCE: Final = -99.0
"""Shown for no evidence at all, whose log10 is minus infinity."""
LANE_STATES: Final = ("learning", "candidate", "armed", "warning", "firing", "blind")
WITNESSES: Final = ("refused", "risky_answered", "degenerate")
_LONGEST_LABEL: Final = 128


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` has neither the prefix nor the ``_total`` of counters."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    """Suffix of the name, as OpenMetrics wants it."""
    total: str = ""
    """Counter of the store it shows; the labels are that counter's label, split at ``|``."""

    @property
    def family(self) -> str:
        """Name without ``_total``."""
        return PREFIX + self.name + (f"_{self.unit}" if self.unit else "")

    @property
    def exposed(self) -> str:
        """Name as queries write it."""
        return self.family + ("_total" if self.kind == "counter" else "")


class Sample(NamedTuple):
    """One value of one metric; `labels` in the order of the metric's."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


CONSUMED: Final = Metric(
    "records_consumed",
    "counter",
    "Records taken from the source; consumed = classified + skipped + dead-lettered.",
    total="consumed",
)
CLASSIFIED: Final = Metric(
    "records_classified", "counter", "Records that got a verdict.", total="classified"
)
SKIPPED: Final = Metric(
    "records_skipped",
    "counter",
    "Records left out on purpose, by reason.",
    labels=("reason",),
    total="skipped",
)
DEAD_LETTERED: Final = Metric(
    "records_dead_lettered",
    "counter",
    "Records that could not be read or classified, by reason.",
    labels=("reason",),
    total="dead_lettered",
)
DUPLICATES: Final = Metric(
    "records_duplicate",
    "counter",
    "Records delivered again and not counted again.",
    total="duplicates",
)
LATE: Final = Metric(
    "records_late",
    "counter",
    "Records whose epoch was closed already; they count in the current one.",
    total="late",
)
CLOCK_SKEW: Final = Metric(
    "records_clock_skew",
    "counter",
    "Records whose time stamp was missing, absurd, or ahead of the time they came in.",
    total="clock_skew",
)
LOST: Final = Metric(
    "records_lost",
    "counter",
    "Records deleted from the source before they were read.",
    total="lost",
)
CLASSIFIER_ERRORS: Final = Metric(
    "classifier_errors", "counter", "Records on which the classifier failed.",
    total="classifier_errors",
)  # fmt: skip
UNJUDGED: Final = Metric(
    "records_unjudged",
    "counter",
    "Classified records without a judgement of the response, by reason.",
    labels=("reason",),
    total="unjudged",
)
VERDICTS: Final = Metric(
    "verdicts",
    "counter",
    "Verdicts by deployment and outcome.",
    labels=("deployment", "outcome"),
    total="outcome",
)
ALERT_TRANSITIONS: Final = Metric(
    "alert_transitions",
    "counter",
    "Alerts opened, updated and resolved.",
    labels=("alert", "severity", "event"),
    total="alerts",
)
DEPLOYMENT_OVERFLOW: Final = Metric(
    "deployment_overflow",
    "counter",
    "Records of deployments beyond the limit, counted under the name other.",
    total="deployment_overflow",
)

LANE_STATE: Final = Metric(
    "lane_state",
    "gauge",
    "1 for the state a lane is in, 0 for the others.",
    labels=("deployment", "artifact", "state"),
)
EVIDENCE: Final = Metric(
    "evidence_log10",
    "gauge",
    "Evidence that the model moved, log10; 0 is the threshold.",
    labels=("deployment", "artifact", "witness"),
)
WITNESS_RATE: Final = Metric(
    "witness_events_per_thousand",
    "gauge",
    "Events of a witness per 1,000 interactions, in the reference (before) and now.",
    labels=("deployment", "artifact", "witness", "when"),
)
REFERENCE: Final = Metric(
    "baseline_reference_interactions",
    "gauge",
    "Judged interactions behind the reference of a lane.",
    labels=("deployment", "artifact"),
)
ARMED_FOR: Final = Metric(
    "armed_for_ratio",
    "gauge",
    "Share of refusals left that a loss must reach to be seen; absent while not armed.",
    labels=("deployment", "artifact"),
)
LEARNING_ETA: Final = Metric(
    "learning_eta",
    "gauge",
    "Event time until the baseline is learned, as far as it can be foreseen.",
    labels=("deployment",),
    unit="seconds",
)
COVERAGE: Final = Metric(
    "coverage_ratio",
    "gauge",
    "Share of classified records with a judgement of the response.",
    labels=("deployment", "artifact"),
)
BUDGET_SPENT: Final = Metric(
    "budget_spent",
    "gauge",
    "Bound of the probability of a false page so far.",
    labels=("deployment", "artifact"),
)
SOURCE_LAG: Final = Metric(
    "source_lag_records",
    "gauge",
    "Records behind the end of the source.",
    labels=("partition",),
)
LAST_EVENT: Final = Metric(
    "last_event_timestamp",
    "gauge",
    "Watermark: event time of the newest record, seconds since 1970.",
    labels=("deployment",),
    unit="seconds",
)
OUTBOX_PENDING: Final = Metric(
    "outbox_pending", "gauge", "Notifications not delivered yet."
)  # fmt: skip
OUTBOX_OLDEST: Final = Metric(
    "outbox_oldest", "gauge", "Age of the oldest notification not delivered yet.", unit="seconds"
)
ALERTS_OPEN: Final = Metric(
    "alerts_open",
    "gauge",
    "Alerts open now.",
    labels=("deployment", "alert", "severity"),
)

METRICS: Final = (
    CONSUMED, CLASSIFIED, SKIPPED, DEAD_LETTERED, DUPLICATES, LATE, CLOCK_SKEW, LOST,
    CLASSIFIER_ERRORS, UNJUDGED, VERDICTS, ALERT_TRANSITIONS, DEPLOYMENT_OVERFLOW,
    LANE_STATE, EVIDENCE, WITNESS_RATE, REFERENCE, ARMED_FOR, LEARNING_ETA, COVERAGE,
    BUDGET_SPENT, SOURCE_LAG, LAST_EVENT, OUTBOX_PENDING, OUTBOX_OLDEST, ALERTS_OPEN,
)  # fmt: skip
"""All metrics in the order in which they are shown; ``backslide_build_info`` comes first."""

_OF_TOTAL: Final = {metric.total: metric for metric in METRICS if metric.total}


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneMetrics:
    """One lane as it stands; rates per 1,000 interactions, evidence as log10."""

    deployment: str
    artifact: str
    state: str
    """One of `LANE_STATES`."""
    evidence: Mapping[str, float] = field(default_factory=dict)
    """By witness (`WITNESSES`)."""
    before: Mapping[str, float] = field(default_factory=dict)
    now: Mapping[str, float] = field(default_factory=dict)
    reference_n: int = 0
    armed_for: float | None = None
    coverage: float | None = None
    budget_spent: float = 0.0

    def samples(self) -> Iterator[Sample]:
        lane = self.deployment, self.artifact
        for state in LANE_STATES:
            yield Sample(LANE_STATE, float(state == self.state), (*lane, state))
        for witness, log10 in self.evidence.items():
            yield Sample(EVIDENCE, max(log10, LOWEST_EVIDENCE), (*lane, witness))
        for when, rates in (("before", self.before), ("now", self.now)):
            for witness, rate in rates.items():
                yield Sample(WITNESS_RATE, rate, (*lane, witness, when))
        yield Sample(REFERENCE, self.reference_n, lane)
        yield Sample(BUDGET_SPENT, self.budget_spent, lane)
        if self.armed_for is not None:
            yield Sample(ARMED_FOR, self.armed_for, lane)
        if self.coverage is not None:
            yield Sample(COVERAGE, self.coverage, lane)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSnapshot:
    """What was last committed. Made by the pipeline, read by another thread: never changed."""

    totals: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """The store's totals, as they are."""
    lanes: Sequence[LaneMetrics] = ()
    learning_eta: Mapping[str, float] = field(default_factory=dict)
    """Seconds, by deployment."""
    watermarks: Mapping[str, float] = field(default_factory=dict)
    """Seconds since 1970, by deployment."""
    lag: Mapping[int, int] = field(default_factory=dict)
    """Records, by partition."""
    outbox_pending: int = 0
    outbox_oldest: float = 0.0
    """Seconds; 0 when nothing is pending."""
    alerts_open: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """By (deployment, alert, severity)."""
    build: Mapping[str, str] = field(default_factory=dict)
    """Labels of ``backslide_build_info``: version, classifier, store."""

    def samples(self) -> Iterator[Sample]:
        """Every value. Counters without labels are there from the start, at 0."""
        for metric in _OF_TOTAL.values():
            if not metric.labels:
                yield Sample(metric, self.totals.get((metric.total, ""), 0))
        for (name, label), count in self.totals.items():
            found = _OF_TOTAL.get(name)
            if found is not None and found.labels:
                # Names of deployments may hold the separator; they come first.
                yield Sample(found, count, tuple(label.rsplit("|", len(found.labels) - 1)))
        for lane in self.lanes:
            yield from lane.samples()
        for deployment, seconds in self.learning_eta.items():
            yield Sample(LEARNING_ETA, seconds, (deployment,))
        for deployment, at in self.watermarks.items():
            yield Sample(LAST_EVENT, at, (deployment,))
        for partition, records in self.lag.items():
            yield Sample(SOURCE_LAG, records, (str(partition),))
        yield Sample(OUTBOX_PENDING, self.outbox_pending)
        yield Sample(OUTBOX_OLDEST, self.outbox_oldest)
        for labels, count in self.alerts_open.items():
            yield Sample(ALERTS_OPEN, count, labels)


class CommittedState(Collector):
    """Shows what `snapshot` returns at each scrape."""

    def __init__(self, snapshot: Callable[[], MetricsSnapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Family]:
        """Nothing: registering must not ask for a snapshot before there is one."""
        return ()

    def collect(self) -> Iterator[Family]:
        snapshot = self._snapshot()
        yield InfoMetricFamily(
            f"{PREFIX}build", "Version, classifier and store.", value=dict(snapshot.build)
        )
        families = {metric: _family(metric) for metric in METRICS}
        for sample in snapshot.samples():
            labels = [label[:_LONGEST_LABEL] for label in sample.labels]
            families[sample.metric].add_metric(labels, sample.value)
        yield from families.values()


def _family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.family, metric.help, labels=metric.labels, unit=metric.unit)
