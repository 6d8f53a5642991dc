"""Metrics come from committed state, with the declared names and bounded labels."""

from __future__ import annotations

import math
import re

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse

from monitor.telemetry import LANE_STATES, METRICS, CommittedState, LaneMetrics, MetricsSnapshot

SNAPSHOT = MetricsSnapshot(
    totals={
        ("consumed", ""): 12,
        ("classified", ""): 9,
        ("skipped", "excluded"): 1,
        ("dead_lettered", "too_large"): 2,
        ("outcome", "chat|refused"): 4,
        ("outcome", "a|b|complied"): 5,
        ("alerts", "Unalignment|page|open"): 1,
        ("lost", ""): 3,
    },
    lanes=[
        LaneMetrics(
            deployment="chat",
            artifact="llama@1",
            state="armed",
            evidence={"refused": -1.5, "risky_answered": -math.inf},
            before={"refused": 12.0},
            now={"refused": 3.0},
            reference_n=5000,
            armed_for=0.2,
            coverage=0.9,
            budget_spent=0.01,
        ),
        LaneMetrics(deployment="new", artifact="", state="learning"),
    ],
    learning_eta={"new": 3600.0},
    watermarks={"chat": 1.7e9},
    lag={0: 7, 3: 0},
    outbox_pending=2,
    outbox_oldest=30.0,
    alerts_open={("chat", "Unalignment", "page"): 1},
    build={"version": "0.1.0", "classifier": "linear@sha256:ab", "store": "sqlite"},
)


def registry(snapshot: MetricsSnapshot) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(CommittedState(lambda: snapshot))
    return registry


def values(snapshot: MetricsSnapshot) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(generate_latest(registry(snapshot)).decode())
        for sample in family.samples
    }


def value(name: str, snapshot: MetricsSnapshot = SNAPSHOT, **labels: str) -> float:
    return values(snapshot)[f"backslide_{name}", frozenset(labels.items())]


def test_every_metric_is_named_once_and_by_the_rules_of_prometheus() -> None:
    names = [metric.exposed for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"backslide_[a-z][a-z0-9_]*", metric.exposed)
        assert metric.help.endswith(".")
        assert (metric.kind == "counter") == metric.exposed.endswith("_total")
        assert bool(metric.total) == (metric.kind == "counter")


def test_the_committed_totals_are_the_counters() -> None:
    assert value("records_consumed_total") == 12
    assert value("records_classified_total") == 9
    assert value("records_lost_total") == 3
    assert value("records_skipped_total", reason="excluded") == 1
    assert value("records_dead_lettered_total", reason="too_large") == 2
    assert value("verdicts_total", deployment="chat", outcome="refused") == 4
    assert value("alert_transitions_total", alert="Unalignment", severity="page", event="open") == 1


def test_a_separator_in_the_name_of_a_deployment_breaks_no_label() -> None:
    assert value("verdicts_total", deployment="a|b", outcome="complied") == 5


def test_a_restart_changes_no_counter() -> None:
    again = MetricsSnapshot(totals=dict(SNAPSHOT.totals))
    first = {k: v for k, v in values(SNAPSHOT).items() if k[0].endswith("_total")}
    assert {k: v for k, v in values(again).items() if k[0].endswith("_total")} == first


def test_scraping_twice_counts_nothing_twice() -> None:
    state = registry(SNAPSHOT)
    assert generate_latest(state) == generate_latest(state)


def test_counters_without_labels_exist_before_the_first_record() -> None:
    empty = MetricsSnapshot()
    for metric in METRICS:
        if metric.kind == "counter" and not metric.labels:
            assert values(empty)[metric.exposed, frozenset()] == 0


def test_a_lane_is_in_exactly_one_state() -> None:
    lane = {"deployment": "chat", "artifact": "llama@1"}
    states = {state: value("lane_state", **lane, state=state) for state in LANE_STATES}
    assert states == {state: float(state == "armed") for state in LANE_STATES}


def test_a_lane_shows_its_evidence_and_rates() -> None:
    lane = {"deployment": "chat", "artifact": "llama@1"}
    assert value("evidence_log10", **lane, witness="refused") == -1.5
    assert value("evidence_log10", **lane, witness="risky_answered") == -99
    rate = "witness_events_per_thousand"
    assert value(rate, **lane, witness="refused", when="before") == 12
    assert value(rate, **lane, witness="refused", when="now") == 3
    assert value("baseline_reference_interactions", **lane) == 5000
    assert value("armed_for_ratio", **lane) == 0.2
    assert value("coverage_ratio", **lane) == 0.9
    assert value("budget_spent", **lane) == 0.01


def test_what_is_not_known_is_absent_and_not_zero() -> None:
    names = {name for name, labels in values(SNAPSHOT) if ("deployment", "new") in labels}
    assert "backslide_armed_for_ratio" not in names
    assert "backslide_coverage_ratio" not in names
    assert value("learning_eta_seconds", deployment="new") == 3600


def test_source_outbox_and_alerts_are_shown() -> None:
    assert value("source_lag_records", partition="0") == 7
    assert value("last_event_timestamp_seconds", deployment="chat") == 1.7e9
    assert value("outbox_pending") == 2
    assert value("outbox_oldest_seconds") == 30
    assert value("alerts_open", deployment="chat", alert="Unalignment", severity="page") == 1
    build = {"version": "0.1.0", "classifier": "linear@sha256:ab", "store": "sqlite"}
    assert value("build_info", **build) == 1


def test_openmetrics_accepts_what_we_expose() -> None:
    text = generate_openmetrics(registry(SNAPSHOT)).decode()
    families = {family.name for family in parse_openmetrics(text)}
    assert {metric.family for metric in METRICS} <= families


@pytest.mark.parametrize("name", ['quote " here', "line\nbreak", "back\\slash", "x" * 5000])
def test_no_name_of_a_deployment_breaks_the_page(name: str) -> None:
    snapshot = MetricsSnapshot(watermarks={name: 1.0})
    assert value("last_event_timestamp_seconds", snapshot, deployment=name[:128]) == 1


def test_totals_nobody_declared_are_not_shown() -> None:
    snapshot = MetricsSnapshot(totals={("planted", "marker"): 1})
    assert "marker" not in generate_latest(registry(snapshot)).decode()
