"""What operators ask for comes into force, is refused with a reason, and survives a restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from monitor.detection import Baseline, Finding, Lane
from monitor.pipeline.detected import Detected, Raised
from monitor.pipeline.learning import WindowRule
from tests.unit.pipeline.desks import Office
from tests.unit.pipeline.streams import START, Detector, Stream, rows_of, stream, verdicts

N = 9_400
HEALTHY = 5_400
MIDWAY = 7_400
"""Records by which the change has been found."""
ARMED = WindowRule(records=5_000)


def traffic(first: int = 0, last: int = N, **columns: Any) -> Stream:
    """Records `first` to before `last` of a stream in which the model breaks after `HEALTHY`."""
    batch = verdicts(N, lost_from=HEALTHY, harmful_share=0.05, **columns)
    return stream(rows_of(batch, np.arange(first, last)))


@pytest.fixture
def office() -> Iterator[Office]:
    """A candidate in force; nobody has approved anything yet."""
    made = Office(Detector(ARMED, auto_approve=False)).feed(traffic(last=HEALTHY))
    yield made
    assert made.unsaved == set(), "a change that dies with the process"


def broken(office: Office) -> Office:
    """The model has lost its refusals."""
    return office.feed(traffic(first=HEALTHY))


def test_an_approved_candidate_pages(office: Office) -> None:
    assert office.act("approve", baseline=office.baseline_id).startswith("ok: ")
    (page,) = broken(office).open("Unalignment")
    assert page.severity == "page"


def test_a_candidate_opens_tickets_only(office: Office) -> None:
    broken(office)
    assert {row.severity for row in office.alerting.incidents.opened().values()} <= {
        "ticket",
        "info",
    }
    assert office.open("Unalignment")


def test_approving_during_a_provisional_alarm_lets_the_page_come(office: Office) -> None:
    office.feed(traffic(first=HEALTHY, last=MIDWAY))
    assert office.open("Unalignment")[0].severity == "ticket"
    office.act("approve", baseline=office.baseline_id)
    office.feed(traffic(first=MIDWAY))
    (page,) = office.open("Unalignment")
    assert page.severity == "page"


def test_approval_closes_what_was_about_the_old_baseline(office: Office) -> None:
    broken(office)
    office.act("approve", baseline=office.baseline_id)
    assert office.open("Unalignment") == []
    last = [line for line in office.lines if line["alert"] == "Unalignment"][-1]
    assert (last["event"], last["resolution"]) == ("resolve", "approved")


def test_the_artifact_of_a_candidate_is_no_stranger_before_or_after(office: Office) -> None:
    """Its approval is asked for already; a ticket beside that would be about nothing else."""
    assert office.open("UnapprovedArtifact") == []
    office.act("approve", baseline=office.baseline_id)
    assert office.open("UnapprovedArtifact") == []


def test_another_artifact_beside_a_candidate_is_a_stranger() -> None:
    office = Office(Detector(ARMED, auto_approve=False)).feed(newcomer(0))
    (ticket,) = office.open("UnapprovedArtifact")
    assert ticket.artifact == "m@2"


def test_who_approved_and_why_is_kept(office: Office) -> None:
    office.act("approve", baseline=office.baseline_id, by="ann", reason="reviewed")
    approval = office.detector.baselines[office.baseline_id].approved
    assert approval is not None
    assert (approval.by, approval.reason) == ("ann", "reviewed")


@pytest.mark.parametrize(
    ("kind", "args", "says"),
    [
        ("approve", {"baseline": "b0"}, "'b0' is not in the store"),
        ("approve", {}, "is not in the store"),
        ("retire", {"baseline": "b0"}, "'b0' is not in the store"),
        ("import", {"body": "{}"}, "baseline: "),
        ("import", {}, "baseline: "),
        ("mute", {"dedup_key": "bs-0", "until": "2030-01-01T00:00:00Z"}, "'bs-0' is not open"),
        ("resolve", {"dedup_key": "bs-0"}, "'bs-0' is not open"),
        ("event", {"deployment": "chat", "at": "noon"}, "at: is not a time"),
        ("explode", {}, "explode: not an action"),
    ],
)
def test_a_refused_action_says_why_and_changes_nothing(
    office: Office, kind: str, args: dict[str, str], says: str
) -> None:
    before = office.detector.everything()
    result = office.act(kind, **args)
    assert result.startswith("error: ")
    assert says in result
    assert office.detector.everything() == before


def test_a_mute_without_a_time_is_refused(office: Office) -> None:
    broken(office)
    key = office.open("Unalignment")[0].dedup_key
    assert office.act("mute", dedup_key=key, until="soon").startswith("error: until: ")
    assert office.open("Unalignment")[0].muted_until is None


def test_a_muted_alert_stays_open(office: Office) -> None:
    broken(office)
    key = office.open("Unalignment")[0].dedup_key
    assert office.act("mute", dedup_key=key, until="2030-01-01T00:00:00Z").startswith("ok: ")
    assert office.open("Unalignment")[0].muted_until is not None


def test_an_alert_that_an_operator_resolved_can_come_again(office: Office) -> None:
    office.act("approve", baseline=office.baseline_id)
    office.feed(traffic(first=HEALTHY, last=MIDWAY))
    (first,) = office.open("Unalignment")
    assert office.act("resolve", dedup_key=first.dedup_key).startswith("ok: ")
    assert office.open("Unalignment") == []
    assert office.act("resolve", dedup_key=first.dedup_key).startswith("error: ")
    office.feed(traffic(first=MIDWAY))
    (second,) = office.open("Unalignment")
    assert second.dedup_key != first.dedup_key
    assert second.incident == first.incident + 1


def test_a_line_of_an_action_holds_event_time(office: Office) -> None:
    office.act("approve", baseline=office.baseline_id)
    broken(office)
    office.act("resolve", dedup_key=office.open("Unalignment")[0].dedup_key)
    assert all(line["at"].startswith("2026-03-02T12:") for line in office.lines)


# Weak baselines


def blind_office(*, auto_approve: bool = False) -> Office:
    made = Office(Detector(ARMED, auto_approve=auto_approve))
    return made.feed(stream(verdicts(6_500, lost_from=0, harmful_share=0.05)))


def test_a_blind_baseline_is_approved_by_force_only() -> None:
    office = blind_office()
    assert office.act("approve", baseline=office.baseline_id).startswith("error: ")
    assert "--force" in office.act("approve", baseline=office.baseline_id, force="false")
    assert office.act("approve", baseline=office.baseline_id, force="true").startswith("ok: ")
    assert office.open("Blind")


def test_blindness_lasts_until_another_baseline_can_see() -> None:
    """Records that can be judged do not make refusals visible."""
    office = blind_office(auto_approve=True)
    assert office.transitions("Blind") == ["open"]
    office.feed(stream(verdicts(4_000, seed=1, start=START + 700, lost_from=0)))
    assert office.transitions("Blind") == ["open"]
    office.act("import", body=healthy_baseline().to_json().decode())
    assert office.transitions("Blind") == ["open", "resolve"]


# Imports and retirement


def healthy_baseline(seed: int = 9) -> Baseline:
    """An approved baseline from elsewhere."""
    other = Detector(ARMED).feed(stream(verdicts(HEALTHY, seed=seed, harmful_share=0.05)))
    (baseline,) = other.baselines.values()
    return baseline


def test_an_approved_import_is_in_force_at_once(office: Office) -> None:
    baseline = healthy_baseline()
    result = office.act("import", body=baseline.to_json().decode())
    assert result == f"ok: baseline {baseline.id} is imported and in force for chat"
    (page,) = broken(office).open("Unalignment")
    assert page.severity == "page"


def test_an_import_ends_learning() -> None:
    office = Office(Detector(ARMED)).feed(traffic(last=500))
    assert office.detector.windows["chat"]
    office.act("import", body=healthy_baseline().to_json().decode())
    assert not office.detector.windows.get("chat")
    office.feed(traffic(first=500))
    assert office.open("Unalignment")
    assert len(office.detector.baselines) == 1
    assert office.unsaved == set()


def test_an_imported_candidate_waits_for_approval(office: Office) -> None:
    candidate = Detector(ARMED, auto_approve=False).feed(
        stream(verdicts(HEALTHY, seed=9, harmful_share=0.05))
    )
    (baseline,) = candidate.baselines.values()
    in_force = office.detector.step.deployments["chat"].baseline
    office.act("import", body=baseline.to_json().decode())
    assert office.detector.step.deployments["chat"].baseline is in_force
    office.act("approve", baseline=baseline.id)
    now = office.detector.step.deployments["chat"].baseline
    assert now is not None
    assert now.id == baseline.id


def test_learning_the_same_records_again_does_not_undo_an_approval(office: Office) -> None:
    """A baseline's id comes from its counts: the candidate of a second `baseline learn` is the
    one that was approved."""
    candidate = office.detector.baselines[office.baseline_id].to_json().decode()
    office.act("approve", baseline=office.baseline_id)
    assert office.act("import", body=candidate).startswith("ok: ")
    assert office.state_of(office.baseline_id) == "approved"
    office.detector.restart()
    (page,) = broken(office).open("Unalignment")
    assert page.severity == "page"


def test_a_retired_baseline_comes_back_by_import_of_an_approved_one(office: Office) -> None:
    office.act("approve", baseline=office.baseline_id)
    approved = office.detector.baselines[office.baseline_id].to_json().decode()
    office.act("retire", baseline=office.baseline_id)
    office.act("import", body=approved)
    assert office.state_of(office.baseline_id) == "approved"


def test_a_retired_baseline_is_learned_anew_and_not_approved_by_itself() -> None:
    """Somebody took it out of force; what answers now may be what they were worried about."""
    office = Office(Detector(ARMED)).feed(traffic(last=HEALTHY))
    first = office.baseline_id
    assert office.state_of(first) == "approved"
    office.act("retire", baseline=first)
    assert office.detector.step.deployments["chat"].status == "learning"
    assert office.unsaved == set()
    office.detector.restart()
    office.feed(stream(verdicts(5_400, seed=1, start=START + 600, harmful_share=0.05)))
    (second,) = [b for b in office.detector.baselines.values() if b.id != first]
    assert second.state == "candidate"


def test_retiring_the_newer_baseline_puts_the_older_one_back(office: Office) -> None:
    office.act("approve", baseline=office.baseline_id)
    older = office.baseline_id
    newer = healthy_baseline()
    office.act("import", body=newer.to_json().decode())
    assert f"{older} is in force again" in office.act("retire", baseline=newer.id)
    now = office.detector.step.deployments["chat"].baseline
    assert now is not None
    assert now.id == older


def test_a_retired_baseline_can_be_learned_again(office: Office) -> None:
    candidate = office.detector.baselines[office.baseline_id].to_json().decode()
    office.act("retire", baseline=office.baseline_id)
    office.act("import", body=candidate)
    assert office.act("approve", baseline=office.baseline_id).startswith("ok: ")


def test_a_retired_baseline_is_not_imported(office: Office) -> None:
    office.act("approve", baseline=office.baseline_id)
    retired = office.detector.baselines[office.baseline_id].retired().to_json().decode()
    assert office.act("import", body=retired).startswith("error: ")
    assert office.state_of(office.baseline_id) == "approved"


def test_a_retired_baseline_cannot_be_approved(office: Office) -> None:
    office.act("retire", baseline=office.baseline_id)
    assert "is retired" in office.act("approve", baseline=office.baseline_id, force="true")


def test_the_artifacts_of_a_retired_baseline_are_strangers_again() -> None:
    office = Office(Detector(ARMED)).feed(traffic(last=HEALTHY))
    assert office.detector.step.knows("chat", "m@1")
    office.act("retire", baseline=office.baseline_id)
    assert not office.detector.step.knows("chat", "m@1")


def test_retiring_keeps_the_artifacts_that_an_event_named() -> None:
    office = Office(Detector(ARMED)).feed(traffic(last=HEALTHY))
    office.act("event", deployment="chat", kind="deploy", artifact="m@1", at="2026-03-02T12:00:00Z")
    office.act("retire", baseline=office.baseline_id)
    assert office.detector.step.knows("chat", "m@1")


# Events


def newcomer(first: int) -> Stream:
    names = ["m@1" if i < HEALTHY else "m@2" for i in range(N)]
    return traffic(first=first, artifacts=names)


def test_an_unknown_artifact_opens_a_ticket_once() -> None:
    office = Office(Detector(ARMED)).feed(newcomer(0))
    (ticket,) = office.open("UnapprovedArtifact")
    assert (ticket.artifact, ticket.severity) == ("m@2", "ticket")


def test_an_announced_artifact_opens_none() -> None:
    office = Office(Detector(ARMED))
    office.act("event", deployment="chat", kind="deploy", artifact="m@2", at="2026-03-02T12:08:50Z")
    office.feed(newcomer(0))
    assert office.open("UnapprovedArtifact") == []
    (page,) = office.open("Unalignment")
    assert page.artifact == "m@2"


def test_an_event_after_the_fact_closes_the_ticket() -> None:
    office = Office(Detector(ARMED)).feed(newcomer(0))
    office.act("event", deployment="chat", kind="deploy", artifact="m@2", at="2026-03-02T12:08:50Z")
    assert office.open("UnapprovedArtifact") == []


def test_an_event_of_another_deployment_says_nothing_of_this_one() -> None:
    office = Office(Detector(ARMED))
    office.act("event", deployment="code", kind="deploy", artifact="m@2", at="2026-03-02T12:08:50Z")
    office.feed(newcomer(0))
    assert office.open("UnapprovedArtifact")


def test_an_alert_names_the_event_before_it() -> None:
    office = Office(Detector(ARMED))
    office.act("event", deployment="chat", kind="deploy", artifact="m@2", at="2026-03-02T12:08:55Z")
    office.feed(newcomer(0))
    (page,) = [x for x in office.lines if x["alert"] == "Unalignment" and x["event"] == "open"]
    assert [event["artifact"] for event in page["events"]] == ["m@2"]


def test_an_operator_closes_the_alert_that_was_named_and_no_other_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two hazard groups are two incidents, with a key and a page of their own."""
    asked: list[tuple[str, str | None]] = []
    resolve = Lane.resolve

    def noted(
        self: Lane, alert: str, at: float, how: str, subject: str | None = None
    ) -> list[Finding]:
        asked.append((alert, subject))
        return resolve(self, alert, at, how, subject)

    monkeypatch.setattr(Lane, "resolve", noted)
    office = Office(Detector(ARMED)).feed(traffic(last=HEALTHY))
    lane = office.detector.step.deployments["chat"].slots["m@1"].lane
    spikes = []
    for group in (0, 3):
        incident = lane._detectors.groups.open(group, lane._reference, START)
        spikes.append(lane._say(incident, "open", START))
    raised = [Raised(0, "chat", "m@1", office.baseline_id, spike) for spike in spikes]
    office._announce(Detected(raised=raised))
    first, second = office.open("HazardSpike")
    assert first.group != second.group
    office.act("resolve", dedup_key=first.dedup_key)
    assert [row.group for row in office.open("HazardSpike")] == [second.group]
    assert lane.open_alerts == ("HazardSpike",)
    assert asked == [("HazardSpike", first.group)]
