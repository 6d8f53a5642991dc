import numpy as np
import pytest
from scipy.stats import binomtest

from monitor.detection import difference, wilson


@pytest.mark.parametrize(("x", "n"), [(0, 10), (3, 10), (10, 10), (180, 200)])
def test_shown_intervals_are_wilson_score_intervals(x: int, n: int) -> None:
    expected = binomtest(x, n).proportion_ci(method="wilson")
    assert wilson(x, n) == pytest.approx((expected.low, expected.high))


def test_nothing_seen_means_anything_is_possible() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("live_n", [10, 50, 400])
@pytest.mark.parametrize("reference_n", [200, 2000])
@pytest.mark.parametrize("left", [1.0, 0.5, 0.1])
def test_the_interval_of_a_drop_covers_the_true_drop(
    live_n: int, reference_n: int, left: float
) -> None:
    rng = np.random.default_rng(17)
    shares, before = np.array([0.5, 0.3, 0.2]), np.array([0.95, 0.9, 0.8])
    covered = 0
    for _ in range(600):
        n_ref, n = rng.multinomial(reference_n, shares), rng.multinomial(live_n, shares)
        x_ref, x = rng.binomial(n_ref, before), rng.binomial(n, before * left)
        drop = difference(x.tolist(), n.tolist(), x_ref.tolist(), n_ref.tolist())
        true = float(n @ (before * (1 - left))) / live_n
        covered += drop.low <= true <= drop.high
    assert covered / 600 >= 0.92


def test_a_drop_needs_something_to_have_dropped() -> None:
    with pytest.raises(ValueError, match="n: a difference needs at least one live trial"):
        difference([0], [0], [9], [10])
