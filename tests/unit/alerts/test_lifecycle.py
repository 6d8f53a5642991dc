"""One incident, one key, few messages."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from monitor.alerts import (
    MAX_UPDATES,
    Alert,
    Context,
    Incidents,
    Lifecycle,
    Links,
    closing,
    dedup_key,
    lifecycle,
    mute,
)
from monitor.detection.finding import Change, Witness
from monitor.store.base import ModelEventRow
from tests.unit.alerts.findings import AT, Lane, Recorder, finding


def fed(*events: str, lane: Lane | None = None, **changes: Any) -> list[tuple[str, str]]:
    """(event, dedup key) of what a row of findings led to."""
    lane = lane or Lane()
    for i, event in enumerate(events):
        lane.feed(finding(event=event, at=AT + 10 * i, **changes))
    return [(t.alert.event, t.alert.dedup_key) for t in lane.written]


def check_no_flood() -> None:
    events = [event for event, _ in fed("open", *["update"] * 9, "resolve")]
    assert events == ["open", "update", "update", "update", "resolve"]


def check_incidents_told_apart() -> None:
    keys = [key for _, key in fed("open", "update", "resolve", "open", "resolve")]
    assert keys[0] == keys[1] == keys[2]
    assert keys[3] == keys[4]
    assert keys[0] != keys[3]


def test_a_long_incident_does_not_flood_the_pager() -> None:
    check_no_flood()


def test_mutant_without_the_limit_of_updates_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "MAX_UPDATES", 10**9)
    with pytest.raises(AssertionError):
        check_no_flood()


def test_a_second_incident_is_not_swallowed_by_the_first_ones_key() -> None:
    check_incidents_told_apart()


def test_mutant_without_incident_numbers_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Incidents, "next_number", lambda *_: 1)
    with pytest.raises(AssertionError):
        check_incidents_told_apart()


def test_pruning_closed_alerts_does_not_bring_an_old_key_back() -> None:
    lane = Lane()
    first = fed("open", "resolve", lane=lane)[0][1]
    restarted = Lane(incidents=Incidents([], lane.incidents.numbers_state()))
    assert fed("open", lane=restarted)[0][1] != first


def test_a_restart_updates_the_open_incident_instead_of_opening_another() -> None:
    lane = Lane()
    fed("open", lane=lane)
    rows = [t.row for t in lane.written]
    restarted = Lane(incidents=Incidents(rows, lane.incidents.numbers_state()))
    assert [e for e, _ in fed("open", "update", lane=restarted)] == ["update"]
    assert restarted.written[0].alert.dedup_key == rows[0].dedup_key
    assert restarted.written[0].alert.opened_at == lane.written[0].alert.at


def test_open_twice_and_ends_without_a_beginning_say_nothing() -> None:
    assert [e for e, _ in fed("update", "resolve", "open", "open", "resolve", "resolve")] == [
        "open",
        "resolve",
    ]


def test_a_closed_row_given_as_existing_is_no_open_incident() -> None:
    lane = Lane()
    fed("open", "resolve", lane=lane)
    context = Context(deployment="d", artifact="a", existing=lane.written[-1].row, incident=2)
    assert Lifecycle().apply(finding(event="update"), context) is None
    opened = Lifecycle().apply(finding(event="open"), context)
    assert opened is not None
    assert opened.row.incident == 2


def test_one_lane_recovering_leaves_the_other_lanes_incident_open() -> None:
    old, new = Lane(artifact="llama@1"), Lane(artifact="llama@2")
    new.incidents = old.incidents
    fed("open", lane=old)
    fed("open", lane=new)
    fed("resolve", lane=old)
    assert old.written[0].alert.dedup_key != new.written[0].alert.dedup_key
    assert set(old.incidents.opened("assistant-prod")) == {new.written[0].alert.dedup_key}


def test_both_directions_of_a_traffic_shift_are_incidents_of_their_own() -> None:
    lane = Lane()
    keys = {
        fed("open", lane=lane, alert="TrafficShift", severity="info", direction=d)[-1][1]
        for d in ("down", "up")
    }
    assert len(keys) == 2


def test_the_key_tells_apart_what_plain_joining_would_confuse() -> None:
    assert dedup_key("a", "b:c", "", 1) != dedup_key("a:b", "c", "", 1)
    assert dedup_key("d", "Unalignment", "", 1) == dedup_key("d", "Unalignment", "", 1)
    assert len(dedup_key("d" * 10_000, "Unalignment", "", 1)) == 67


def test_a_ticket_keeps_its_last_update_for_becoming_a_page() -> None:
    lane = Lane()
    fed("open", *["update"] * 5, lane=lane, severity="ticket")
    lane.feed(finding(event="update", severity="page"))
    lane.feed(finding(event="update", severity="page"))
    severities = [(t.alert.event, t.alert.severity) for t in lane.written]
    assert severities[-1] == ("update", "page")
    assert [e for e, _ in severities].count("update") == MAX_UPDATES


def test_who_was_paged_hears_of_the_end() -> None:
    pager = Recorder("pager", least="page")
    lane = Lane(lifecycle=Lifecycle([pager]))
    lane.feed(finding(event="open", severity="ticket"))
    lane.feed(finding(event="update", severity="page"))
    lane.feed(finding(event="resolve", severity="ticket", resolution="recovered"))
    assert [[o.event for o in t.outbox] for t in lane.written] == [[], ["update"], ["resolve"]]
    assert lane.written[-1].alert.severity == "page"


def test_channels_get_only_the_severities_they_want() -> None:
    channels = [Recorder("all"), Recorder("tickets", "ticket"), Recorder("pages", "page")]
    lane = Lane(lifecycle=Lifecycle(channels))
    for alert, severity in (("Unalignment", "page"), ("RiskyAnswers", "ticket")):
        lane.feed(finding(alert, severity=severity))
    lane.feed(finding("TrafficShift", severity="info"))
    told = [[o.channel for o in t.outbox] for t in lane.written]
    assert told == [["all", "tickets", "pages"], ["all", "tickets"], ["all"]]


def test_an_unapproved_baseline_never_pages() -> None:
    transition = Lane().feed(finding(provisional=True))
    assert transition is not None
    assert transition.alert.severity == "ticket"
    assert transition.alert.provisional


def test_a_muted_alert_is_written_down_but_tells_nobody_until_it_ends() -> None:
    lane = Lane()
    opened = lane.feed(finding(event="open"))
    assert opened is not None
    lane.incidents.note(mute(opened.row, until=AT + 100))
    during = lane.feed(finding(event="update", at=AT + 50))
    after = lane.feed(finding(event="update", at=AT + 100))
    assert during is not None
    assert after is not None
    assert (len(during.outbox), len(after.outbox)) == (0, 1)
    assert msgspec.json.decode(during.row.line)["event"] == "update"


def test_a_muted_incident_does_not_stay_open_for_ever_at_the_pager() -> None:
    lane = Lane()
    opened = lane.feed(finding(event="open"))
    assert opened is not None
    lane.incidents.note(mute(opened.row, until=AT + 1e9))
    end = lane.feed(finding(event="resolve", at=AT + 50))
    assert end is not None
    assert [o.event for o in end.outbox] == ["resolve"]


def test_an_operator_can_close_what_detection_would_keep_open() -> None:
    for changes in (
        {"alert": "Unalignment"},
        {"alert": "TrafficShift", "direction": "down", "severity": "info"},
        {"alert": "HazardSpike", "group": "hate", "severity": "ticket"},
    ):
        lane = Lane()
        opened = lane.feed(finding(**changes))
        assert opened is not None
        end = lane.feed(closing(opened.row, at=AT + 60, how="operator"))
        assert end is not None
        assert end.row.state == "resolved"
        assert end.alert.dedup_key == opened.alert.dedup_key
        assert end.alert.resolution == "operator"
        assert lane.incidents.opened() == {}


def test_the_alert_line_has_every_field_of_the_schema() -> None:
    events = [
        ModelEventRow("assistant-prod", AT - 4000, "deploy", "llama@1", "ci"),
        ModelEventRow("assistant-prod", AT - 9e6, "deploy", "old", "ci"),
        ModelEventRow("assistant-prod", AT + 5, "deploy", "later", "ci"),
        ModelEventRow("elsewhere", AT - 4000, "deploy", "llama@1", "ci"),
    ]
    transition = Lane().feed(
        finding(),
        baseline="b-1",
        artifacts=("llama@2", "llama@1"),
        events=events,
        links=Links(runbook="https://docs/Unalignment", dashboard="https://grafana/d/1"),
    )
    assert transition is not None
    line = msgspec.json.decode(transition.row.line)
    assert msgspec.json.decode(transition.row.line, type=Alert) == transition.alert
    assert list(line) == [
        "schema", "event", "alert", "severity", "dedup_key", "deployment", "artifact", "at",
        "opened_at", "summary", "family", "attribution", "evidence", "budget", "witnesses",
        "breadth", "change", "groups", "artifacts", "replicas", "events", "capped",
        "record_ids", "baseline", "provisional", "links", "resolution",
    ]  # fmt: skip
    assert line["schema"] == "backslide.alert/1"
    assert line["at"] == line["opened_at"] == "2026-03-03T14:05:00.000Z"
    assert line["evidence"] == {"log10": 7.312}
    assert line["budget"] == {"false_pages": 1.0, "per_days": 90.0, "share": 0.7}
    assert line["witnesses"]["refused"] == {"before": 18.2, "after": 2.1, "n": 11}
    assert line["witnesses"]["risky_answered"] == {"before": 11.0, "after": 19.5, "n": 102}
    assert list(line["witnesses"]) == ["refused", "risky_answered"]
    assert line["breadth"] == {"broad": True, "groups": ["hate", "crime"]}
    assert line["change"]["records_since"] == 5231
    assert line["groups"][0]["after"] == {"rate": 0.05, "n": 20, "low": 0.01, "high": 0.24}
    assert line["artifacts"] == ["llama@1", "llama@2"]
    assert line["replicas"] == ["r1", "r2"]
    assert [e["at"] for e in line["events"]] == ["2026-03-03T12:58:20.000Z"]
    assert line["capped"] == {"source": 3, "template": 4}
    assert line["record_ids"] == ["rec-1", "rec-2"]


@pytest.mark.parametrize(
    ("alert", "third"), [("DegenerateOutput", "degenerate"), ("FilterChange", "blocked")]
)
def test_an_alert_about_a_third_count_carries_it(alert: str, third: str) -> None:
    transition = Lane().feed(finding(alert))
    assert transition is not None
    assert list(transition.alert.witnesses) == ["refused", "risky_answered", third]


def test_the_budget_is_the_operators_and_the_share_is_of_it() -> None:
    page = Lane().feed(finding(budget_share=1.4, budget_days=28.0), false_pages=2.0)
    ticket = Lane().feed(
        finding("RiskyAnswers", severity="ticket", budget_share=0.2, budget_days=30.0),
        false_pages=2.0,
    )
    condition = Lane().feed(finding("Blind", budget_share=0.0, budget_days=0.0))
    shown = [msgspec.structs.astuple(t.alert.budget) for t in (page, ticket, condition) if t]
    assert shown == [(2.0, 28.0, 0.7), (1.0, 30.0, 0.2), (0.0, 0.0, 0.0)]


def test_a_replay_writes_the_same_bytes() -> None:
    def lines() -> list[bytes]:
        lane = Lane()
        fed("open", "update", "resolve", lane=lane)
        return [t.row.line for t in lane.written]

    assert lines() == lines()


def test_an_alert_stays_small_and_readable_whatever_detection_hands_over() -> None:
    wild = finding(
        record_ids=tuple(f"r{i}" for i in range(10_000)),
        replicas=tuple(f"p{i}" for i in range(10_000)),
        evidence_log10=math.inf,
        refused=Witness(math.nan, 1e300, 1),
        change=Change(AT, AT, AT, 10**12),
    )
    transition = Lane().feed(wild, artifacts=[str(i) for i in range(10_000)])
    assert transition is not None
    assert len(transition.row.line) < 20_000
    assert b"null" not in transition.row.line
    assert all(
        math.isfinite(v)
        for w in transition.alert.witnesses.values()
        for v in (w.before, w.after, transition.alert.evidence.log10)
    )


def test_an_incident_of_a_moved_on_event_time_never_ends_before_it_changed() -> None:
    lane = Lane()
    opened = lane.feed(finding(at=AT))
    assert opened is not None
    assert closing(replace(opened.row, changed_at=AT + 30), at=AT, how="operator").at == AT + 30
