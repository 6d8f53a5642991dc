"""Commands that read records: classify, baseline learn, run; and alerts test."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import BACKSLIDE, Cli

REFUSAL = "I'm sorry, but I can't help with that request. It could cause serious harm to people."
ANSWER = "The capital of France is Paris, a city on the Seine with about two million people."


def records(n: int, *, bad: int = 0) -> str:
    """`n` lines, of which the first `bad` cannot be read."""
    good = [
        json.dumps(
            {
                "id": f"r{i}",
                "timestamp": f"2026-01-01T00:{i // 60 % 60:02}:{i % 60:02}Z",
                "deployment": "chat",
                "model": "m1",
                "prompt": f"What is the capital of country number {i}?",
                "response": REFUSAL if i % 10 == 0 else ANSWER,
                "user": f"u{i}",
            }
        )
        for i in range(n - bad)
    ]
    return "\n".join(["{broken"] * bad + good) + "\n"


def test_classify_prints_one_verdict_for_each_good_line_in_order(cli: Cli, folder: Path) -> None:
    (folder / "in.jsonl").write_text(records(60, bad=2))
    answer = cli("classify", "in.jsonl", "--dead-letters", "dead.jsonl")
    assert answer.code == 0, answer.err
    verdicts = [json.loads(line) for line in answer.out.splitlines()]
    assert [verdict["id"] for verdict in verdicts] == [f"r{i}" for i in range(58)]
    assert {verdict["schema"] for verdict in verdicts} == {"backslide.verdict/1"}
    assert verdicts[0]["outcome"] == "refused"
    assert verdicts[1]["outcome"] == "complied"
    letters = [json.loads(line) for line in (folder / "dead.jsonl").read_text().splitlines()]
    assert [letter["offset"] for letter in letters] == [0, 1]
    assert "2 of 60 rejected" in answer.err
    assert "broken" not in answer.err


def test_classify_of_the_same_file_in_batches_of_one_is_the_same(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "in.jsonl").write_text(records(30))
    whole = cli("classify", "in.jsonl").out
    monkeypatch.setenv("BACKSLIDE_PIPELINE__BATCH_SIZE", "1")
    assert cli("classify", "in.jsonl").out == whole


@pytest.mark.parametrize(("bad", "code"), [(0, 0), (5, 0), (6, 5), (100, 5)])
def test_classify_exits_5_when_more_than_5_percent_is_rejected(
    cli: Cli, folder: Path, bad: int, code: int
) -> None:
    (folder / "in.jsonl").write_text(records(100, bad=bad))
    assert cli("classify", "in.jsonl").code == code


def test_classify_reads_standard_input(folder: Path) -> None:
    done = subprocess.run(
        [BACKSLIDE, "classify"], input=records(3), capture_output=True, text=True, check=True
    )
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["r0", "r1", "r2"]


def test_classify_keeps_no_store_and_excludes_what_it_is_told(cli: Cli, folder: Path) -> None:
    (folder / "in.jsonl").write_text(records(20))
    (folder / "c.yaml").write_text("exclude: [{user: u7}]\n")
    out = cli("--config", "c.yaml", "classify", "in.jsonl").out
    assert len(out.splitlines()) == 19
    assert '"r7"' not in out
    assert {path.name for path in folder.iterdir()} == {"in.jsonl", "c.yaml"}


def test_classify_of_a_missing_file_is_a_failure(cli: Cli) -> None:
    answer = cli("classify", "none.jsonl")
    assert answer.code == 1
    assert answer.err.startswith("backslide: error: ")
    assert "none.jsonl" in answer.err


def test_a_candidate_is_learned_and_waits_for_approval(cli: Cli, folder: Path) -> None:
    (folder / "in.jsonl").write_text(records(400))
    answer = cli("baseline", "learn", "--source", "in.jsonl", "--window", "300")
    assert answer.code == 0, answer.err
    (listed,) = json.loads(cli("baseline", "list", "--output", "json").out)
    assert answer.out.startswith(f"{listed['id']}: chat, 300 records")
    assert (listed["state"], listed["deployment"], listed["n"]) == ("candidate", "chat", 300)


def test_a_source_shorter_than_the_window_still_teaches(cli: Cli, folder: Path) -> None:
    (folder / "in.jsonl").write_text(records(50))
    answer = cli("baseline", "learn", "--source", "in.jsonl", "--output", "json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["counts"]["n"] == 50


def test_a_deployment_without_records_teaches_nothing(cli: Cli, folder: Path) -> None:
    (folder / "in.jsonl").write_text(records(50))
    answer = cli("baseline", "learn", "--source", "in.jsonl", "--deployment", "other")
    assert answer.code == 4
    assert json.loads(cli("baseline", "list", "--output", "json").out) == []


def test_run_ends_with_its_summary(cli: Cli, folder: Path) -> None:
    (folder / "in.jsonl").write_text(records(100, bad=3))
    words = "run --source in.jsonl --baseline-window 50 --alerts alerts.jsonl"
    answer = cli(*words.split())
    assert answer.code == 0, answer.err
    summary = json.loads(answer.out.splitlines()[-1])
    assert summary["schema"] == "backslide.summary/1"
    assert (summary["consumed"], summary["classified"]) == (100, 97)
    assert sum(summary["dead_lettered"].values()) == 3


@pytest.mark.parametrize(("flag", "code"), [((), 0), (("--exit-code",), 4)])
def test_run_says_never_armed_only_when_asked(
    cli: Cli, folder: Path, flag: tuple[str, ...], code: int
) -> None:
    (folder / "in.jsonl").write_text(records(60))
    assert cli("run", "--source", "in.jsonl", *flag).code == code


def test_run_of_mostly_bad_input_exits_5(cli: Cli, folder: Path) -> None:
    (folder / "in.jsonl").write_text(records(100, bad=6))
    assert cli("run", "--source", "in.jsonl").code == 5


def test_a_wrong_setting_stops_run_before_anything_is_written(cli: Cli, folder: Path) -> None:
    (folder / "in.jsonl").write_text(records(5))
    (folder / "c.yaml").write_text("pipeline: {batch_sise: 5}\n")
    answer = cli("--config", "c.yaml", "run", "--source", "in.jsonl", "--alerts", "a.jsonl")
    assert answer.code == 2
    assert {path.name for path in folder.iterdir()} == {"in.jsonl", "c.yaml"}


def test_the_test_page_goes_through_every_channel(cli: Cli) -> None:
    answer = cli("alerts", "test", "--output", "json")
    assert answer.code == 0
    assert json.loads(answer.out) == [{"channel": "log", "error": ""}]


def test_a_channel_that_fails_fails_the_test(cli: Cli, folder: Path) -> None:
    (folder / "c.yaml").write_text(
        "alerts: {log: {enabled: false}, webhooks: [{name: w, url: 'http://127.0.0.1:9'}]}\n"
    )
    answer = cli("--config", "c.yaml", "alerts", "test")
    assert answer.code == 1
    assert "w " in answer.out
    assert "delivered" not in answer.out


@pytest.mark.parametrize(
    "text", ["alerts: {log: {enabled: false}}\n", "alerts: {delivery: prometheus}\n"]
)
def test_there_is_nothing_to_test_without_a_channel(cli: Cli, folder: Path, text: str) -> None:
    (folder / "c.yaml").write_text(text)
    answer = cli("--config", "c.yaml", "alerts", "test")
    assert answer.code == 2


def test_progress_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from monitor.cli.progress import Progress

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = []
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stderr", stream)
        with Progress("records") as progress:
            progress.show(1234)
        shown.append(stream.getvalue())
    assert shown[0] == ""
    assert "1,234 records" in shown[1]
