"""Baselines and alerts in the hands of people, while a detector runs and while none does."""

from __future__ import annotations

import json

import pytest

from classifiers import LinearClassifier, versions
from tests.integration.pipeline.places import ARTIFACT, Place, changed, healthy

N = 3_500


def baseline_id(place: Place) -> str:
    (baseline,) = place.baselines()
    name: str = baseline["id"]
    return name


def state(place: Place) -> str:
    (baseline,) = place.baselines()
    name: str = baseline["state"]
    return name


def test_without_approval_the_worst_is_a_ticket(candidate: Place) -> None:
    assert state(candidate) == "candidate"
    candidate.write("changed.jsonl", changed(N))
    ran = candidate.run("changed.jsonl", "--exit-code")
    assert {severity for _, severity, _ in candidate.alerts()} <= {"ticket", "info"}
    assert "Unalignment" in candidate.opened()
    assert all(x["provisional"] for x in candidate.lines("alerts") if x["alert"] == "Unalignment")
    assert ran.code == 3


def test_an_approval_that_nobody_was_asked_for_is_said(empty: Place) -> None:
    empty.write("few.jsonl", healthy(0, 700))
    told = empty.run("few.jsonl", "--baseline-window", "600").err
    assert "approved automatically as healthy; look at it with backslide baseline show " in told
    assert baseline_id(empty) in told


def test_an_approval_while_nothing_runs_arms_the_next_run(candidate: Place) -> None:
    approved = candidate.on_store(
        "baseline", "approve", baseline_id(candidate), "--by", "ann", "--reason", "reviewed"
    )
    assert approved.code == 0
    assert state(candidate) == "approved"
    candidate.write("changed.jsonl", changed(N))
    candidate.run("changed.jsonl")
    assert ("Unalignment", "page", ARTIFACT) in candidate.alerts()


def test_an_approval_while_a_detector_runs_is_applied_by_it(candidate: Place) -> None:
    candidate.write("live.jsonl", healthy(10_500, 10_800))
    process = candidate.start("live.jsonl", "--follow")
    candidate.wait_for_verdicts(300)
    approve = ("baseline", "approve", baseline_id(candidate), "--by", "ann")
    result = candidate.on_store(*approve, "--output", "json")
    assert result.code == 0
    assert result.json["applied"] is False
    candidate.wait_for("the approval", lambda: state(candidate) == "approved")
    candidate.write("live.jsonl", changed(N), append=True)
    candidate.wait_for("the page", lambda: ("Unalignment", "page", ARTIFACT) in candidate.alerts())
    assert candidate.stop(process).code == 0
    (approval,) = (b["approved"] for b in candidate.baselines())
    assert approval["by"] == "ann"
    audit = candidate.rows("SELECT kind, result FROM operator_actions")
    assert [(kind, result.split(":")[0]) for kind, result in audit] == [("approve", "ok")]


def test_a_baseline_moves_to_another_store(armed: Place, empty: Place) -> None:
    file = armed.path("baseline.json")
    name = baseline_id(armed)
    assert armed.on_store("baseline", "export", name, "-o", str(file)).code == 0
    other = Place(armed.folder / "other")
    other.folder.mkdir()
    assert other.on_store("baseline", "import", str(file)).code == 0
    assert baseline_id(other) == name
    other.write("changed.jsonl", changed(N))
    summary = other.run("changed.jsonl").summary
    assert summary["deployments"][0]["state"] == "firing"
    assert ("Unalignment", "page", ARTIFACT) in other.alerts()


def test_a_baseline_that_was_tampered_with_is_refused(armed: Place) -> None:
    file = armed.path("baseline.json")
    armed.on_store("baseline", "export", baseline_id(armed), "-o", str(file))
    body = json.loads(file.read_text())
    body["counts"]["degenerate"] += 500
    file.write_text(json.dumps(body))
    other = armed.cli("baseline", "import", str(file), "--store", str(armed.path("other.db")))
    assert other.code == 1
    assert "export it again" in other.err


def test_a_candidate_learned_from_a_file_waits_for_approval(empty: Place) -> None:
    path = str(empty.write("healthy.jsonl", healthy(0, 10_000)))
    learned = empty.on_store("baseline", "learn", "--source", path, "--window", "10000")
    assert learned.code == 0
    assert state(empty) == "candidate"
    name = baseline_id(empty)
    assert empty.on_store("baseline", "approve", name, "--by", "ann").code == 0
    again = empty.on_store("baseline", "learn", "--source", path, "--window", "10000")
    assert again.code == 0
    assert (baseline_id(empty), state(empty)) == (name, "approved")
    empty.write("changed.jsonl", changed(N))
    empty.run("changed.jsonl")
    assert ("Unalignment", "page", ARTIFACT) in empty.alerts()


def test_a_deployment_nothing_can_be_learned_of_does_not_stop_the_others(empty: Place) -> None:
    mute = [{"deployment": "mute", "prompt": "hello", "response": "", "tool_calls": [{"id": "1"}]}]
    path = str(empty.write("two.jsonl", [*healthy(0, 600), *mute * 5]))
    learned = empty.on_store("baseline", "learn", "--source", path)
    assert learned.code == 0, learned.err
    assert [b["deployment"] for b in empty.baselines()] == ["demo-chat"]
    alone = str(empty.write("mute.jsonl", mute * 5))
    assert empty.on_store("baseline", "learn", "--source", alone).code == 4


def test_a_retired_baseline_is_out_of_force_and_stays_so(armed: Place) -> None:
    """The next run learns anew, and approves nothing by itself."""
    name = baseline_id(armed)
    assert armed.on_store("baseline", "retire", name).code == 0
    assert state(armed) == "retired"
    armed.write("more.jsonl", healthy(10_500, 11_200))
    summary = armed.run("more.jsonl", "--baseline-window", "600").summary
    states = {b["id"]: b["state"] for b in armed.baselines()}
    assert states.pop(name) == "retired"
    assert list(states.values()) == ["candidate"]
    assert summary["deployments"][0]["state"] in ("candidate", "blind")


def another_classifier() -> str:
    """A version that ships and is not the default."""
    default = LinearClassifier.load().identity
    return next(version for version, digest in versions().items() if digest not in default)


def test_a_baseline_pins_the_classifier_that_made_it(empty: Place) -> None:
    """An upgrade that ships new weights must not look like a change of the model."""
    empty.write("a.jsonl", healthy(0, 700))
    older = empty.config(f"classifier: {{version: '{another_classifier()}'}}\n")
    empty.run("a.jsonl", "--baseline-window", "600", before=older)
    empty.write("b.jsonl", healthy(700, 720))
    ran = empty.run("b.jsonl")
    (baseline,) = empty.on_store("baseline", "list", "--output", "json").json
    assert {x["classifier"] for x in empty.lines("verdicts")} == {baseline["classifier"]}
    assert "it goes on judging" in ran.err


def test_a_classifier_that_does_not_fit_the_baseline_is_said(armed: Place) -> None:
    armed.write("more.jsonl", healthy(10_500, 10_520))
    other = armed.config(f"classifier: {{version: '{another_classifier()}'}}\n")
    ran = armed.run("more.jsonl", before=other)
    assert "was made by another classifier" in ran.err
    assert "demo-chat" in ran.err


@pytest.fixture
def paged(armed: Place) -> Place:
    """A store in which a page is open."""
    armed.write("changed.jsonl", changed(2_600))
    armed.run("changed.jsonl")
    assert "Unalignment" in armed.opened()
    return armed


def listed(place: Place, state: str = "open") -> list[str]:
    rows = place.on_store("alerts", "list", "--state", state, "--output", "json").json
    return [row["alert"] for row in rows]


def test_an_open_page_can_be_looked_at(paged: Place) -> None:
    assert "Unalignment" in listed(paged)
    key = paged.key_of("Unalignment")
    shown = paged.on_store("alerts", "show", key, "--output", "json").json
    assert shown == [x for x in paged.lines("alerts") if x["dedup_key"] == key][-1]
    text = paged.on_store("alerts", "show", key[:20]).out
    assert "demo-chat stopped refusing" in text


def test_the_end_of_a_muted_page_is_still_told(paged: Place) -> None:
    """Or it would stay open for ever where people were told of it."""
    key = paged.key_of("Unalignment")
    assert paged.on_store("alerts", "mute", key, "--until", "2099-01-01T00:00:00Z").code == 0
    muted = paged.on_store("alerts", "list", "--output", "json").json
    assert [x["muted_until"] for x in muted if x["dedup_key"] == key] == ["2099-01-01T00:00:00Z"]
    asked = f"SELECT event FROM outbox WHERE dedup_key = '{key}' ORDER BY id"
    before = paged.rows(asked)
    paged.on_store("alerts", "resolve", key, "--by", "ann", "--reason", "rolled back")
    assert [event for (event,) in before] == ["open", "update"]
    assert [event for (event,) in paged.rows(asked)] == ["open", "update", "resolve"]


def test_a_resolved_page_is_closed_with_a_name(paged: Place) -> None:
    key = paged.key_of("Unalignment")
    resolve = ("alerts", "resolve", key, "--by", "ann", "--reason", "rolled back")
    assert paged.on_store(*resolve).code == 0
    assert "Unalignment" not in listed(paged)
    assert "Unalignment" in listed(paged, "resolved")
    again = paged.on_store(*resolve)
    assert again.code == 2
    assert "is resolved, not open" in again.err


@pytest.mark.parametrize(
    "words",
    [
        ("alerts", "show", "bs-nothing"),
        ("alerts", "mute", "bs-nothing", "--until", "2h"),
        ("alerts", "resolve", "bs-nothing", "--by", "ann", "--reason", "x"),
        ("baseline", "show", "b-nothing"),
        ("baseline", "approve", "b-nothing", "--by", "ann"),
        ("baseline", "retire", "b-nothing"),
        ("baseline", "export", "b-nothing", "-o", "/dev/null"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_an_unknown_name_is_one_line_and_exit_2(armed: Place, words: tuple[str, ...]) -> None:
    ran = armed.on_store(*words)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert "nothing" in ran.err


def test_a_weak_baseline_is_approved_by_force_only(empty: Place) -> None:
    empty.write("few.jsonl", healthy(0, 700))
    empty.run("few.jsonl", "--baseline-window", "600", "--no-auto-approve")
    name = baseline_id(empty)
    refused = empty.on_store("baseline", "approve", name, "--by", "ann")
    assert refused.code == 4
    assert "--force" in refused.err
    assert empty.on_store("baseline", "approve", name, "--by", "ann", "--force").code == 0
    assert state(empty) == "approved"
