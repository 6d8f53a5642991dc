"""What a backtest says of other rules, and what it refuses to do."""

from __future__ import annotations

import dataclasses
import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from classifiers import LinearClassifier
from monitor.config import Config
from monitor.detection import BaselineError
from monitor.pipeline import backtest as module
from monitor.pipeline.alternatives import Normal, Timeline, alternatives, timelines
from monitor.pipeline.backtest import Place, backtest
from monitor.records import Outcome, format_time
from monitor.store import StateConflict, open_store
from tests.unit.detection.windows import learned, window

START = 1_772_452_800.0
HOUR = 3600
WEEK = Normal(START, START + 24 * HOUR - 1, 0, 0)


def past(*hours: tuple[int, float]) -> Timeline:
    """A day at 1 % refused, then `hours` of (interactions a minute, refused)."""
    table = [(100, 0.01)] * 24 + list(hours)
    n = np.repeat([n for n, _ in table], 60)
    share = np.repeat([share for _, share in table], 60)
    minute = int(START // 60) + np.arange(len(n))
    return Timeline(minute, n, np.rint(n * share).astype(np.int64))


def pages(timeline: Timeline, normal: Normal = WEEK) -> dict[str, list[float]]:
    """Hours after the baseline's window at which each rule pages."""
    return {
        rule.name: [(at - START) / HOUR - 24 for at in rule.pages]
        for rule in alternatives(timeline, normal)
    }


def test_steady_traffic_pages_nobody() -> None:
    assert pages(past(*[(100, 0.01)] * 48)) == {
        "static threshold": [],
        "3-sigma": [],
        "two-proportion z": [],
    }


def test_a_fall_that_lasts_is_one_page_and_a_second_fall_another() -> None:
    fallen, normal = [(100, 0.0)] * 3, [(100, 0.01)] * 30
    assert pages(past(*normal, *fallen, *normal, *fallen))["static threshold"] == [31.0, 64.0]


def test_a_rise_is_not_a_fall() -> None:
    assert not any(pages(past(*[(100, 0.05)] * 48)).values())


def test_the_windowed_test_pages_only_when_its_window_is_over() -> None:
    found = pages(past(*[(100, 0.0)] * 48))
    assert found["two-proportion z"] == [24.0]
    assert found["3-sigma"] == [1.0]


def test_the_last_window_ends_with_the_records() -> None:
    assert pages(past(*[(100, 0.0)] * 6))["two-proportion z"] == [6.0]


def test_quiet_hours_are_passed_over() -> None:
    assert not any(pages(past((1, 0.0))).values())


def test_a_baseline_from_elsewhere_is_compared_with_the_whole_past() -> None:
    elsewhere = Normal(START - 90 * 86_400, START - 89 * 86_400, 10_000, 400)
    found = alternatives(past((100, 0.01)), elsewhere)
    assert [rule.pages[0] for rule in found][:2] == [START + HOUR] * 2
    assert alternatives(past((100, 0.01)), elsewhere._replace(refused=0)) == []


def test_event_times_are_those_of_the_pipeline(tmp_path: Path) -> None:
    """One line from the year 2099 must not open an empty decade, nor one without a time."""
    stamps: list[float | None] = [START + i for i in range(600)]
    stamps[100], stamps[200] = None, START + 70 * 365 * 86_400
    lines = [
        {
            "timestamp": None if at is None else format_time(at),
            "deployment": "chat" if i % 2 else "search",
            "outcome": Outcome(i % 5).label,
            "schema": "backslide.verdict/1",
        }
        for i, at in enumerate(stamps)
    ]
    file = tmp_path / "verdicts.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = timelines(file)
    assert list(found) == ["chat", "search"]
    for timeline in found.values():
        assert timeline.minute[0] == START // 60
        assert timeline.minute[-1] <= START // 60 + 15
        assert timeline.judged.sum() == 300 * 3 / 5
        assert timeline.refused.sum() == 300 / 5


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Ten outputs."""
    file = tmp_path / "history.jsonl"
    record = {"prompt": "Hello?", "response": "Hello to you.", "deployment": "chat"}
    times = [format_time(START + i) for i in range(10)]
    file.write_text("".join(json.dumps({**record, "timestamp": at}) + "\n" for at in times))
    return file


def config(window: str = "5", **more: object) -> Config:
    return Config.model_validate({"baseline": {"window": window}, **more})


def test_two_backtests_do_not_share_a_store(tmp_path: Path, history: Path) -> None:
    place = Place(tmp_path / "store.db")
    first = backtest(config(), [history], place)
    assert backtest(config(), [history], place) == first
    for other in (config("6"), config(detection={"false_pages": "1/30d"})):
        with pytest.raises(StateConflict, match="another one with --store"):
            backtest(other, [history], place)


def test_without_its_mark_another_window_would_change_nothing_silently(
    tmp_path: Path, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_asked", lambda *_: b"always the same")
    place = Place(tmp_path / "store.db")
    first = backtest(config(), [history], place)
    assert backtest(config("6"), [history], place) == first


def test_a_production_store_is_never_written_over(tmp_path: Path, history: Path) -> None:
    path = tmp_path / "production.db"
    with closing(open_store(str(path))) as store:
        store.lock()
        module.apply_pending(store, config())
        store.record_action(
            "import", by="ann", reason="", args={"body": learned(window()).to_json().decode()},
            now=START,
        )  # fmt: skip
        module.apply_pending(store, config())
    with pytest.raises(StateConflict, match="holds something else"):
        backtest(config(), [history], Place(path))
    with closing(open_store(str(path))) as store:
        assert not store.totals().get(("consumed", ""))


def test_a_baseline_of_another_classifier_is_refused(tmp_path: Path, history: Path) -> None:
    with pytest.raises(BaselineError, match="classifier"):
        backtest(config(), [history], Place(tmp_path / "store.db"), baseline=learned(window()))


def test_a_candidate_is_put_in_force_in_event_time(tmp_path: Path, history: Path) -> None:
    baseline = dataclasses.replace(
        learned(window()), classifier=LinearClassifier.load(None).identity
    )
    place = Place(tmp_path / "store.db")
    result = backtest(config(), [history], place, baseline=baseline)
    (lane,) = result.summary.deployments
    assert lane.reference_n >= baseline.counts.n
    with closing(open_store(str(place.store))) as store:
        (row,) = store.baselines()
    approved = json.loads(row.body)["approved"]
    assert approved == {"by": "backtest", "at": format_time(baseline.last), "reason": ""}
    assert backtest(config(), [history], place, baseline=baseline) == result
