"""A backtest over real text: what it finds, that it goes on, that it repeats itself."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.app import execute
from monitor.config import Config
from monitor.pipeline.backtest import BacktestResult, Place, backtest
from monitor.store import open_store
from tests.integration.backtest.conftest import WINDOW, write


def config(**more: Any) -> Config:
    return Config.model_validate({"baseline": {"window": WINDOW}, **more})


def opened(result: BacktestResult) -> list[tuple[str, str, float]]:
    return [(alert.alert, alert.severity, alert.at) for alert in result.opened]


@pytest.fixture(scope="module")
def whole(past: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[BacktestResult, bytes]:
    """The past read at one go, and its report."""
    folder = tmp_path_factory.mktemp("whole")
    report = folder / "report.html"
    result = backtest(config(), [past], Place(folder / "store.db"), report=str(report))
    return result, report.read_bytes()


def test_the_loss_is_found_and_the_report_compares(whole: tuple[BacktestResult, bytes]) -> None:
    result, report = whole
    assert ("Unalignment", "page") in [found[:2] for found in opened(result)]
    assert {rule.name for rule in result.alternatives["demo-chat"]} == {
        "static threshold", "3-sigma", "two-proportion z",
    }  # fmt: skip
    assert b"What other rules would have paged" in report


def test_an_interrupted_backtest_goes_on_and_ends_the_same(
    past: Path, folder: Path, whole: tuple[BacktestResult, bytes]
) -> None:
    place, report = Place(folder / "store.db"), folder / "report.html"

    def stop_after(consumed: int) -> None:
        if consumed >= 12_000:
            os.kill(os.getpid(), signal.SIGTERM)

    first = backtest(config(), [past], place, report=str(report), progress=stop_after)
    assert not first.complete
    assert 12_000 <= first.summary.consumed < whole[0].summary.consumed
    assert not report.exists()
    assert backtest(config(), [past], place, report=str(report)) == whole[0]
    assert report.read_bytes() == whole[1]
    assert backtest(config(), [past], place, report=str(report)) == whole[0]
    assert report.read_bytes() == whole[1]


def test_verdicts_of_a_deleted_store_are_not_counted_again(past: Path, folder: Path) -> None:
    place = Place(folder / "store.db")
    place.verdicts.write_text("left over\n")
    result = backtest(config(), [write(folder / "few.jsonl", "unalignment", last=200)], place)
    assert result.complete
    assert len(place.verdicts.read_text().splitlines()) == 200


def test_two_files_tell_what_one_tells(
    halves: tuple[Path, Path], folder: Path, whole: tuple[BacktestResult, bytes]
) -> None:
    result = backtest(config(), list(halves), Place(folder / "store.db"))
    assert opened(result) == opened(whole[0])
    assert result.summary == whole[0].summary
    assert result.alternatives == whole[0].alternatives


def test_nobody_hears_of_the_past(past: Path, folder: Path) -> None:
    channels = {"webhooks": [{"name": "ops", "url": "http://127.0.0.1:9/"}]}
    place = Place(folder / "store.db")
    assert backtest(config(alerts=channels), [past], place).findings
    with closing(open_store(str(place.store))) as store:
        assert store.outbox_backlog() == (0, None)
        assert not store.failed_deliveries()


def test_a_shift_of_traffic_pages_other_rules_but_not_this_one(folder: Path) -> None:
    file = write(folder / "shift.jsonl", "traffic-shift", last=23_000)
    result = backtest(config(), [file], Place(folder / "store.db"))
    assert "page" not in [alert.severity for alert in result.opened]
    paged = [rule.name for rule in result.alternatives["demo-chat"] if rule.pages]
    assert {"3-sigma", "two-proportion z"} <= set(paged)


def test_the_command_prints_the_summary_last_and_exits_as_designed(
    past: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    few = str(write(folder / "few.jsonl", "unalignment", last=300))
    assert execute(["backtest", few, "--baseline-window", "299", "--exit-code"]) == 4
    assert execute(["backtest", few, "--baseline-window", "299"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["consumed"] == 300
    words = ["backtest", str(past), "--baseline-window", WINDOW, "--report", "r.html"]
    assert execute([*words, "--exit-code"]) == 3
    answer = capfd.readouterr().out
    assert json.loads(answer.splitlines()[-1])["schema"] == "backslide.summary/1"
    assert execute([*words, "--exit-code"]) == 3
    assert capfd.readouterr().out == answer
    assert (folder / "r.backtest.db").exists()
    assert execute([*words, "--false-pages", "1/30d"]) == 6
    assert "delete it" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["few.jsonl"], "either --baseline-window or --baseline"),
        (["few.jsonl", "--baseline-window", "9", "--baseline", "b"], "either"),
        (["none.jsonl", "--baseline-window", "9"], "no such file"),
        (["few.jsonl", "few.jsonl", "--baseline-window", "9"], "given twice"),
        (["few.jsonl", "--baseline-window", "soon"], "--baseline-window"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    folder: Path, capfd: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    (folder / "few.jsonl").write_text("{}\n")
    assert execute(["backtest", *words]) == 2
    assert said in capfd.readouterr().err


def test_rejected_input_is_not_taken_for_a_quiet_past(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.jsonl").write_text("no json\n" * 10)
    assert execute(["backtest", "bad.jsonl", "--baseline-window", "9"]) == 5


def test_an_exported_baseline_is_what_the_past_is_held_to(
    past: Path, halves: tuple[Path, Path], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--source", str(halves[0]), "--window", WINDOW, "--output", "json"]
    assert execute(["baseline", "learn", *words]) == 0
    (folder / "baseline.json").write_text(capfd.readouterr().out)
    words = ["backtest", str(halves[1]), "--baseline", "baseline.json", "--exit-code"]
    assert execute(words) == 3
    (lane,) = json.loads(capfd.readouterr().out.splitlines()[-1])["deployments"]
    assert lane["state"] == "firing"
