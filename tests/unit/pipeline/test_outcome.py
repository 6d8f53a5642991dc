"""The summary says what the store has counted, and of lanes what detection says."""

from __future__ import annotations

from monitor.pipeline.learning import WindowRule
from monitor.pipeline.outcome import summarise
from monitor.pipeline.summary import REJECTED_LIMIT, exit_code_of
from tests.unit.pipeline.streams import Detector, stream, unjudged, verdicts

TOTALS = {
    ("consumed", ""): 110,
    ("classified", ""): 95,
    ("skipped", "excluded"): 5,
    ("dead_lettered", "invalid_json"): 4,
    ("dead_lettered", "too_large"): 6,
    ("duplicates", ""): 3,
    ("alerts", "Unalignment|page|open"): 2,
    ("alerts", "Unalignment|page|update"): 4,
    ("alerts", "TrafficShift|info|open"): 1,
    ("alerts", "Unalignment|page|resolve"): 1,
    ("outcome", "chat|refused"): 7,
}


def test_counts_are_those_of_the_store() -> None:
    summary = summarise(TOTALS, {})
    assert summary.consumed == 110
    assert summary.classified == 95
    assert summary.skipped == {"excluded": 5}
    assert summary.dead_lettered == {"invalid_json": 4, "too_large": 6}
    assert summary.duplicates == 3
    assert (summary.alerts.opened, summary.alerts.resolved) == (3, 1)
    assert summary.rejected_share == 10 / 110


def test_an_empty_input_is_not_rejected() -> None:
    assert summarise({}, {}).rejected_share == 0.0


def test_a_lane_is_shown_as_detection_sees_it() -> None:
    batch = unjudged(verdicts(6_000, harmful_share=0.05), range(0, 6_000, 4))
    detector = Detector(WindowRule(records=5_000)).feed(stream(batch))
    (lane,) = summarise({}, detector.step.deployments).deployments
    assert (lane.deployment, lane.artifact, lane.coverage) == ("chat", "m@1", 0.75)
    assert lane.reference_n == 4_500
    assert lane.state in ("candidate", "armed")


def test_a_deployment_without_a_baseline_is_learning() -> None:
    detector = Detector().feed(stream(verdicts(10)))
    (lane,) = summarise({}, detector.step.deployments).deployments
    assert (lane.state, lane.reference_n, lane.armed_for) == ("learning", 0, None)


def test_a_name_that_was_only_ever_rejected_is_not_listed() -> None:
    detector = Detector().feed(stream(verdicts(10), [(3, "garbage")]))
    summary = summarise({}, detector.step.deployments)
    assert [lane.deployment for lane in summary.deployments] == ["chat"]


def test_a_flood_of_deployments_does_not_flood_the_summary() -> None:
    names = [f"d{i}" for i in range(1_500)]
    detector = Detector().feed(stream(verdicts(1_500, deployments=names)))
    assert len(summarise({}, detector.step.deployments).deployments) == 1_000


def test_exactly_five_percent_rejected_is_not_too_much() -> None:
    assert exit_code_of(summarise({}, {}), REJECTED_LIMIT, False) == 0
    assert exit_code_of(summarise({}, {}), REJECTED_LIMIT + 1e-9, False) == 5
