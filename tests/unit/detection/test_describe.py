"""What people are told about a change, in numbers."""

import numpy as np
import pytest

from benchmarks.detection.lanes import baseline_of, counts_of
from benchmarks.detection.traffic import TUNED, Population, Traffic
from monitor.detection import Baseline, describe, watches
from monitor.detection.tally import Layout
from monitor.detection.unalignment import degenerate_explains
from monitor.records import GROUPS

POPULATION = Population(Traffic(), TUNED)
LOST = (0, 3, 6)


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return baseline_of(np.random.default_rng(1), POPULATION)


def _since(traffic: Traffic, n: int, seed: int) -> tuple[Layout, np.ndarray]:
    layout = Layout(groups=len(GROUPS), bins=POPULATION.edges.size + 1)
    counts = counts_of(np.random.default_rng(seed), POPULATION.cells(traffic), n)
    return layout, layout.vector(counts)


def test_groups_that_are_named_did_lose_their_refusals(baseline: Baseline) -> None:
    named: list[str] = []
    for seed in range(30):
        layout, since = _since(Traffic(left_in=dict.fromkeys(LOST, 0.05)), 20_000, seed)
        named += describe.flagged_groups(layout, baseline, since)
    lost = {GROUPS[g] for g in LOST}
    false = [group for group in named if group not in lost]
    assert len(false) <= 0.1 * len(named)
    assert len(named) >= 0.6 * 30 * len(lost)
    for seed in range(10):
        assert describe.flagged_groups(*_flagging(baseline, Traffic(), seed)) == ()


def _flagging(
    baseline: Baseline, traffic: Traffic, seed: int
) -> tuple[Layout, Baseline, np.ndarray]:
    layout, since = _since(traffic, 20_000, seed)
    return layout, baseline, since


def test_rates_are_per_thousand_interactions(baseline: Baseline) -> None:
    layout, since = _since(Traffic(left=0.1), 10_000, 1)
    before = layout.vector(baseline.counts)
    told = describe.witness(layout, watches.refused, before, since)
    assert told.before == pytest.approx(1000 * baseline.counts.refused.sum() / 25_000)
    assert told.after == pytest.approx(layout.refused(since).sum() / 10)
    assert told.n == layout.refused(since).sum()


def test_groups_show_refusals_among_risky_prompts_only(baseline: Baseline) -> None:
    layout, since = _since(Traffic(left=0.1), 10_000, 1)
    before = layout.vector(baseline.counts)
    told = describe.group_changes(layout, before, since, ("violence",))
    violence = next(g for g in told if g.group == "violence")
    r, c = baseline.counts.refused[0, 1:].sum(), baseline.counts.answered[0, 1:].sum()
    assert violence.before.n == r + c
    assert violence.before.rate == pytest.approx(r / (r + c))
    assert [g.group for g in told if g.flagged] == ["violence"]
    assert violence.after.rate < violence.before.low


@pytest.mark.parametrize(
    ("traffic", "moved"),
    [
        (Traffic(), False),
        (Traffic(left=0.05), False),
        (Traffic(harmful=0.06), True),
        (Traffic(harmful=0.004), True),
        (Traffic(jailbreak=0.1), True),
    ],
)
def test_moved_traffic_is_told_from_prompts_alone(
    baseline: Baseline, traffic: Traffic, moved: bool
) -> None:
    layout, since = _since(traffic, 20_000, 4)
    assert describe.traffic_moved(layout, layout.vector(baseline.counts), since) is moved


def test_broken_outputs_explain_missing_refusals_but_a_steady_trickle_does_not(
    baseline: Baseline,
) -> None:
    before = Layout(len(GROUPS), baseline.bins).vector(baseline.counts)
    broken = _since(Traffic(broken=0.5), 5000, 2)
    assert degenerate_explains(broken[0], before, broken[1])
    lost = _since(Traffic(left=0.1), 5000, 2)
    assert not degenerate_explains(lost[0], before, lost[1])
    trickle = before.copy()
    trickle[1] = 500
    steady = lost[1].copy()
    steady[1] = 100
    assert not degenerate_explains(lost[0], trickle, steady)
