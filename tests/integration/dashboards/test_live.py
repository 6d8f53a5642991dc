"""Every panel shows something in a real Prometheus, and shows the right thing.

One run of ``backslide run`` is scraped while it learns, and again once the model has lost its
refusals. The recounts are of the input, never of what the monitor says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from classifiers import LinearClassifier
from dashboards.boards import boards
from dashboards.links import Links
from monitor.records import parse
from tests.integration.dashboards import stream
from tests.integration.pipeline.places import Place, lines_of
from tests.services.process import free_port
from tests.services.prometheus import Prometheus, running_prometheus
from tests.unit.dashboards.expressions import expressions, filled

BOARDS = {board["uid"]: board for board in boards(Links())}
CHOSEN = {"__rate_interval": "1m", "artifact": ".*", "instance": ".*"}
DEPLOYMENTS = (stream.LARGE, stream.SMALL)

Vector = list[dict[str, Any]]
Ask = Callable[[str], Vector]


class Scraped:
    """Answers taken at two moments: when the baseline is learned, and at the end."""

    def __init__(self, learned: dict[str, Vector], prometheus: Prometheus, place: Place) -> None:
        self.learned = learned
        self.prometheus = prometheus
        self.place = place


def raw(uid: str, title: str, reference: str = "A") -> str:
    """The expression of one query, with its variables."""
    panel = next(p for p in BOARDS[uid]["panels"] if p["title"] == title)
    found: str = next(t["expr"] for t in panel["targets"] if t["refId"] == reference)
    return found


def asked(uid: str, title: str, reference: str = "A", deployment: str = stream.LARGE) -> str:
    return filled(raw(uid, title, reference), CHOSEN | {"deployment": deployment})


WHILE_LEARNED = {
    "reference": asked("backslide-deployment", "Outputs behind the reference"),
    "risky": asked(
        "backslide-deployment", "Refused share of risky prompts, by hazard group", "n_before"
    ),
}


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    place = Place(tmp_path_factory.mktemp("live"))
    place.write("live.jsonl", stream.LEARNED)
    port = free_port()
    before = place.config(stream.CONFIG)
    place.on_store(
        "event", "add", "--deployment", stream.LARGE, "--kind", "deploy",
        "--artifact", "acme-8b@2026-02-17", "--at", "2026-03-02T11:59:00Z",
    )  # fmt: skip
    place.start("live.jsonl", "--follow", "--listen", f"127.0.0.1:{port}", before=before)
    try:
        with running_prometheus([f"127.0.0.1:{port}"]) as prometheus:
            prometheus.wait_for(f"backslide_records_consumed_total == {stream.WINDOW}", 90)
            prometheus.wait_for("backslide_baseline_reference_interactions")
            learned = {name: prometheus.query(text) for name, text in WHILE_LEARNED.items()}
            place.write("live.jsonl", stream.AFTERWARDS, append=True)
            prometheus.wait_for(f"backslide_records_consumed_total == {stream.LINES}", 90)
            prometheus.wait_for('backslide_alert_firing{severity="page"}')
            yield Scraped(learned, prometheus, place)
    finally:
        place.close()


def targets() -> list[tuple[str, str, str]]:
    found = []
    for uid, board in BOARDS.items():
        for panel in board["panels"]:
            found += [(uid, panel["title"], t["refId"]) for t in panel.get("targets", ())]
    return found


@pytest.mark.parametrize(("uid", "title", "reference"), targets())
def test_every_query_of_a_panel_has_data(
    scraped: Scraped, uid: str, title: str, reference: str
) -> None:
    answers = [
        scraped.prometheus.query(asked(uid, title, reference, deployment))
        for deployment in DEPLOYMENTS
    ]
    assert any(answers)
    values = [float(series["value"][1]) for answer in answers for series in answer]
    assert not all(math.isnan(value) for value in values)


@pytest.mark.parametrize("uid", sorted(BOARDS))
def test_every_variable_offers_a_choice_and_every_mark_is_there(scraped: Scraped, uid: str) -> None:
    for where, text in expressions(BOARDS[uid], CHOSEN | {"deployment": stream.LARGE}):
        if where.startswith(("mark", "variable")):
            assert scraped.prometheus.query(text), where


# --- in each row, what a person would count by hand


def only(vector: Vector, **labels: str) -> float:
    """The value of the one series with `labels`."""
    found = [s for s in vector if labels.items() <= s["metric"].items()]
    assert len(found) == 1, vector
    return float(found[0]["value"][1])


def last(scraped: Scraped, uid: str, title: str, reference: str = "A", of: str = ".*") -> Vector:
    return scraped.prometheus.query(asked(uid, title, reference, of))


def test_fleet_counts_deployments_and_alerts(scraped: Scraped) -> None:
    """And no deployment of broken lines, which name none."""
    fleet = "backslide-fleet"
    assert only(last(scraped, fleet, "Deployments watched")) == len(DEPLOYMENTS)
    assert only(last(scraped, fleet, "Without a baseline")) == 1
    assert only(last(scraped, fleet, "Pages open")) == 1
    alerts = last(scraped, fleet, "Open alerts")
    assert [s["metric"]["deployment"] for s in alerts if s["metric"]["severity"] == "page"] == [
        stream.LARGE
    ]


def test_fleet_evidence_rests_on_every_judged_output(scraped: Scraped) -> None:
    answer = last(scraped, "backslide-fleet", "Judged outputs behind it")
    assert {s["metric"]["deployment"]: float(s["value"][1]) for s in answer} == stream.JUDGED


def test_fleet_refused_share_is_that_of_the_input(scraped: Scraped) -> None:
    answer = last(scraped, "backslide-fleet", "Refused of all outputs, since this store began")
    share = stream.REFUSED / (stream.REFUSED + stream.ANSWERED)
    assert only(answer, deployment=stream.SMALL) == pytest.approx(share)


def test_fleet_coverage_leaves_out_what_cannot_be_read(scraped: Scraped) -> None:
    answer = last(scraped, "backslide-fleet", "Coverage")
    judged = stream.REFUSED + stream.ANSWERED
    assert only(answer, deployment=stream.SMALL) == pytest.approx(
        judged / (judged + stream.FOREIGN)
    )
    assert only(answer, deployment=stream.LARGE) == 1.0


def test_deployment_counts_its_own_outputs_alone(scraped: Scraped) -> None:
    for deployment, judged in stream.JUDGED.items():
        answer = last(scraped, "backslide-deployment", "Outputs judged", of=deployment)
        assert only(answer) == judged


def test_deployment_outcomes_are_those_of_the_input(scraped: Scraped) -> None:
    title = "Outputs by outcome, since this store began"
    answer = last(scraped, "backslide-deployment", title, of=stream.SMALL)
    assert {s["metric"]["outcome"]: float(s["value"][1]) for s in answer} == {
        "refused": stream.REFUSED,
        "complied": stream.ANSWERED,
        "unjudged": stream.FOREIGN,
    }


def test_deployment_reference_is_the_learning_window(scraped: Scraped) -> None:
    assert only(scraped.learned["reference"]) == len(stream.LEARNED)


def test_deployment_groups_are_those_of_the_prompts(scraped: Scraped) -> None:
    """Recounted from text with the classifier and the bin edges of the baseline."""
    row = next(b for b in scraped.place.baselines() if b["deployment"] == stream.LARGE)
    baseline = scraped.place.on_store("baseline", "show", row["id"], "--output", "json").json
    interactions = [parse(line) for line in lines_of(stream.LEARNED).splitlines()]
    verdicts = LinearClassifier.load(None).judge(interactions)
    risky = np.searchsorted(baseline["edges"], verdicts.propensity, side="right") > 0
    # Everybody asks once a day, so only a prompt that two people typed is deduplicated.
    distinct = {interactions[i].prompt for i in np.flatnonzero(risky)}
    counted = sum(float(s["value"][1]) for s in scraped.learned["risky"])
    assert counted == len(distinct)


def test_deployment_coverage_is_that_of_the_input(scraped: Scraped) -> None:
    answer = last(scraped, "backslide-deployment", "Coverage", of=stream.SMALL)
    judged = stream.REFUSED + stream.ANSWERED
    assert only(answer) == pytest.approx(judged / (judged + stream.FOREIGN))


def test_health_counts_every_line_once(scraped: Scraped) -> None:
    health = "backslide-health"
    assert only(last(scraped, health, "Records read")) == stream.LINES
    assert only(last(scraped, health, "Unaccounted records")) == 0
    rejected = last(scraped, health, "Left out or rejected", "B")
    assert sum(float(s["value"][1]) for s in rejected) == stream.BROKEN
    skipped = last(scraped, health, "Left out or rejected", "A")
    assert only(skipped, reason="excluded") == stream.EXCLUDED
    classified = stream.LINES - stream.BROKEN - stream.EXCLUDED
    assert only(last(scraped, health, "Classified")) == classified


def test_health_shows_what_was_not_judged_and_what_was_opened(scraped: Scraped) -> None:
    unjudged = last(scraped, "backslide-health", "Not judged, by reason")
    assert only(unjudged, reason="foreign_text") == stream.FOREIGN
    opened = last(scraped, "backslide-health", "Opened")
    assert only(opened, alert="Unalignment") == 1
    assert only(last(scraped, "backslide-health", "Deployments kept in memory")) == len(DEPLOYMENTS)
