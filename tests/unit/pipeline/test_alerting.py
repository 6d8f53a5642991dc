"""From findings to lines: one alert for one incident, the same bytes for the same findings."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from monitor.alerts import Incidents, Lifecycle, Links
from monitor.alerts.channels import Channel, LogSettings, open_channels
from monitor.detection import Finding
from monitor.pipeline.alerting import Alerting
from monitor.pipeline.conditions import unapproved
from monitor.pipeline.detected import Raised
from monitor.store.base import ModelEventRow
from tests.unit.pipeline.streams import START, Detector, stream, verdicts

LINKS = Links(
    runbook="https://docs.example.org/{alert}.md",
    dashboard="https://grafana.example.org/d/x?deployment={deployment}&artifact={artifact}",
)


NO_LINKS = Links("", "")


def desk(channels: Sequence[Channel] = (), links: Links = NO_LINKS) -> Alerting:
    return Alerting(Lifecycle(channels), Incidents(), links, false_pages=1.0)


def raised(finding: Finding, artifact: str = "m@2") -> Raised:
    return Raised(0, "chat", artifact, "b1", finding)


def resolve(at: float) -> Finding:
    return Finding("UnapprovedArtifact", "resolve", "ticket", at, "pipeline", resolution="operator")


def test_an_alert_opens_once_and_closes_once() -> None:
    alerting = desk()
    out = alerting.announce(
        [raised(unapproved(START)), raised(unapproved(START + 1)), raised(resolve(START + 2)),
         raised(resolve(START + 3))]
    )  # fmt: skip
    assert [json.loads(line)["event"] for line in out.lines] == ["open", "resolve"]
    (row,) = out.rows.values()
    assert row.state == "resolved"
    assert out.totals == {
        ("alerts", "UnapprovedArtifact|ticket|open"): 1,
        ("alerts", "UnapprovedArtifact|ticket|resolve"): 1,
    }


def test_lanes_have_incidents_of_their_own_and_no_key_twice() -> None:
    alerting = desk()
    out = alerting.announce([raised(unapproved(START), f"m@{i}") for i in range(4)])
    assert len({json.loads(line)["dedup_key"] for line in out.lines}) == 4
    assert len(alerting.incidents.opened("chat")) == 4


def test_a_key_does_not_come_back_after_a_restart() -> None:
    first = desk()
    out = first.announce([raised(unapproved(START)), raised(resolve(START + 1))])
    again = desk()
    again.incidents = Incidents((), first.incidents.numbers_state())
    later = again.announce([raised(unapproved(START + 2))])
    assert set(out.rows).isdisjoint(later.rows)


def test_links_name_the_alert_and_where_it_is() -> None:
    (line,) = desk(links=LINKS).announce([raised(unapproved(START))]).lines
    links = json.loads(line)["links"]
    assert links["runbook"] == "https://docs.example.org/UnapprovedArtifact.md"
    assert links["dashboard"] == ("https://grafana.example.org/d/x?deployment=chat&artifact=m@2")


@pytest.mark.parametrize(("least", "entries"), [("page", 0), ("ticket", 1)])
def test_a_channel_gets_what_it_wants(least: str, entries: int) -> None:
    channels = open_channels([LogSettings(format="text", min_severity=least)])  # type: ignore[arg-type]
    out = desk(channels).announce([raised(unapproved(START))])
    assert len(out.outbox) == entries
    assert all(entry.payload == out.lines[0] for entry in out.outbox)
    for channel in channels:
        channel.close()


def test_events_of_other_deployments_are_not_named() -> None:
    alerting = desk()
    alerting.events += [
        ModelEventRow(name, START - 60, "deploy", "m@2", "ann") for name in ("chat", "code")
    ]
    (line,) = alerting.announce([raised(unapproved(START))]).lines
    assert len(json.loads(line)["events"]) == 1


def test_the_same_findings_give_the_same_bytes() -> None:
    found = Detector().feed(stream(verdicts(4_000, lost_from=2_500))).raised
    assert found
    assert desk().announce(found).lines == desk().announce(found).lines
