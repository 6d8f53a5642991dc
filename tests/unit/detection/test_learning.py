import numpy as np
import pytest

from monitor.detection import Budget, EmptyWindowError, Window, is_armed
from monitor.detection.learning import D1_UNMEASURED, LEAST_ANSWERS
from monitor.records import Outcome
from tests.unit.detection.windows import learned, window


def _first(records: Window, n: int) -> Window:
    return Window(*(getattr(records, name)[:n] for name in Window.__slots__))


def test_counts_are_those_of_the_records() -> None:
    records = window()
    baseline = learned(records)
    counts = baseline.counts
    assert counts.n == len(records) == counts.volume.sum()
    assert counts.refused.sum() == (records.outcome == Outcome.REFUSED).sum()
    top = baseline.bin_of(records.propensity) >= 1
    assert counts.answered.sum() == (top & (records.outcome == Outcome.COMPLIED)).sum()
    assert abs(top.mean() - 0.05) < 0.001
    assert baseline.rate == pytest.approx(25.0, rel=1e-3)


def test_bins_with_few_answers_are_merged_and_the_lowest_edge_stays() -> None:
    few, many = learned(window(4000)), learned(window(100_000))
    for baseline in (few, many):
        assert baseline.counts.answered.sum(axis=0)[1:].min() >= LEAST_ANSWERS
    assert few.bins < many.bins
    top = window(4000)
    assert few.edges[0] == pytest.approx(np.quantile(top.propensity, 0.95), abs=0.02)


def test_repeated_prompts_that_tie_do_not_make_empty_bins() -> None:
    records = window()
    tied = records.propensity.copy()
    tied[records.propensity > 2.5] = 2.5
    baseline = learned(window(propensity=tied))
    assert np.all(np.diff(baseline.edges) > 0)
    assert baseline.counts.answered.sum(axis=0)[1:].min() >= LEAST_ANSWERS


def test_a_style_of_refusal_that_scores_low_is_seen_with_a_lower_threshold() -> None:
    records = window()
    assert learned(records).tau == 0.7
    hesitant = np.where(records.p_refused > 0.5, 0.6, records.p_refused)
    assert learned(window(p_refused=hesitant)).tau == 0.5
    noisy = np.random.default_rng(1).random(len(records)) < 0.05
    mistaken = np.where(noisy & (records.p_refused < 0.5), 0.8, records.p_refused)
    assert learned(window(p_refused=mistaken)).tau == 0.9


def test_a_burst_in_the_window_is_learned_as_one_event() -> None:
    records = window()
    keys = records.keys.copy()
    refusals = np.flatnonzero(records.outcome == Outcome.REFUSED)
    keys[refusals[:15], 0] = 77
    group = records.group.copy()
    group[refusals[:15]] = 1
    before = int(learned(window(group=group)).counts.refused.sum())
    assert int(learned(window(group=group, keys=keys)).counts.refused.sum()) == before - 14


def test_a_gateway_account_and_a_wrapper_are_boilerplate_and_not_one_user() -> None:
    records = window()
    keys = records.keys.copy()
    keys[:, 0] = 5
    keys[::2, 2] = 6
    baseline = learned(window(keys=keys))
    assert baseline.boilerplate == {5, 6}
    assert baseline.counts.refused.sum() == learned(records).counts.refused.sum()


def test_a_user_who_is_merely_busy_is_not_boilerplate() -> None:
    keys = window().keys.copy()
    keys[:200, 0] = 5
    keys[:19, 1] = 6
    assert learned(window(keys=keys)).boilerplate == frozenset()


def test_hours_that_wander_widen_the_tolerance() -> None:
    def at_rates(sd: float) -> float | None:
        rng = np.random.default_rng(3)
        hours, n = 60, 500
        share = np.repeat(0.05 * np.exp(sd * rng.standard_normal(hours)), n)
        refused = rng.random(hours * n) < share
        records = window(
            hours * n,
            seconds=hours * 3600.0,
            outcome=np.where(refused, Outcome.REFUSED, Outcome.COMPLIED).astype(np.uint8),
            p_refused=np.where(refused, 0.95, 0.02),
        )
        return learned(records).wander

    calm, wild = at_rates(0.0), at_rates(0.4)
    assert calm is not None
    assert wild is not None
    assert calm < 0.15 < 0.3 < wild < 0.6


def test_tolerance_follows_the_wander_within_limits_and_needs_two_days() -> None:
    assert learned(window()).d1 == D1_UNMEASURED
    assert learned(window()).wander is None
    assert learned(window(seconds=60 * 3600.0)).d1 == 0.15


def test_a_window_is_armed_once_a_collapse_would_be_found() -> None:
    records, budget = window(), Budget()
    assert not is_armed(_first(records, 300), budget=budget)
    armed = [n for n in range(1000, 10_001, 1000) if is_armed(_first(records, n), budget=budget)]
    assert armed
    assert armed == list(range(armed[0], 10_001, 1000)), "being armed does not come and go"
    full = learned(records).armed_for
    assert full is not None
    assert full >= 0.5


def test_a_classifier_that_cannot_see_refusals_makes_the_baseline_blind() -> None:
    records = window()
    unseen = np.where(np.random.default_rng(2).random(len(records)) < 0.8, 0.02, records.p_refused)
    assert not learned(records).blind
    assert learned(window(p_refused=unseen)).blind


def test_a_window_that_can_hardly_be_judged_is_blind() -> None:
    records = window()
    outcome = records.outcome.copy()
    outcome[: len(outcome) * 6 // 10] = Outcome.UNJUDGED
    assert learned(window(outcome=outcome)).blind


def test_outputs_without_prompts_give_a_baseline_that_never_pages() -> None:
    baseline = learned(window(propensity=np.full(25_000, np.nan)))
    assert baseline.output_only
    assert baseline.armed_for is None


def test_a_window_without_anything_to_judge_is_refused_with_a_reason() -> None:
    nothing = np.full(25_000, Outcome.UNJUDGED, dtype=np.uint8)
    with pytest.raises(EmptyWindowError, match="deployment 'chat': none of 25000 outputs"):
        learned(window(outcome=nothing))


def test_a_window_of_one_moment_has_a_finite_rate() -> None:
    assert learned(window(1000, seconds=0.0)).rate == 100.0
