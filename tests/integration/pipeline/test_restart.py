"""Runs that are interrupted, continued, followed and rotated count every record once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from monitor.records import Interaction
from monitor.sources.file import FileSource
from tests.integration.pipeline.places import Place, Record, adds_up, changed, healthy

N = 3_500


def sibling(place: Place, name: str) -> Place:
    """Another folder with a copy of the store."""
    other = Place(place.folder / name)
    other.folder.mkdir()
    other.path("store.db").write_bytes(place.path("store.db").read_bytes())
    return other


def epoch(record: Record) -> str:
    """Ten seconds of event time."""
    return str(record["timestamp"])[:18]


def boundary(records: list[Record], near: int) -> int:
    """Where, from `near` on, a new epoch begins."""
    return next(i for i in range(near, len(records))
                if epoch(records[i]) != epoch(records[i - 1]))  # fmt: skip


def outputs(place: Place) -> dict[str, bytes]:
    """Output files; the name of the source, which dead letters give, is not compared."""
    return {
        kind: place.path(f"{kind}.jsonl").read_bytes().replace(str(place.folder).encode(), b"")
        for kind in place.files
    }


def counted(place: Place) -> dict[tuple[str, str], int]:
    return {key: n for key, n in place.totals().items() if n}


def test_half_a_file_now_and_half_later_is_the_whole(armed: Place) -> None:
    records: list[object] = [*changed(N)]
    for i in range(100, N, 700):
        records.insert(i, b"{")
    cut = boundary(changed(N), 1_700) + sum(i < 1_700 for i in range(100, N, 700))
    whole, halves = sibling(armed, "whole"), sibling(armed, "halves")
    whole.write("outputs.jsonl", records)
    whole.run("outputs.jsonl")
    halves.write("outputs.jsonl", records[:cut])
    first = halves.run("outputs.jsonl").summary
    halves.write("outputs.jsonl", records[cut:], append=True)
    second = halves.run("outputs.jsonl").summary
    assert first["consumed"] < second["consumed"]
    assert "Unalignment" in whole.opened()
    assert outputs(halves) == outputs(whole)
    assert counted(halves) == counted(whole)


def test_a_run_with_nothing_new_changes_nothing(armed: Place) -> None:
    armed.write("outputs.jsonl", changed(500))
    armed.run("outputs.jsonl")
    before, files = counted(armed), outputs(armed)
    summary = armed.run("outputs.jsonl").summary
    assert summary["consumed"] == before["consumed", ""]
    assert (counted(armed), outputs(armed)) == (before, files)


def test_records_delivered_again_are_counted_apart_and_not_again(
    armed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_large = b"x" * 2_000
    config = armed.config("pipeline: {max_record_bytes: 1KiB}\n")
    armed.write("outputs.jsonl", [*changed(500), b"{", too_large])
    armed.run("outputs.jsonl", before=config)
    before, letters = counted(armed), armed.lines("dead-letters")
    start = FileSource.start
    monkeypatch.setattr(FileSource, "start", lambda self, _: start(self, {}))
    assert armed.run("outputs.jsonl", before=config).summary["duplicates"] == 502
    assert counted(armed) == before | {("duplicates", ""): 502}
    assert armed.lines("dead-letters") == letters


def test_a_line_that_is_still_being_written_is_read_once(empty: Place) -> None:
    whole = b"".join(json.dumps(r).encode() + b"\n" for r in healthy(0, 50))
    process = empty.start("grows.jsonl", "--follow", stdin=subprocess.DEVNULL)
    with empty.path("grows.jsonl").open("wb", buffering=0) as file:
        for start in range(0, len(whole), 1_733):
            file.write(whole[start : start + 1_733])
        empty.wait_for_verdicts(50)
    ran = empty.stop(process)
    assert (ran.code, ran.summary["consumed"], ran.summary["dead_lettered"]) == (0, 50, {})


def test_a_followed_file_is_read_through_rotation_and_sigterm_drains(armed: Place) -> None:
    records = changed(N)
    armed.write("live.jsonl", records[:900])
    process = armed.start("live.jsonl", "--follow")
    armed.wait_for_verdicts(900)
    armed.write("live.jsonl", records[900:1_500], append=True)
    armed.path("live.jsonl").rename(armed.path("live.jsonl.1"))
    armed.write("live.jsonl", records[1_500:2_400])
    armed.wait_for_verdicts(2_400)
    ran = armed.stop(process)
    assert ran.code == 0
    assert adds_up(ran.summary)
    assert armed.totals()["consumed", ""] == 10_500 + 2_400
    # What came while nobody listened is read by the next one.
    armed.path("live.jsonl").rename(armed.path("live.jsonl.2"))
    armed.write("live.jsonl", records[2_400:])
    process = armed.start("live.jsonl", "--follow")
    armed.wait_for_verdicts(N)
    ran = armed.stop(process)
    assert ran.code == 0
    assert [x["id"] for x in armed.lines("verdicts")] == [r["id"] for r in records]
    assert armed.totals()["consumed", ""] == 10_500 + N
    assert "Unalignment" in armed.opened()


def test_an_idle_source_does_not_hold_back_an_alert(armed: Place) -> None:
    """Traffic stops right after the change: the open epoch is closed all the same."""
    records = changed(N)
    armed.write("live.jsonl", records)
    whole = sibling(armed, "whole")
    whole.write("live.jsonl", records)
    whole.run("live.jsonl")
    last = max(x["at"] for x in whole.lines("alerts"))
    kept = [r for r in records if str(r["timestamp"]) < last]
    armed.write("live.jsonl", kept)
    config = armed.config("pipeline: {idle_tick: 1s}\n")
    process = armed.start("live.jsonl", "--follow", before=config)
    armed.wait_for("the last alert", lambda: armed.lines("alerts") == whole.lines("alerts"))
    armed.stop(process)


def test_standard_input_is_read_to_its_end(empty: Place) -> None:
    path = empty.write("in.jsonl", [*healthy(0, 300), b"{"])
    with path.open("rb") as stdin:
        process = empty.start("-", stdin=stdin)
        ran = empty.finish(process)
    assert ran.code == 0
    assert (ran.summary["classified"], ran.summary["dead_lettered"]) == (300, {"invalid_json": 1})
    assert [x["id"] for x in empty.lines("verdicts")] == [r["id"] for r in healthy(0, 300)]


def test_alerts_on_standard_output_come_before_the_summary(armed: Place) -> None:
    armed.write("outputs.jsonl", changed(N))
    armed.files = ()
    ran = armed.run("outputs.jsonl", "--alerts", "-")
    schemas = [json.loads(line)["schema"] for line in ran.out.splitlines()]
    assert schemas[-1] == "backslide.summary/1"
    assert set(schemas[:-1]) == {"backslide.alert/1"}


def test_the_second_run_of_a_store_is_kept_out(armed: Place) -> None:
    """Two detectors would have two budgets and page twice."""
    armed.write("live.jsonl", changed(100))
    process = armed.start("live.jsonl", "--follow")
    armed.wait_for_verdicts(100)
    armed.write("other.jsonl", changed(100))
    armed.files = ()
    ran = armed.cli(*armed.words("other.jsonl"))
    assert ran.code == 6
    assert ran.err.count("\n") == 1
    assert armed.stop(process).code == 0


def test_a_file_that_was_replaced_is_not_read_from_the_middle(armed: Place) -> None:
    armed.write("outputs.jsonl", healthy(10_500, 10_700))
    armed.run("outputs.jsonl")
    before = counted(armed)
    armed.write("outputs.jsonl", healthy(12_000, 12_300))
    ran = armed.cli(*armed.words("outputs.jsonl"))
    assert ran.code == 6
    assert ran.err.count("\n") == 1
    assert counted(armed) == before


def test_verdicts_have_the_fields_that_programs_read_and_no_text(empty: Place) -> None:
    empty.write("outputs.jsonl", healthy(0, 20))
    empty.run("outputs.jsonl")
    texts = {"prompt", "response", "user", "conversation", "client", "system_prompt"}
    assert texts <= set(Interaction.__struct_fields__)
    for verdict in empty.lines("verdicts"):
        assert not texts & set(verdict)
        assert verdict["schema"] == "backslide.verdict/1"
        assert verdict["outcome"] in ("complied", "refused", "degenerate", "blocked", "unjudged")
        assert 0.0 <= verdict["p_refused"] <= 1.0
        assert verdict["classifier"].startswith("linear@sha256:")


# Exit codes


def test_exit_codes_tell_what_was_found(armed: Place, empty: Place) -> None:
    healthy_file = armed.write("healthy.jsonl", healthy(10_500, 10_800))
    assert armed.run("healthy.jsonl", "--exit-code").code == 0
    armed.write("changed.jsonl", changed(N))
    assert armed.run("changed.jsonl").code == 0
    never = Place(armed.folder / "never")
    never.folder.mkdir()
    never.path("healthy.jsonl").write_bytes(healthy_file.read_bytes())
    assert never.run("healthy.jsonl", "--exit-code").code == 4
    assert never.run("healthy.jsonl").code == 0


def test_a_page_of_this_run_is_exit_3_and_of_an_earlier_run_is_not(armed: Place) -> None:
    armed.write("changed.jsonl", changed(N))
    assert armed.run("changed.jsonl", "--exit-code").code == 3
    assert armed.run("changed.jsonl", "--exit-code").code == 0


def test_a_missing_file_is_one_line_and_exit_1(empty: Place) -> None:
    ran = empty.cli(*empty.words("nowhere.jsonl"))
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "nowhere.jsonl" in ran.err


def test_a_page_is_in_the_report(armed: Place, tmp_path: Path) -> None:
    armed.write("changed.jsonl", changed(N))
    armed.run("changed.jsonl", "--report", str(armed.path("report.html")))
    page = armed.path("report.html").read_text()
    summary = next(x["summary"] for x in armed.lines("alerts") if x["alert"] == "Unalignment")
    assert summary.split(":")[0] in page
    assert "http" not in page.replace("http://www.w3.org", "")
