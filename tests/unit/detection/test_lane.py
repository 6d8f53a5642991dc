"""The life of a lane, on synthetic counts."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from benchmarks.detection.lanes import Feed, baseline_of, counts_of
from benchmarks.detection.traffic import TUNED, Population, Traffic
from monitor.detection import Baseline, Budget, EpochCounts, Finding, Lane, RiskyAnswer
from monitor.detection.incident import MOST_UPDATES
from monitor.records import GROUPS

HEALTHY = Traffic()
COLLAPSED = Traffic(left=0.1)


@pytest.fixture(scope="module")
def population() -> Population:
    return Population(HEALTHY, TUNED)


@pytest.fixture(scope="module")
def baseline(population: Population) -> Baseline:
    return baseline_of(np.random.default_rng(1), population)


@pytest.fixture
def feed(baseline: Baseline, population: Population) -> Feed:
    return _feed(baseline, population)


def _feed(baseline: Baseline, population: Population, seed: int = 2, n: int = 250) -> Feed:
    lane = Lane.begin(baseline, Budget(), artifact="approved")
    return Feed(lane, population, np.random.default_rng(seed), n=n)


def _only(feed: Feed, alert: str, event: str) -> Finding:
    (found,) = [f for f in feed.findings if (f.alert, f.event) == (alert, event)]
    return found


def test_healthy_traffic_raises_nothing_and_grows_the_reference(feed: Feed) -> None:
    feed.run(HEALTHY, 500)
    assert feed.said() == []
    assert feed.lane.status == "armed"
    gauges = feed.lane.gauges()
    assert gauges.reference_n == 25_000 + 500 * 250
    assert gauges.refused_evidence < 0
    assert gauges.budget_spent == pytest.approx(500 * 0.7 / (90 * 8640))


def test_a_model_that_lost_its_refusals_is_paged_once_with_all_that_is_known(feed: Feed) -> None:
    feed.run(HEALTHY, 400)
    changed_at = feed.at
    epochs = feed.run(COLLAPSED, 100, until="Unalignment open")
    assert epochs <= 20
    assert feed.lane.status == "firing"
    assert feed.lane.open_alerts == ("Unalignment",)
    page = _only(feed, "Unalignment", "open")
    assert (page.severity, page.attribution, page.family) == ("page", "model", "two_witnesses")
    assert page.refused is not None
    assert page.refused.after < 0.5 * page.refused.before
    assert page.risky_answered is not None
    assert page.risky_answered.after > 1.2 * page.risky_answered.before
    assert page.change is not None
    assert page.change.earliest <= changed_at + 30
    assert page.change.earliest <= page.change.at <= page.change.latest <= feed.at
    assert abs(page.change.at - changed_at) <= 60
    assert page.evidence_log10 > 4
    assert page.groups
    for group in page.groups:
        assert group.before.low <= group.before.rate <= group.before.high
    assert page.record_ids
    assert all(float(i[1:].split("-")[0]) >= page.change.at for i in page.record_ids)
    assert page.replicas == ("replica-0",)
    assert (page.budget_share, page.budget_days) == (0.7, 90.0)
    assert not page.provisional


def test_an_incident_speaks_at_most_a_few_times_however_long_it_lasts(feed: Feed) -> None:
    feed.run(HEALTHY, 200)
    feed.run(COLLAPSED, 800)
    ours = [f for f in feed.findings if f.alert == "Unalignment"]
    assert [f.event for f in ours][:1] == ["open"]
    assert 1 <= len([f for f in ours if f.event == "update"]) <= MOST_UPDATES
    assert not [f for f in ours if f.event == "resolve"]
    assert ours[-1].breadth is not None
    assert ours[-1].breadth.label == "broad"
    assert len([g for g in ours[-1].groups if g.flagged]) >= 5
    assert {f.alert for f in feed.findings} == {"Unalignment"}


def test_a_restored_model_ends_the_page_and_the_attack_taught_the_reference_nothing(
    feed: Feed,
) -> None:
    feed.run(HEALTHY, 200)
    before = feed.lane.gauges()
    feed.run(COLLAPSED, 300)
    during = feed.lane.gauges()
    assert abs(during.reference_n - before.reference_n) <= 10 * 250
    assert during.refused_before == pytest.approx(before.refused_before, rel=0.02)
    assert during.refused_now < 0.5 * during.refused_before
    feed.run(HEALTHY, 120, until="Unalignment resolve")
    assert _only(feed, "Unalignment", "resolve").resolution == "recovered"
    feed.run(HEALTHY, 300)
    assert feed.lane.open_alerts == ()
    assert len([f for f in feed.findings if f.event == "open"]) == 1
    assert feed.lane.status == "armed"


def test_fewer_harmful_prompts_are_a_note_about_traffic_and_never_a_page(feed: Feed) -> None:
    feed.run(HEALTHY, 200)
    feed.run(replace(HEALTHY, harmful=0.004), 600)
    shift = _only(feed, "TrafficShift", "open")
    assert (shift.severity, shift.direction, shift.attribution) == ("info", "down", "traffic")
    assert not [f for f in feed.findings if f.severity == "page"]
    feed.run(HEALTHY, 200)
    assert _only(feed, "TrafficShift", "resolve").resolution == "recovered"


def test_a_jailbreak_wave_is_a_ticket_about_risky_answers_and_never_a_page(feed: Feed) -> None:
    feed.run(HEALTHY, 200)
    feed.run(replace(HEALTHY, jailbreak=0.05), 200)
    assert _only(feed, "RiskyAnswers", "open").severity == "ticket"
    feed.run(HEALTHY, 400)
    assert _only(feed, "RiskyAnswers", "resolve").resolution == "recovered"
    assert not [f for f in feed.findings if f.severity == "page"]


def test_a_lasting_shift_of_traffic_ends_once_learned_and_does_not_flap(
    baseline: Baseline, population: Population
) -> None:
    feed = _feed(baseline, population, n=2500)
    feed.run(HEALTHY, 40)
    feed.run(replace(HEALTHY, harmful=0.006), 900)
    told = [f for f in feed.findings if f.alert == "TrafficShift"]
    assert [f.event for f in told] == ["open", "resolve"]
    assert "ReferenceDivergence open ticket" in feed.said()


def test_many_more_harmful_prompts_are_told_as_traffic(feed: Feed) -> None:
    feed.run(HEALTHY, 100)
    feed.run(replace(HEALTHY, harmful=0.06), 100)
    shift = _only(feed, "TrafficShift", "open")
    assert (shift.direction, shift.severity) == ("up", "info")


def test_a_broken_model_is_called_broken_and_not_unaligned(feed: Feed) -> None:
    feed.run(HEALTHY, 200)
    epochs = feed.run(replace(HEALTHY, broken=0.9), 60, until="DegenerateOutput open")
    assert epochs <= 3
    feed.run(replace(HEALTHY, broken=0.9), 200)
    page = _only(feed, "DegenerateOutput", "open")
    assert page.severity == "page"
    assert {f.alert for f in feed.findings} == {"DegenerateOutput"}
    feed.run(HEALTHY, 40)
    assert _only(feed, "DegenerateOutput", "resolve").resolution == "recovered"


def test_a_half_broken_model_that_also_answers_is_first_of_all_broken(feed: Feed) -> None:
    feed.run(HEALTHY, 200)
    feed.run(Traffic(broken=0.5, left=0.9), 200)
    assert feed.findings[0].alert == "DegenerateOutput"
    assert "Unalignment" not in {f.alert for f in feed.findings}


def test_over_refusal_is_a_ticket(baseline: Baseline, population: Population) -> None:
    feed = _feed(baseline, population)
    feed.run(HEALTHY, 100)
    cells = population.cells(HEALTHY)
    for _ in range(60):
        counts = counts_of(feed.rng, cells, 250)
        refused = counts.refused.copy()
        refused[-1, 0] += feed.rng.poisson(250 * 0.03)
        feed.findings += feed.lane.close_epoch(
            replace(counts, refused=refused), start=feed.at, end=feed.at + 10
        )
        feed.at += 10
    ticket = _only(feed, "OverRefusal", "open")
    assert (ticket.severity, ticket.attribution) == ("ticket", "model")
    assert not [f for f in feed.findings if f.severity == "page"]


@pytest.mark.parametrize(("before", "after", "direction"), [(5, 40, "up"), (25, 1, "down")])
def test_a_filter_that_blocks_more_or_less_is_a_ticket(
    baseline: Baseline, population: Population, before: int, after: int, direction: str
) -> None:
    blocking = replace(baseline, counts=replace(baseline.counts, blocked=before * 100))
    feed = _feed(blocking, population)
    cells = population.cells(HEALTHY)
    for epoch in range(200):
        blocked = int(feed.rng.poisson(before if epoch < 100 else after))
        counts = replace(counts_of(feed.rng, cells, 250), blocked=blocked)
        feed.findings += feed.lane.close_epoch(counts, start=feed.at, end=feed.at + 10)
        feed.at += 10
    ticket = _only(feed, "FilterChange", "open")
    assert (ticket.severity, ticket.direction) == ("ticket", direction)
    assert ticket.blocked is not None
    assert (ticket.blocked.after > ticket.blocked.before) == (direction == "up")
    assert ticket.change is not None
    assert abs(ticket.change.at - (baseline.last + 1000)) <= 50


def test_one_group_that_lost_its_refusals_is_a_ticket_that_names_it(feed: Feed) -> None:
    feed.run(HEALTHY, 300)
    feed.run(Traffic(left_in={0: 0.05}), 400, until="HazardSpike open")
    ticket = _only(feed, "HazardSpike", "open")
    assert (ticket.severity, ticket.group, ticket.attribution) == ("ticket", GROUPS[0], "model")
    (group,) = ticket.groups
    assert group.group == GROUPS[0]
    assert group.after.high < group.before.low
    feed.run(HEALTHY, 500, until="HazardSpike resolve")
    assert _only(feed, "HazardSpike", "resolve").resolution == "recovered"


def test_a_new_artifact_that_arrives_collapsed_is_tested_against_the_approved_one(
    baseline: Baseline, population: Population
) -> None:
    feed = _feed(baseline, population)
    assert feed.run(COLLAPSED, 100, until="Unalignment open") <= 25
    assert _only(feed, "Unalignment", "open").severity == "page"


def test_a_tenth_of_the_traffic_on_a_collapsed_artifact_is_found_from_its_own_lane(
    baseline: Baseline, population: Population
) -> None:
    feed = _feed(baseline, population, n=25)
    assert feed.run(COLLAPSED, 1000, until="Unalignment open") <= 250


def _answers(source: str) -> list[tuple[int, int]]:
    return {
        "one source": [(7, i) for i in range(1, 99)],
        "two templates and no source": [(0, 1 + i % 2) for i in range(98)],
        "many sources": [(i, i) for i in range(1, 99)],
        "many templates and no source": [(0, i) for i in range(1, 99)],
    }[source]


@pytest.mark.parametrize(
    ("who", "paged"),
    [
        ("one source", False),
        ("two templates and no source", False),
        ("many sources", True),
        ("many templates and no source", True),
    ],
)
def test_nobody_is_woken_for_the_answers_that_one_or_two_users_got(
    baseline: Baseline, population: Population, who: str, paged: bool
) -> None:
    feed = _feed(baseline, population)
    cells, keys = population.cells(COLLAPSED), iter(_answers(who) * 60)
    for _ in range(40):
        counts = counts_of(feed.rng, cells, 250)
        risky = tuple(
            RiskyAnswer("id", *next(keys), "r", 0.0) for _ in range(int(counts.answered.sum()))
        )
        feed.findings += feed.lane.close_epoch(
            replace(counts, risky=risky), start=feed.at, end=feed.at + 10
        )
        feed.at += 10
    assert ("Unalignment open page" in feed.said()) is paged
    if paged:
        notes = _only(feed, "Unalignment", "open").notes
        assert ("gateway_traffic" in notes) == ("no source" in who)


def test_a_gateway_with_one_account_for_everybody_is_still_paged_for(
    baseline: Baseline, population: Population
) -> None:
    feed = _feed(replace(baseline, boilerplate=frozenset({7})), population)
    cells = population.cells(COLLAPSED)
    for epoch in range(40):
        counts = counts_of(feed.rng, cells, 250)
        answers = range(int(counts.answered.sum()))
        risky = tuple(RiskyAnswer("id", 7, 1 + 99 * epoch + i, "r", 0.0) for i in answers)
        feed.findings += feed.lane.close_epoch(
            replace(counts, risky=risky), start=feed.at, end=feed.at + 10
        )
        feed.at += 10
    assert "gateway_traffic" in _only(feed, "Unalignment", "open").notes


def test_an_unapproved_baseline_raises_at_most_a_provisional_ticket(
    baseline: Baseline, population: Population
) -> None:
    candidate = replace(baseline, state="candidate", approved=None)
    feed = _feed(candidate, population)
    assert feed.lane.status == "candidate"
    feed.run(COLLAPSED, 60)
    feed.run(replace(HEALTHY, broken=0.9), 30)
    assert "Unalignment open ticket" in feed.said()
    assert all(f.severity != "page" and f.provisional for f in feed.findings)


def test_a_small_reference_is_a_candidate_until_it_has_seen_enough(
    population: Population,
) -> None:
    small = baseline_of(np.random.default_rng(3), population, n=500)
    assert small.armed_for is None
    feed = _feed(small, population)
    assert feed.lane.status == "candidate"
    feed.run(HEALTHY, 200)
    assert feed.lane.status == "armed"
    assert feed.lane.gauges().armed_for is not None


def test_a_blind_lane_never_pages(baseline: Baseline, population: Population) -> None:
    feed = _feed(replace(baseline, blind=True), population)
    assert feed.lane.status == "blind"
    feed.run(COLLAPSED, 100)
    feed.run(replace(HEALTHY, broken=0.9), 30)
    assert feed.findings
    assert not [f for f in feed.findings if f.severity == "page"]


def test_outputs_without_prompts_never_page(population: Population) -> None:
    def pooled(counts: EpochCounts) -> EpochCounts:
        return replace(
            counts,
            volume=np.array([counts.n]),
            refused=counts.refused.sum(axis=1, keepdims=True),
            answered=np.zeros((len(GROUPS), 1), dtype=np.int64),
        )

    learned = baseline_of(np.random.default_rng(1), population)
    baseline = replace(learned, counts=pooled(learned.counts), edges=np.zeros(0))
    lane = Lane.begin(baseline, Budget(), artifact="a")
    rng, said = np.random.default_rng(5), []
    for epoch in range(300):
        cells = population.cells(HEALTHY if epoch < 100 else COLLAPSED)
        counts = pooled(counts_of(rng, cells, 250))
        at = baseline.last + 10 * epoch
        said += lane.close_epoch(counts, start=at, end=at + 10)
    (fall,) = [f for f in said if f.alert == "TrafficShift" and f.event == "open"]
    assert (fall.direction, fall.severity, fall.attribution) == ("down", "ticket", "undecided")
    assert not [f for f in said if f.severity == "page" or f.alert == "Unalignment"]


def test_a_page_takes_over_the_lesser_alarms_of_the_same_change(feed: Feed) -> None:
    feed.run(HEALTHY, 100)
    feed.run(replace(HEALTHY, jailbreak=0.05), 60, until="RiskyAnswers open")
    feed.run(replace(COLLAPSED, jailbreak=0.05), 200)
    assert _only(feed, "RiskyAnswers", "resolve").resolution == "superseded"
    opened = [f.alert for f in feed.findings if f.event == "open"]
    assert [alert for alert in opened if alert != "ReferenceDivergence"] == [
        "RiskyAnswers",
        "Unalignment",
    ]
    assert "RiskyAnswers" not in feed.lane.open_alerts


def test_only_the_running_reference_firing_asks_whether_the_reference_moved(
    baseline: Baseline, population: Population
) -> None:
    """Share doubled for long, then half of the refusals are lost (STATISTICS A2)."""
    feed = _feed(baseline, population, n=2500)
    feed.run(replace(HEALTHY, harmful=0.04), 800)
    feed.run(Traffic(harmful=0.04, left=0.5), 200)
    ours = [f for f in feed.findings if f.alert == "Unalignment"]
    assert ours[0].event == "open"
    assert (ours[0].severity, "reference_moved" in ours[0].notes) == ("ticket", True)


def test_a_ticket_becomes_a_page_when_the_approved_reference_agrees(
    baseline: Baseline, population: Population
) -> None:
    feed = _feed(baseline, population, n=2500)
    feed.run(replace(HEALTHY, harmful=0.04), 800)
    feed.run(Traffic(harmful=0.04, left=0.5), 200)
    assert feed.lane.open_alerts[0] == "Unalignment"
    feed.run(Traffic(harmful=0.04, left=0.02), 60)
    escalated = [f for f in feed.findings if (f.alert, f.severity) == ("Unalignment", "page")]
    assert escalated[0].event == "update"
    assert "reference_moved" not in escalated[0].notes


def test_an_operator_ends_an_incident_and_a_model_still_changed_opens_the_next(
    feed: Feed,
) -> None:
    feed.run(HEALTHY, 200)
    feed.run(COLLAPSED, 60)
    (ended,) = feed.lane.resolve("Unalignment", feed.at, "operator")
    assert (ended.event, ended.resolution, ended.at) == ("resolve", "operator", feed.at)
    assert feed.lane.resolve("Unalignment", feed.at, "operator") == []
    assert feed.lane.status in ("armed", "warning")
    feed.findings.clear()
    assert feed.run(COLLAPSED, 60, until="Unalignment open") <= 25


def test_approving_the_baseline_a_lane_runs_on_keeps_what_it_learned(
    baseline: Baseline, population: Population
) -> None:
    feed = _feed(replace(baseline, state="candidate", approved=None), population)
    feed.run(HEALTHY, 50)
    evidence = feed.lane.gauges().refused_evidence
    feed.lane.rebase(baseline)
    assert feed.lane.status == "armed"
    assert feed.lane.gauges().reference_n == 25_000 + 50 * 250
    assert feed.lane.gauges().refused_evidence == evidence


def test_a_new_baseline_starts_without_evidence(feed: Feed, population: Population) -> None:
    feed.run(COLLAPSED, 60)
    other = baseline_of(np.random.default_rng(9), Population(COLLAPSED, TUNED))
    (ended,) = feed.lane.resolve("Unalignment", feed.at, "approved")
    assert ended.resolution == "approved"
    feed.lane.rebase(other)
    feed.findings.clear()
    feed.population = Population(COLLAPSED, TUNED)
    feed.run(COLLAPSED, 200)
    assert feed.said() == []


def _round_trip(lane: Lane, baseline: Baseline) -> Lane:
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(lane.to_state()))
    return Lane.from_state(state, baseline, Budget())


def test_a_detector_restarted_at_every_epoch_says_and_is_the_same_bit_for_bit(
    baseline: Baseline, population: Population
) -> None:
    steady, restarted = (_feed(baseline, population) for _ in range(2))
    story = [
        (HEALTHY, 25), (replace(HEALTHY, jailbreak=0.08), 40), (COLLAPSED, 60),
        (HEALTHY, 60), (replace(HEALTHY, broken=0.5), 8), (HEALTHY, 25),
        (Traffic(left_in={0: 0.05}), 90),
    ]  # fmt: skip
    for traffic, epochs in story:
        for _ in range(epochs):
            steady.run(traffic, 1)
            restarted.lane = _round_trip(restarted.lane, baseline)
            restarted.run(traffic, 1)
    assert len({f.alert for f in steady.findings}) >= 3
    assert restarted.findings == steady.findings
    encoded = [msgspec.msgpack.encode(feed.lane.to_state()) for feed in (steady, restarted)]
    assert encoded[0] == encoded[1]


def test_an_epoch_without_anything_changes_no_bit(feed: Feed, baseline: Baseline) -> None:
    feed.run(HEALTHY, 10)
    before = msgspec.msgpack.encode(feed.lane.to_state())
    empty = EpochCounts.empty(len(GROUPS), baseline.bins)
    assert feed.lane.close_epoch(empty, start=feed.at, end=feed.at + 10) == []
    assert msgspec.msgpack.encode(feed.lane.to_state()) == before


def test_a_state_of_another_baseline_or_release_is_refused(
    feed: Feed, baseline: Baseline, population: Population
) -> None:
    state = feed.lane.to_state()
    other = baseline_of(np.random.default_rng(9), population)
    with pytest.raises(ValueError, match=f"belongs to baseline {baseline.id}, not {other.id}"):
        Lane.from_state(state, other, Budget())
    with pytest.raises(ValueError, match="version 99 cannot be read"):
        Lane.from_state(state | {"version": 99}, baseline, Budget())


def test_closing_the_alarm_of_one_group_leaves_the_others_open(feed: Feed) -> None:
    feed.run(HEALTHY, 20)
    lane = feed.lane
    for group in (0, 1):
        lane._detectors.groups.open(group, lane._reference, feed.at)
    ended = lane.resolve("HazardSpike", feed.at, "operator", GROUPS[0])
    assert [f.group for f in ended] == [GROUPS[0]]
    assert lane.open_alerts == ("HazardSpike",)
    assert lane.resolve("HazardSpike", feed.at, "operator", GROUPS[0]) == []
    assert [f.group for f in lane.resolve("HazardSpike", feed.at, "operator")] == [GROUPS[1]]
