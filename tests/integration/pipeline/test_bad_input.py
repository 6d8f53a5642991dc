"""Whatever a producer sends, every line is accounted for and the process stays up and small."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from monitor.pipeline.classify import ClassifyStep
from monitor.sources.base import RawBatch
from tests.integration.pipeline.places import (
    BACKSLIDE,
    DEADLINE,
    Place,
    Record,
    adds_up,
    healthy,
    without_variables,
)

MARK = "zebra-crossing-4711"
MEGABYTE = 1 << 20


def record(**fields: object) -> Record:
    return {"prompt": f"What is {MARK}?", "response": "A crossing."} | fields


REJECTED: dict[str, tuple[bytes, str]] = {
    "cut off": (b'{"prompt": "' + MARK.encode(), "invalid_json"),
    "not json": (MARK.encode(), "invalid_json"),
    "two objects": (json.dumps(record()).encode() * 2, "invalid_json"),
    "a list": (b"[1, 2]", "not_an_object"),
    "text": (json.dumps(MARK).encode(), "not_an_object"),
    "null": (b"null", "not_an_object"),
    "not utf-8": (b'{"prompt": "\xff\xfe' + MARK.encode() + b'", "response": ""}', "invalid_utf8"),
    "utf-16": (json.dumps(record()).encode("utf-16-le"), "invalid_json"),
    "NUL bytes": (b"\x00" * 100, "invalid_json"),
    "deep list": (b'{"prompt": "", "response": "", "a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
                  "too_deep"),
    "deep and open": (b'{"a":' * 100_000, "too_deep"),
    "prompt is a number": (json.dumps(record(prompt=3)).encode(), "wrong_type"),
    "response is true": (json.dumps(record(response=True)).encode(), "wrong_type"),
    "user is an object": (json.dumps(record(user={MARK: MARK})).encode(), "wrong_type"),
    "adapters of numbers": (json.dumps(record(adapters={"a": 1})).encode(), "wrong_type"),
    "no prompt": (json.dumps({"response": MARK}).encode(), "missing_field"),
    "no response": (json.dumps({"prompt": MARK}).encode(), "missing_field"),
    "empty object": (b"{}", "missing_field"),
    "sampling rate": (json.dumps(record(sampling_rate=7)).encode(), "out_of_range"),
    "ten megabytes": (json.dumps(record(response=MARK * (MEGABYTE // 2))).encode(), "too_large"),
}  # fmt: skip

CLASSIFIED: dict[str, bytes | Record] = {
    "empty prompt": record(prompt=""),
    "empty response": record(response=""),
    "both empty": record(prompt="", response=""),
    "null response": record(response=None),
    "NUL in text": record(response="a\0b"),
    "NUL in names": record(deployment="cha\0t", user="\0", model="\0"),
    "half a surrogate": b'{"prompt": "\\ud800", "response": "\\udfff hi", "user": "\\ud801"}',
    "NaN": b'{"prompt": "a", "response": "b", "x": NaN, "y": 1e999}',
    "huge number": b'{"prompt": "a", "response": "b", "id": ' + b"9" * 400 + b"}",
    "year 9999": record(timestamp="9999-12-31T23:59:59Z"),
    "year 0": record(timestamp="0000-01-01T00:00:00Z"),
    "negative time": record(timestamp=-1e300),
    "time is a list": record(timestamp=[1]),
    "far future": record(timestamp="2099-12-31T00:00:00Z"),
    "duplicate id": record(id="r-1"),
    "duplicate id again": record(id="r-1"),
    "duplicate keys": b'{"prompt": "a", "prompt": "b", "response": "c"}',
    "unknown fields": record(**{f"x{i}": {"deep": [i]} for i in range(300)}),
    "long names": record(deployment="d" * 10_000, user="u" * 10_000, model="m" * 10_000),
    "right-to-left": record(deployment="\u202echat", response="\u202e\u0000"),
    "three megabytes": record(response="word " * (MEGABYTE * 3 // 5)),
    "one word": record(response="a" * MEGABYTE),
}

BLANK = [b"", b"   ", b"\t\r"]


def mixed_in(good: Sequence[Record], bad: Sequence[object]) -> list[object]:
    """`bad` spread over `good`, one after every twenty."""
    mixed: list[object] = []
    rest = list(bad)
    for i, row in enumerate(good):
        mixed.append(row)
        if rest and i % 20 == 0:
            mixed.append(rest.pop(0))
    return mixed + rest


@pytest.fixture
def hostile(empty: Place) -> Place:
    """Every kind of bad line among a thousand good ones."""
    bad = [*(raw for raw, _ in REJECTED.values()), *CLASSIFIED.values(), *BLANK]
    empty.write("hostile.jsonl", mixed_in(healthy(0, 1_000), bad))
    return empty


def test_every_line_is_accounted_for(hostile: Place) -> None:
    ran = hostile.run("hostile.jsonl")
    summary = ran.summary
    assert summary["consumed"] == 1_000 + len(REJECTED) + len(CLASSIFIED)
    assert summary["classified"] == 1_000 + len(CLASSIFIED)
    assert summary["dead_lettered"] == Counter(reason for _, reason in REJECTED.values())
    assert ran.code == 0
    assert "Traceback" not in ran.err


def test_dead_letters_say_which_line_and_why_and_nothing_of_it(hostile: Place) -> None:
    hostile.run("hostile.jsonl")
    raw = hostile.path("hostile.jsonl").read_bytes().split(b"\n")
    reason_of = dict(REJECTED.values())
    letters = hostile.lines("dead-letters")
    assert len(letters) == len(REJECTED)
    for letter in letters:
        assert set(letter) == {"reason", "source", "partition", "offset", "error"}
        assert letter["source"] == f"file:{hostile.path('hostile.jsonl')}"
        assert letter["partition"] == 0
        assert reason_of[raw[letter["offset"]]] == letter["reason"]
    assert [x["offset"] for x in letters] == sorted(x["offset"] for x in letters)
    assert MARK.encode() not in hostile.path("dead-letters.jsonl").read_bytes()


def test_good_lines_get_their_verdicts_in_order(hostile: Place) -> None:
    hostile.run("hostile.jsonl")
    ids = [x["id"] for x in hostile.lines("verdicts")]
    assert [name for name in ids if name.startswith("demo-")] == [
        row["id"] for row in healthy(0, 1_000)
    ]
    assert len(ids) == 1_000 + len(CLASSIFIED)
    assert ids.count("r-1") == 2


def test_absurd_times_do_not_move_the_clock(hostile: Place) -> None:
    hostile.run("hostile.jsonl")
    first, last = hostile.rows("SELECT min(minute), max(minute) FROM ledger")[0]
    assert first is None or last - first < 60
    assert hostile.totals()["clock_skew", ""] >= 6


@pytest.mark.parametrize(("bad", "code"), [(50, 0), (54, 5)])
def test_more_than_five_percent_rejected_is_exit_5(empty: Place, bad: int, code: int) -> None:
    empty.write("some.jsonl", mixed_in(healthy(0, 1_000 - 48), [b"{"] * bad))
    assert empty.run("some.jsonl").code == code


def test_the_share_is_that_of_this_run(empty: Place) -> None:
    """A bad day in the past must not fail every run to come."""
    empty.write("a.jsonl", [b"{"] * 100)
    assert empty.run("a.jsonl").code == 5
    empty.write("b.jsonl", healthy(0, 100))
    assert empty.run("b.jsonl").code == 0


def test_an_outage_of_a_producer_opens_a_ticket(empty: Place) -> None:
    broken = [b'{"deployment": "demo-chat", "prompt": 1, "response": ""}'] * 1_500
    empty.write("broken.jsonl", [*healthy(0, 200), *broken, *healthy(200, 2_200)])
    empty.run("broken.jsonl")
    assert [x["event"] for x in empty.lines("alerts")] == ["open", "resolve"]
    (opened,) = empty.alerts()
    assert opened[:2] == ("IngestBroken", "ticket")


# Floods


def names(n: int) -> list[Record]:
    return [record(deployment=f"d-{i}", model=f"m-{i}", replica=f"r-{i}") for i in range(n)]


def test_a_flood_of_deployments_is_bounded(empty: Place) -> None:
    empty.write("flood.jsonl", [*healthy(0, 100), *names(5_000), *healthy(100, 200)])
    summary = empty.run("flood.jsonl").summary
    assert summary["classified"] == 5_200
    listed = [lane["deployment"] for lane in summary["deployments"]]
    assert len(listed) == 1_000
    assert "demo-chat" in listed
    assert len(empty.rows("SELECT name FROM states")) <= 1_002
    totals = empty.totals()
    assert totals["deployment_overflow", ""] == 5_000 - 999
    assert totals["outcome", "other|complied"] + totals.get(("outcome", "other|refused"), 0) > 0


def test_a_deployment_behind_a_flood_of_garbage_is_still_watched(armed: Place) -> None:
    rows = [*healthy(10_500, 10_600), *names(2_000), *healthy(10_600, 10_700)]
    armed.write("flood.jsonl", rows)
    summary = armed.run("flood.jsonl").summary
    (lane,) = [x for x in summary["deployments"] if x["deployment"] == "demo-chat"]
    assert lane["state"] == "armed"
    assert lane["reference_n"] == 10_700


# Memory


MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""Started from a small process: a child's peak is never less than what its parent had."""


def peak(place: Place, source: Path, *settings: str) -> int:
    """Highest resident size of a run over `source`, in kB; it ends with exit code 0 or 5."""
    config = place.config("\n".join(settings))
    store = source.with_suffix(".db")
    words = [BACKSLIDE, *config, "run", "--source", str(source), "--store", str(store)]
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, *words],
        capture_output=True,
        text=True,
        env=without_variables(),
        timeout=DEADLINE,
    )
    assert ran.returncode in (0, 5), ran.stderr
    summary, used = ran.stdout.splitlines()[-2:]
    assert adds_up(json.loads(summary))
    return int(used)


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Peak of a run over ordinary records."""
    place = Place(tmp_path_factory.mktemp("ordinary"))
    return peak(place, place.write("ordinary.jsonl", healthy(0, 2_000)))


def test_memory_stays_bounded_whatever_comes(empty: Place, ordinary: int) -> None:
    huge = json.dumps(record(response="x" * (10 * MEGABYTE)))
    many = [*(huge.encode() for _ in range(12)), b"[" * (20 * MEGABYTE), *names(3_000)]
    hostile = peak(empty, empty.write("huge.jsonl", [*healthy(0, 500), *many]))
    assert hostile < 1.3 * ordinary, f"{hostile} kB against {ordinary} kB"


def test_ten_megabyte_responses_are_read_where_they_are_allowed(
    empty: Place, ordinary: int
) -> None:
    huge = json.dumps(record(response="it is so, " * MEGABYTE))
    source = empty.write("huge.jsonl", [huge.encode()] * 12)
    used = peak(empty, source, "pipeline: {max_record_bytes: 16MiB}")
    assert used < 1.8 * ordinary, f"{used} kB against {ordinary} kB"


# The tests would notice


def test_losing_a_dead_letter_is_caught(hostile: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ClassifyStep.run

    def careless(self: ClassifyStep, raw: RawBatch) -> object:
        classified = whole(self, raw)
        object.__setattr__(classified, "dead_letters", classified.dead_letters[1:])
        return classified

    monkeypatch.setattr(ClassifyStep, "run", careless)
    ran = hostile.cli(*hostile.words("hostile.jsonl"))
    assert not adds_up(ran.summary)


def test_keeping_every_deployment_is_caught(empty: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.pipeline.detect.MAX_DEPLOYMENTS", 10**9)
    empty.write("flood.jsonl", names(2_000))
    empty.run("flood.jsonl")
    assert len(empty.rows("SELECT name FROM states")) > 1_002
