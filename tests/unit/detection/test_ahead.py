"""Many epochs at once are no other statistics than one epoch at a time."""

from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np
import pytest

from benchmarks.detection.lanes import baseline_of, counts_of
from benchmarks.detection.traffic import TUNED, Population, Traffic
from monitor.detection import Baseline, Budget, Closed, Epoch, EpochCounts, Lane
from monitor.detection.ahead import LONGEST, Ahead
from monitor.detection.counts import IntArray
from monitor.detection.tally import Layout
from monitor.detection.watches import RULES, _counted
from monitor.records import GROUPS

HEALTHY = Traffic()
STORY = [
    (HEALTHY, 80),
    (Traffic(left_in={0: 0.02}), 100),
    (Traffic(left=0.05), 60),
    (HEALTHY, 90),
    (replace(HEALTHY, broken=0.9), 40),
    (HEALTHY, 60),
    (replace(HEALTHY, harmful=0.06), 60),
]


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return baseline_of(np.random.default_rng(1), Population(HEALTHY, TUNED))


@pytest.fixture(scope="module")
def epochs(baseline: Baseline) -> list[Epoch]:
    """A group, a page, a breakdown and a shift of the traffic, with epochs without any record."""
    rng, population = np.random.default_rng(3), Population(HEALTHY, TUNED)
    made, at = list[Epoch](), baseline.last
    for traffic, length in STORY:
        cells = population.cells(traffic)
        for _ in range(length):
            counts = counts_of(rng, cells, 250, identified=f"r{at:.0f}")
            if rng.random() < 0.05:
                counts = EpochCounts.empty(*counts.refused.shape)
            made.append(Epoch(counts, at, at + 10.0))
            at += 10.0
    return made


def _closed(baseline: Baseline, epochs: list[Epoch], sizes: list[int]) -> tuple[list[Closed], Lane]:
    lane = Lane.begin(baseline, Budget(), artifact="approved")
    ends = [0, *accumulate(sizes)]
    closed = [c for a, b in pairwise(ends) for c in lane.close_epochs(epochs[a:b])]
    assert len(closed) == len(epochs)
    return closed, lane


def _sizes(total: int, most: int) -> list[int]:
    rng, sizes = np.random.default_rng(most), list[int]()
    while sum(sizes) < total:
        sizes.append(min(int(rng.integers(1, most + 1)), total - sum(sizes)))
    return sizes


@pytest.mark.parametrize("most", [3, 20, LONGEST, 490])
def test_what_a_lane_says_does_not_depend_on_how_many_epochs_it_is_given_at_once(
    baseline: Baseline, epochs: list[Epoch], most: int
) -> None:
    alone, one = _closed(baseline, epochs, [1] * len(epochs))
    together, many = _closed(baseline, epochs, _sizes(len(epochs), most))
    assert together == alone
    assert str(many.to_state()) == str(one.to_state()), "bit for bit, NaN included"
    said = {f"{f.alert} {f.event}" for closed in alone for f in closed.findings}
    assert said >= {
        "Unalignment open", "Unalignment resolve", "DegenerateOutput open",
        "DegenerateOutput resolve", "TrafficShift open",
    }  # fmt: skip


def test_mutant_that_trusts_a_stretch_after_the_reference_went_another_way_is_noticed(
    baseline: Baseline, epochs: list[Epoch], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, _ = _closed(baseline, epochs, [1] * len(epochs))
    monkeypatch.setattr(
        Ahead, "holds", lambda self, epoch, _: epoch - self._first < len(self._references)
    )
    together, _ = _closed(baseline, epochs, _sizes(len(epochs), LONGEST))
    assert together != alone


@pytest.mark.parametrize("bins", [1, 5, 8])
def test_every_rule_counts_the_same_entries_for_one_vector_and_for_many(bins: int) -> None:
    layout = Layout(len(GROUPS), bins)
    vectors: IntArray = np.random.default_rng(bins).integers(0, 50, (20, layout.size))
    events, exposure = vectors @ _counted(layout)
    for row, rule in enumerate(RULES):
        counts = [rule.count(layout, vector) for vector in vectors]
        assert list(zip(events[:, row], exposure[:, row], strict=True)) == counts
