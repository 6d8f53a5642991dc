"""`backslide plan` answers from stated traffic and from a baseline, or says what is missing."""

from __future__ import annotations

import json

import pytest

from monitor.store import Store
from tests.unit.cli.conftest import Cli
from tests.unit.cli.rows import NOON, save
from tests.unit.detection.windows import learned, window

STATED = ["--rps", "10", "--harmful-share", ".02", "--reference-n", "30000"]


def test_stated_traffic_is_enough(cli: Cli) -> None:
    answer = cli("plan", *STATED, "--left", ".05", "--output", "json")
    assert (answer.code, answer.err) == (0, "")
    plan = json.loads(answer.out)
    assert plan["schema"] == "backslide.plan/1"
    assert plan["page"]["found"] == 1.0
    assert 0 < plan["page"]["mean"] < plan["page"]["p95"] < 3_600
    assert plan["armed_after"]["seconds"] == plan["armed_after"]["interactions"] / 10
    assert plan["ticket"] is None
    text = cli("plan", *STATED, "--left", ".05").out
    assert "min on average" in text
    assert "none needed" in text


def test_a_deployment_is_planned_from_its_approved_baseline(cli: Cli, store: Store) -> None:
    approved = learned(window()).with_approval("ann", NOON)
    save(store, approved)
    plan = json.loads(cli("plan", "--deployment", "chat", "--left", ".1", "--output", "json").out)
    assert plan["basis"] == f"baseline {approved.id} of chat"
    assert plan["reference_n"] == approved.counts.n
    assert plan["rps"] == pytest.approx(25.0, rel=0.01)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--rps", "1"], 2, "--harmful-share, --reference-n: not given"),
        (["--rps", "1", "--deployment", "chat"], 2, "--rps: --deployment knows it"),
        ([*STATED, "--target", "soon"], 2, "--target"),
        ([*STATED, "--target", "0"], 2, "--target"),
        ([*STATED, "--left", "1"], 2, "--left"),
        ([*STATED, "--groups", "10"], 2, "--groups"),
        (["--rps", "1", "--harmful-share", ".001", "--reference-n", "9"], 4, "no refusals"),
        (["--deployment", "chat"], 4, "has no baseline"),
    ],
)
def test_what_cannot_be_planned_says_why(
    cli: Cli, store: Store, words: list[str], code: int, said: str
) -> None:
    answer = cli("plan", *words)
    assert answer.code == code
    assert said in answer.err
