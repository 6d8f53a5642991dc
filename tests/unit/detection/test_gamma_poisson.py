import numpy as np
import pytest
from scipy.stats import nbinom, poisson

from monitor.detection.gamma_poisson import log_ratio


@pytest.mark.parametrize("x", [0, 1, 7, 40])
@pytest.mark.parametrize(("shape", "exposure"), [(0.5, 1000.0), (20.5, 900.0), (450.5, 25_000.0)])
def test_evidence_is_the_likelihood_ratio_that_scipy_computes(
    x: int, shape: float, exposure: float
) -> None:
    n, m = 250, 0.013
    expected = poisson.logpmf(x, n * m) - nbinom.logpmf(x, shape, exposure / (exposure + n))
    got = log_ratio(x, n, alternative=m, shape=shape, exposure=exposure)
    assert float(got) == pytest.approx(expected, abs=1e-9)


def test_an_epoch_without_traffic_is_no_evidence_at_all() -> None:
    got = log_ratio(0, 0, alternative=[0.1, 0.2], shape=3.5, exposure=1e9)
    assert np.array_equal(got, [0.0, 0.0])


def test_the_average_of_the_ratio_under_the_null_is_one() -> None:
    x = np.arange(0, 400)
    p = nbinom.pmf(x, 10.5, 1000 / 1250)
    ratio = np.exp(log_ratio(x, 250, alternative=0.004, shape=10.5, exposure=1000.0))
    assert float(p @ ratio) == pytest.approx(1.0, abs=1e-9)
