"""What must hold for any traffic: order, merging, idleness, restarts."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.detection.lanes import baseline_of, counts_of
from benchmarks.detection.traffic import TUNED, Population, Traffic
from monitor.detection import (
    Baseline,
    Budget,
    EpochCounts,
    Lane,
    ShiryaevRoberts,
    TwoWitnesses,
    WitnessCounts,
    count,
    deduplicate,
    events_of,
    wilson,
)
from monitor.detection.gamma_poisson import log_ratio
from monitor.detection.witnesses import log_likelihoods
from monitor.records import GROUPS, Outcome

POPULATION = Population(Traffic(), TUNED)
BASELINE = baseline_of(np.random.default_rng(1), POPULATION)
BINS = BASELINE.bins
TRAFFIC = st.builds(
    Traffic,
    harmful=st.sampled_from([0.001, 0.02, 0.1]),
    jailbreak=st.sampled_from([0.0, 0.1]),
    left=st.sampled_from([0.02, 0.5, 1.0, 3.0 / 2.9]),
    broken=st.sampled_from([0.0, 0.6]),
)
stable = settings(derandomize=True, deadline=None, max_examples=25)


def _lane(baseline: Baseline = BASELINE) -> Lane:
    return Lane.begin(baseline, Budget(), artifact="a")


def _epochs(seed: int, story: list[tuple[Traffic, int]]) -> list[EpochCounts]:
    rng = np.random.default_rng(seed)
    return [
        replace(
            counts_of(rng, POPULATION.cells(traffic), int(rng.integers(0, 400)), identified="r"),
            blocked=int(rng.integers(0, 4)),
            unjudged=int(rng.integers(0, 4)),
        )
        for traffic, length in story
        for _ in range(length)
    ]


STORIES = st.lists(st.tuples(TRAFFIC, st.integers(1, 12)), min_size=1, max_size=4)


def _close(lane: Lane, epochs: list[EpochCounts], first: int = 0) -> list[object]:
    return [
        finding
        for i, counts in enumerate(epochs, first)
        for finding in lane.close_epoch(counts, start=10.0 * i, end=10.0 * i + 10)
    ]


@stable
@given(seed=st.integers(0, 10_000), n=st.integers(0, 80))
def test_the_order_of_records_within_an_epoch_does_not_matter(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    outcome = rng.integers(0, len(Outcome), n)
    p, bins, group = rng.random(n), rng.integers(0, BINS, n), rng.integers(0, len(GROUPS), n)
    counted = rng.random(n) < 0.8

    def state(order: np.ndarray) -> bytes:
        events = events_of(outcome[order], p[order], bins[order], tau=0.7)
        counts = count(events, counted[order], group=group[order], bins=bins[order], n_bins=BINS)
        lane = _lane()
        lane.close_epoch(counts, start=0.0, end=10.0)
        return msgspec.msgpack.encode(lane.to_state())

    assert state(np.arange(n)) == state(rng.permutation(n))


@stable
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(0, 200), max_size=4))
def test_counts_of_the_parts_of_an_epoch_are_the_counts_of_the_whole(
    seed: int, cuts: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    n = 200
    outcome = rng.integers(0, len(Outcome), n)
    p, bins, group = rng.random(n), rng.integers(0, BINS, n), rng.integers(0, len(GROUPS), n)

    def of(rows: np.ndarray) -> EpochCounts:
        events = events_of(outcome[rows], p[rows], bins[rows], tau=0.7)
        return count(events, events.candidates, group=group[rows], bins=bins[rows], n_bins=BINS)

    whole = of(np.arange(n))
    parts = [of(rows) for rows in np.split(np.arange(n), sorted(cuts))]
    for name in ("n", "volume", "refused", "answered", "degenerate", "blocked", "unjudged"):
        assert np.array_equal(sum(getattr(part, name) for part in parts), getattr(whole, name))


@stable
@given(seed=st.integers(0, 10_000), story=STORIES, cut=st.integers(0, 47))
def test_a_restart_at_any_epoch_changes_neither_findings_nor_state(
    seed: int, story: list[tuple[Traffic, int]], cut: int
) -> None:
    epochs = _epochs(seed, story)
    steady, first = _lane(), _lane()
    expected = _close(steady, epochs)
    said = _close(first, epochs[:cut])
    stored = msgspec.msgpack.encode(first.to_state())
    second = Lane.from_state(msgspec.msgpack.decode(stored), BASELINE, Budget())
    assert msgspec.msgpack.encode(second.to_state()) == stored
    said += _close(second, epochs[cut:], cut)
    assert said == expected
    assert msgspec.msgpack.encode(second.to_state()) == msgspec.msgpack.encode(steady.to_state())


@stable
@given(seed=st.integers(0, 10_000), story=STORIES)
def test_idle_epochs_between_the_others_change_nothing_but_the_clock(
    seed: int, story: list[tuple[Traffic, int]]
) -> None:
    epochs = _epochs(seed, story)
    idle = EpochCounts.empty(len(GROUPS), BINS)
    busy, resting = _lane(), _lane()
    for i, counts in enumerate(epochs):
        span = {"start": 10.0 * i, "end": 10.0 * i + 10}
        expected = busy.close_epoch(counts, **span)
        assert resting.close_epoch(idle, **span) == []
        assert resting.close_epoch(counts, **span) == expected
    encoded = [msgspec.msgpack.encode(lane.to_state()) for lane in (resting, busy)]
    assert encoded[0] == encoded[1]


@stable
@given(seed=st.integers(0, 10_000), story=STORIES)
def test_every_alarm_opens_before_it_resolves_and_never_twice_at_once(
    seed: int, story: list[tuple[Traffic, int]]
) -> None:
    lane = _lane()
    open_now: set[tuple[str, str, str]] = set()
    for finding in _close(lane, _epochs(seed, [*story, (Traffic(), 60)])):
        key = (finding.alert, finding.direction, finding.group)  # type: ignore[attr-defined]
        event = finding.event  # type: ignore[attr-defined]
        assert (key in open_now) == (event != "open")
        if event == "open":
            open_now.add(key)
        if event == "resolve":
            open_now.remove(key)
    assert {alert for alert, _, _ in open_now} == set(lane.open_alerts)
    assert lane.gauges().reference_n >= BASELINE.counts.n, "no page takes the approved counts back"


COUNTS = st.lists(st.integers(0, 60), min_size=3, max_size=3)


@stable
@given(refused=COUNTS, answered=COUNTS, n=st.integers(1, 5000))
def test_fewer_refusals_never_speak_against_a_loss(
    refused: list[int], answered: list[int], n: int
) -> None:
    reference = WitnessCounts.of([60, 100, 290], [0, 400, 60], 25_000)

    def first(extra: int) -> np.ndarray:
        live = WitnessCounts.of([refused[0] + extra, *refused[1:]], answered, n)
        return log_likelihoods(reference, live, 0.25)[0]

    # A refusal less is worth ln of null over alternative rate, plus what the null learned.
    assert np.all(np.diff(np.stack([first(e) for e in (0, 1, 5)]), axis=0)[:, 0] < 0)


@stable
@given(
    x=st.integers(0, 1000),
    n=st.integers(0, 10**6),
    shape=st.floats(0.5, 1e6),
    exposure=st.floats(1.0, 1e12),
    alternative=st.floats(1e-9, 1.0),
)
def test_evidence_is_a_finite_number_for_any_counts(
    x: int, n: int, shape: float, exposure: float, alternative: float
) -> None:
    value = log_ratio(x, max(n, x), alternative=alternative, shape=shape, exposure=exposure)
    assert np.isfinite(value)


@stable
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(0, 1)), max_size=60))
def test_the_statistic_stays_between_nothing_and_its_cap(steps: list[tuple[float, float]]) -> None:
    statistic = ShiryaevRoberts.zero(alternatives=1)
    for log_likelihood, spend in steps:
        statistic.update(np.array([log_likelihood]), spend)
        assert float(statistic.evidence()) <= np.log(10.0) + 1e-12
        assert not np.isnan(statistic.evidence())


@stable
@given(
    rows=st.lists(st.tuples(*[st.integers(0, 6)] * 4), max_size=40),
    seen=st.sets(st.integers(1, 6), max_size=3),
)
def test_counted_events_share_no_key_with_each_other_or_with_the_day(
    rows: list[tuple[int, int, int, int]], seen: set[int]
) -> None:
    keys = np.array(rows, dtype=np.uint64).reshape(-1, 4)
    result = deduplicate(keys, seen)
    used = set(seen)
    for row, counted in zip(rows, result.counted.tolist(), strict=True):
        own = {key for key in row if key}
        assert counted == (not own & used)
        if counted:
            used |= own
    assert set(result.new) == used - seen
    assert sum(result.capped) == len(rows) - int(result.counted.sum())


@stable
@given(n=st.integers(1, 10_000), share=st.floats(0, 1))
def test_an_interval_holds_its_own_estimate(n: int, share: float) -> None:
    x = round(share * n)
    low, high = wilson(x, n)
    assert 0.0 <= low <= x / n + 1e-12
    assert x / n - 1e-12 <= high <= 1.0


def test_the_mutant_that_forgets_the_running_reference_is_noticed() -> None:
    """A state without the reference must not pass for the whole one."""
    epochs = _epochs(3, [(Traffic(), 40), (Traffic(left=0.1), 40)])
    lane = _lane()
    _close(lane, epochs[:40])
    state = lane.to_state()
    state["reference"] = _lane().to_state()["reference"]
    forgetful = Lane.from_state(state, BASELINE, Budget())
    assert _close(forgetful, epochs[40:], 40) != _close(lane, epochs[40:], 40)


@pytest.mark.parametrize("left", [0.05, 0.2, 0.3])
def test_runs_in_the_harness_and_lanes_in_production_find_the_same_epoch(left: float) -> None:
    rng = np.random.default_rng(6)
    detector = TwoWitnesses(BASELINE.witnesses, BASELINE.d1)
    reference, lane = BASELINE.witnesses, _lane()
    spend = Budget().spend("Unalignment", 250, rate=BASELINE.rate)
    paged: list[int] = []
    for epoch in range(600):
        cells = POPULATION.cells(Traffic() if epoch < 50 else Traffic(left=left))
        counts = counts_of(rng, cells, 250)
        live = WitnessCounts.of(counts.refused.sum(axis=0), counts.answered.sum(axis=0), 250)
        detector.update(reference, live, spend)
        reference = reference + live
        said = lane.close_epoch(counts, start=10.0 * epoch, end=10.0 * epoch + 10)
        if any(f.alert == "Unalignment" and f.severity == "page" for f in said):
            paged.append(epoch)
        if bool(detector.evidence().firing):
            paged.append(epoch)
            break
    assert len(paged) == 2
    assert paged[0] == paged[1]
