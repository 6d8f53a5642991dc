import math

import numpy as np
import pytest

from monitor.detection import ShiryaevRoberts


def test_the_recursion_in_logs_is_the_recursion_of_the_definition() -> None:
    rng = np.random.default_rng(5)
    statistic, plain = ShiryaevRoberts.zero(alternatives=3), np.zeros(3)
    for _ in range(200):
        log_likelihood, s = rng.normal(-0.2, 0.7, 3), float(rng.uniform(0, 1e-3))
        statistic.update(log_likelihood, s)
        plain = np.minimum((plain + s) * np.exp(log_likelihood), 10.0)
    assert np.exp(statistic.log_r) == pytest.approx(plain, rel=1e-9)
    assert float(statistic.evidence()) == pytest.approx(math.log(plain.mean()), abs=1e-9)


def test_false_alarms_stay_within_the_budget_that_was_spent() -> None:
    """Ville's inequality at work: P(W ever >= 1) <= sum of s, here .2."""
    rng = np.random.default_rng(11)
    runs, drift = 4000, 0.8
    statistic = ShiryaevRoberts.zero(alternatives=1, runs=(runs,))
    alarmed = np.zeros(runs, dtype=bool)
    for _ in range(400):
        noise = rng.standard_normal((runs, 1))
        statistic.update(drift * noise - drift**2 / 2, 0.2 / 400)
        alarmed |= statistic.evidence() >= 0.0
    assert 0.04 < alarmed.mean() <= 0.2


def test_a_cause_that_is_over_is_forgotten_because_of_the_cap() -> None:
    def epochs_over_threshold(cap: float) -> int:
        statistic = ShiryaevRoberts.zero(alternatives=1, cap=cap)
        for _ in range(100):
            statistic.update(np.array([5.0]), 1e-5)
        over = 0
        while float(statistic.evidence()) >= 0.0:
            statistic.update(np.array([-0.5]), 1e-5)
            over += 1
        return over

    assert epochs_over_threshold(10.0) <= 6
    assert epochs_over_threshold(math.inf) > 900, "the mutant without a cap remembers"


def test_an_epoch_without_traffic_and_budget_changes_no_bit() -> None:
    statistic = ShiryaevRoberts.zero(alternatives=2)
    statistic.update(np.array([0.3, -0.1]), 1e-4)
    before = statistic.log_r.tobytes()
    statistic.update(np.zeros(2), 0.0)
    assert statistic.log_r.tobytes() == before


def test_the_evidence_is_never_that_of_an_earlier_epoch() -> None:
    statistic = ShiryaevRoberts.zero(alternatives=2, runs=(3,))
    statistic.update(np.full((3, 2), 2.0), 1e-3)
    before = statistic.evidence().copy()
    statistic.update(np.full((3, 2), 2.0), 1e-3)
    assert (statistic.evidence() > before).all()
    statistic.reset(1)
    assert statistic.evidence()[1] == -math.inf
    assert statistic.evidence()[0] > before[0]
    statistic.log_r = np.zeros((3, 2))
    assert statistic.evidence().tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="read-only"):
        statistic.log_r[0] = 1.0


def test_no_alarm_is_missed_because_it_seemed_out_of_reach() -> None:
    rng = np.random.default_rng(7)
    for _ in range(200):
        statistic = ShiryaevRoberts(rng.normal(-1.0, 1.0, (4, 5)))
        largest = float(statistic.evidence().max())
        assert statistic.may_reach(largest)
    assert not ShiryaevRoberts(np.full((4, 5), -0.1)).may_reach()
