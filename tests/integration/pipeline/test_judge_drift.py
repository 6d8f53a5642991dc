"""`JudgeDrift`: whoever runs the platform is paged when Backslide's own judge has changed."""

from __future__ import annotations

import pytest

from classifiers.hashing import Grams
from monitor.pipeline import embedded
from monitor.pipeline.self_check import SelfCheck
from tests.integration.pipeline.places import Place, healthy


def wrong_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = Grams.sums
    monkeypatch.setattr(Grams, "sums", lambda self, table: sums(self, table) + (table != 0).any())


def test_a_wrong_library_pages_once_and_the_end_is_told(
    armed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        wrong_sums(broken)
        for first in (10_500, 10_550):
            armed.write("in.jsonl", healthy(first, first + 50), append=first > 10_500)
            armed.run("in.jsonl")
    drift = [x for x in armed.lines("alerts") if x["alert"] == "JudgeDrift"]
    assert [x["event"] for x in drift] == ["open"]
    assert drift[0]["severity"] == "page"
    assert "of 212 recorded verdicts differ" in drift[0]["summary"]
    assert drift[0]["at"].startswith("2026-03-02T12:1")
    armed.write("in.jsonl", healthy(10_600, 10_650), append=True)
    armed.run("in.jsonl")
    drift = [x for x in armed.lines("alerts") if x["alert"] == "JudgeDrift"]
    assert [x["event"] for x in drift] == ["open", "resolve"]
    assert drift[-1]["resolution"] == "recovered"


def test_no_alert_about_the_judge_holds_text(armed: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_sums(monkeypatch)
    armed.write("in.jsonl", healthy(10_500, 10_550))
    ran = armed.run("in.jsonl")
    from classifiers.gold import gold_pairs

    written = ran.err + armed.path("alerts.jsonl").read_text()
    assert "self-check: linear@sha256:" in written
    assert not [p for p in gold_pairs() if len(p.prompt) > 10 and p.prompt in written]


def test_without_the_look_nobody_would_know(armed: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_sums(monkeypatch)
    monkeypatch.setattr(embedded.Embedded, "_check_judges", lambda *_: None)
    armed.write("in.jsonl", healthy(10_500, 10_550))
    armed.run("in.jsonl")
    assert "JudgeDrift" not in armed.opened()


def test_a_sound_judge_looks_at_itself_and_says_nothing(
    armed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    run = SelfCheck.run
    monkeypatch.setattr(SelfCheck, "run", lambda self: looked.append(run(self)) or looked[-1])
    armed.write("in.jsonl", healthy(10_500, 10_550))
    armed.run("in.jsonl")
    assert looked == [True]
    assert armed.opened() == []
