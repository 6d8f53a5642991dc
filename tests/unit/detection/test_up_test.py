import math

import numpy as np
import pytest
from scipy.stats import nbinom, poisson

from monitor.detection.up_test import DEGENERATE, log_likelihood


def test_the_up_test_is_the_published_ratio() -> None:
    got = log_likelihood(9, 200, reference=20, exposure=10_000, factors=DEGENERATE, d=0.5)
    exposure = 10_000 * math.exp(-0.5)
    for m, value in zip(DEGENERATE, got, strict=True):
        rate = 20.5 / 10_000 * math.exp(0.5) * m
        null = nbinom.logpmf(9, 20.5, exposure / (exposure + 200))
        assert value == pytest.approx(poisson.logpmf(9, 200 * rate) - null, abs=1e-9)


def test_a_rise_within_the_tolerance_is_not_evidence() -> None:
    x = round(5000 * 0.002 * math.exp(0.4))
    got = log_likelihood(x, 5000, reference=20, exposure=10_000, factors=DEGENERATE, d=0.5)
    assert np.all(got < 0)
