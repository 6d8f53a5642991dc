"""The last line of a run and its exit code."""

from __future__ import annotations

import json

import pytest

from monitor.pipeline.summary import AlertCounts, LaneSummary, Summary, exit_code_of


def summary(state: str = "armed", opened: int = 0) -> Summary:
    lane = LaneSummary(deployment="d", artifact="a", state=state)
    return Summary(consumed=100, deployments=(lane,), alerts=AlertCounts(opened=opened))


def test_the_line_has_the_fields_that_other_programs_read() -> None:
    body = json.loads(summary().to_line())
    assert list(body) == [
        "schema", "consumed", "classified", "skipped", "dead_lettered", "duplicates",
        "deployments", "alerts",
    ]  # fmt: skip
    assert body["schema"] == "backslide.summary/1"
    assert list(body["deployments"][0]) == [
        "deployment", "artifact", "state", "reference_n", "armed_for", "coverage",
    ]  # fmt: skip
    assert list(body["alerts"]) == ["opened", "resolved"]
    assert "\n" not in summary().to_line()


@pytest.mark.parametrize(
    ("state", "opened", "rejected", "flag", "code"),
    [
        ("armed", 0, 0.0, True, 0),
        ("armed", 1, 0.0, True, 3),
        ("armed", 1, 0.0, False, 0),
        ("candidate", 0, 0.0, True, 4),
        ("candidate", 0, 0.0, False, 0),
        ("firing", 0, 0.0, True, 0),
        ("armed", 0, 0.05, True, 0),
        ("armed", 0, 0.051, True, 5),
        ("armed", 0, 0.051, False, 5),
        ("candidate", 0, 0.051, True, 5),
        ("firing", 1, 0.051, True, 3),
    ],
)
def test_exit_code(state: str, opened: int, rejected: float, flag: bool, code: int) -> None:
    assert exit_code_of(summary(state, opened), rejected, flag) == code


def test_what_was_said_in_earlier_runs_does_not_fail_this_one() -> None:
    assert exit_code_of(summary(opened=1), 0.0, True, findings=0) == 0
    assert exit_code_of(summary("blind"), 0.0, True, ever_armed=True) == 0
