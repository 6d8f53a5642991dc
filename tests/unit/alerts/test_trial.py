"""`alerts test` must reach people and must not be mistaken for an incident."""

from __future__ import annotations

import msgspec

from monitor.alerts import send_test, trial
from monitor.alerts.channels import Permanent
from tests.unit.alerts.findings import AT, Recorder


def test_the_test_alert_says_that_it_is_one_and_ends_itself() -> None:
    opened, resolved = trial.test_alert(AT)
    assert (opened.event, resolved.event) == ("open", "resolve")
    assert opened.dedup_key == resolved.dedup_key
    for alert in (opened, resolved):
        assert alert.deployment == "backslide-test"
        assert alert.alert == "Test"
        assert alert.family == "test"
        assert alert.severity == "page"
        assert alert.summary.startswith("TEST")


def test_two_tests_are_two_incidents() -> None:
    assert trial.test_alert(AT)[0].dedup_key != trial.test_alert(AT + 60)[0].dedup_key


def test_every_channel_is_tried_and_its_failure_named() -> None:
    good, bad = Recorder("good", least="page"), Recorder("bad", fails=[Permanent("bad: HTTP 403")])
    assert send_test([bad, good], AT) == {"bad": "bad: HTTP 403", "good": ""}
    assert [msgspec.json.decode(line)["event"] for line in good.sent] == ["open", "resolve"]
