"""Whatever detection says, in whatever order, people see well-formed incidents."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.alerts import MAX_UPDATES, Incidents, mute
from monitor.store.base import AlertRow
from tests.unit.alerts.findings import AT, Lane, finding

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "update", "resolve", "mute", "restart"]),
        st.sampled_from(["Unalignment", "RiskyAnswers"]),
        st.sampled_from(["page", "ticket"]),
        st.sampled_from(["llama@1", "llama@2"]),
    ),
    max_size=60,
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(STEPS)
def test_every_incident_opens_once_updates_seldom_and_ends_once(
    steps: list[tuple[str, str, str, str]],
) -> None:
    lane = Lane()
    rows: dict[str, AlertRow] = {}
    for i, (event, alert, severity, artifact) in enumerate(steps):
        lane.artifact = artifact
        if event == "restart":
            lane.incidents = Incidents(rows.values())
        elif event == "mute":
            row = lane.incidents.open(lane.deployment, artifact, alert)
            if row is not None:
                lane.incidents.note(mute(row, AT + i + 3))
        else:
            made = lane.feed(finding(alert, event=event, severity=severity, at=AT + i))
            if made is not None:
                rows[made.row.dedup_key] = made.row
    told = sorted(
        ((t.alert.dedup_key, i, t) for i, t in enumerate(lane.written)), key=lambda x: x[:2]
    )
    open_lanes = set()
    for key, group in groupby(told, key=lambda x: x[0]):
        incident = [t for _, _, t in group]
        events = [t.alert.event for t in incident]
        assert events[0] == "open"
        assert events.count("open") == 1
        assert events.count("update") <= MAX_UPDATES
        assert "resolve" not in events[:-1]
        severities = [t.alert.severity == "page" for t in incident]
        assert severities == sorted(severities)
        assert len({(t.alert.alert, t.row.artifact, t.row.incident) for t in incident}) == 1
        assert all(o.dedup_key == key for t in incident for o in t.outbox)
        assert incident[0].outbox
        if events[-1] != "resolve":
            of = (incident[0].row.alert, incident[0].row.artifact)
            assert of not in open_lanes
            open_lanes.add(of)
    assert {(r.alert, r.artifact) for r in lane.incidents.opened().values()} == open_lanes
