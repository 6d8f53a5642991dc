"""An unknown artifact is held to what was approved, from its first record on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from monitor.detection import Closed, Epoch, Lane
from monitor.store import open_store
from tests.integration.pipeline.places import ARTIFACT, Place, Record, changed, healthy

NEW = "acme-9b@2026-03-01"


def renamed(record: Record, **changes: str) -> Record:
    return record | {"model": "acme-9b", "revision": "2026-03-01"} | changes


def two_models() -> list[Record]:
    """The approved model as it was, and every other record from a new one without refusals."""
    mixed = []
    for i, (old, new) in enumerate(zip(healthy(10_500, 14_000), changed(3_500), strict=True)):
        mixed += [old, renamed(new, timestamp=old["timestamp"], replica=f"new-{i % 2}")]
    return mixed


def switched() -> list[Record]:
    """All traffic from the new model."""
    return [renamed(record) for record in changed(3_500)]


def test_a_new_artifact_that_lost_its_refusals_is_paged_against_the_approved_baseline(
    armed: Place,
) -> None:
    (approved,) = armed.baselines()
    armed.write("both.jsonl", two_models())
    ran = armed.run("both.jsonl", "--exit-code")
    assert ran.code == 3
    opened = armed.alerts()
    assert ("UnapprovedArtifact", "ticket", NEW) in opened
    assert ("Unalignment", "page", NEW) in opened
    assert not [alert for alert, _, artifact in opened if artifact == ARTIFACT]
    page = next(x for x in armed.lines("alerts") if x["alert"] == "Unalignment")
    assert page["baseline"] == approved["id"]
    assert set(page["replicas"]) <= {"new-0", "new-1"}
    lanes = {lane["artifact"]: lane["state"] for lane in ran.summary["deployments"]}
    assert lanes[NEW] == "firing"
    assert lanes[ARTIFACT] in ("armed", "warning")


def test_a_new_artifact_is_never_learned(armed: Place) -> None:
    before = armed.baselines()
    armed.write("both.jsonl", two_models())
    armed.run("both.jsonl")
    assert armed.baselines() == before
    assert armed.rows("SELECT count(*) FROM windows") == [(0,)]
    refused = armed.rows(f"SELECT sum(refused), sum(judged) FROM ledger WHERE artifact = '{NEW}'")
    assert refused[0][1] == 3_500
    assert refused[0][0] < 10


def test_an_announced_artifact_is_no_stranger_and_is_watched_all_the_same(armed: Place) -> None:
    at = "2026-03-02T12:22:00Z"
    added = armed.on_store(
        "event", "add", "--deployment", "demo-chat", "--kind", "deploy", "--artifact", NEW,
        "--at", at,
    )  # fmt: skip
    assert added.code == 0
    armed.write("new.jsonl", switched())
    armed.run("new.jsonl")
    assert "UnapprovedArtifact" not in armed.opened()
    assert ("Unalignment", "page", NEW) in armed.alerts()
    page = next(x for x in armed.lines("alerts") if x["alert"] == "Unalignment")
    assert [event["artifact"] for event in page["events"]] == [NEW]


def test_what_was_announced_while_nobody_listened_counts_from_the_first_record(
    armed: Place,
) -> None:
    """Written down for a detector that died before it looked."""
    args = {"deployment": "demo-chat", "kind": "deploy", "artifact": NEW,
            "at": "2026-03-02T12:22:00Z"}  # fmt: skip
    with closing(open_store(str(armed.path("store.db")))) as store:
        store.record_action("event", by="ann", reason="", args=args, now=0.0)
    armed.write("new.jsonl", switched()[:50])
    armed.run("new.jsonl")
    assert "UnapprovedArtifact" not in armed.opened()


def test_an_artifact_of_the_configuration_is_no_stranger(armed: Place) -> None:
    armed.write("new.jsonl", switched())
    armed.run("new.jsonl", before=armed.config(f"artifacts: {{approved: ['{NEW}']}}\n"))
    assert "UnapprovedArtifact" not in armed.opened()
    assert ("Unalignment", "page", NEW) in armed.alerts()


def test_nine_new_artifacts_share_what_lanes_there_are(armed: Place) -> None:
    records = healthy(10_500, 11_500)
    for i, record in enumerate(records):
        record["model"] = f"acme-{i % 12}"
    armed.write("many.jsonl", records)
    summary = armed.run("many.jsonl").summary
    assert len(summary["deployments"]) == 9
    assert summary["deployments"][-1]["artifact"] == "other"
    assert armed.opened().count("UnapprovedArtifact") == 8


def test_a_lane_that_learns_first_is_caught(armed: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a start of its own the new artifact would pass for healthy."""
    close_epochs = Lane.close_epochs
    learned: dict[str, Any] = {}

    def learning_first(self: Lane, epochs: Sequence[Epoch]) -> list[Closed]:
        if self.artifact != NEW or learned.get("over"):
            return close_epochs(self, epochs)
        total = learned.get("total", np.zeros_like(self._reference))
        learned["total"] = total + sum(self._layout.vector(epoch.counts) for epoch in epochs)
        if learned["total"][0] > 500:
            learned["over"] = True
            self._reference = learned["total"]
        return [Closed([], self.evidence) for _ in epochs]

    monkeypatch.setattr(Lane, "close_epochs", learning_first)
    armed.write("new.jsonl", switched())
    armed.run("new.jsonl")
    assert learned["over"]
    assert "Unalignment" not in armed.opened()
