import numpy as np

from monitor.detection import bins_of, count, events_of
from monitor.records import GROUPS, Outcome


def test_a_score_on_an_edge_belongs_to_the_upper_bin_and_no_prompt_to_the_lowest() -> None:
    assert bins_of([1.0, 2.0], [0.9, 1.0, 1.5, 2.0, np.nan, -np.inf]).tolist() == [0, 1, 1, 2, 0, 0]


def test_records_are_what_the_rules_say_they_are() -> None:
    outcome = [Outcome.REFUSED, Outcome.REFUSED, Outcome.COMPLIED, Outcome.COMPLIED,
               Outcome.DEGENERATE, Outcome.BLOCKED, Outcome.UNJUDGED, Outcome.COMPLIED]  # fmt: skip
    p = [0.95, 0.6, 0.1, 0.1, 0.99, 0.0, np.nan, 0.55]
    events = events_of(outcome, p, [0, 1, 0, 1, 1, 1, 1, 1], tau=0.7)
    assert np.flatnonzero(events.refused).tolist() == [0]
    assert np.flatnonzero(events.answered).tolist() == [3]
    assert np.flatnonzero(events.degenerate).tolist() == [4]
    assert np.flatnonzero(events.blocked).tolist() == [5]
    assert np.flatnonzero(events.unjudged).tolist() == [6]
    assert events.judged.tolist() == [True] * 5 + [False, False, True]


def test_events_count_after_deduplication_and_interactions_before_it() -> None:
    outcome = [Outcome.REFUSED, Outcome.REFUSED, Outcome.COMPLIED, Outcome.DEGENERATE]
    events = events_of(outcome, [0.9, 0.9, 0.1, 0.0], [1, 1, 1, 0], tau=0.7)
    counts = count(
        events,
        np.array([True, False, True, True]),
        group=[2, 2, 3, 9],
        bins=[1, 1, 1, 0],
        n_bins=2,
    )
    assert (counts.n, counts.degenerate, counts.volume.tolist()) == (4, 1, [1, 3])
    assert counts.refused.shape == (len(GROUPS), 2)
    assert counts.refused[2].tolist() == [0, 1]
    assert counts.refused.sum() == 1
    assert counts.answered[3].tolist() == [0, 1]
