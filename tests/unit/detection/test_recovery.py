import numpy as np

from monitor.detection import WitnessCounts
from monitor.detection.recovery import Recovery
from monitor.detection.witnesses import rates

R_REF, C_REF, N_REF = np.array([60, 100, 290]), np.array([0, 400, 60]), 25_000


def _harmful_prompts_to_recovery(true_left: float, estimated: float, seed: int) -> float:
    """Harmful prompts (450 in the reference) until the all-clear; inf if none in 2,000."""
    rng = np.random.default_rng(seed)
    reference = rates(WitnessCounts.of(R_REF, C_REF, N_REF))
    back, n = Recovery(estimated), 250
    for epoch in range(1, 445):
        r = rng.poisson(n * true_left * R_REF / N_REF)
        c = rng.poisson(n * (C_REF + (1 - true_left) * R_REF * [0, 1, 1]) / N_REF)
        back.update(reference, WitnessCounts.of(r, c, n))
        if back.complete:
            return epoch * n * 450 / N_REF
    return np.inf


def test_a_restored_model_ends_the_page_soon() -> None:
    for left, slowest in [(0.05, 120.0), (0.2, 130.0), (0.5, 400.0)]:
        times = [_harmful_prompts_to_recovery(1.0, left, seed) for seed in range(30)]
        assert float(np.median(times)) <= slowest


def test_a_model_that_is_still_changed_is_not_declared_healthy() -> None:
    for left in (0.05, 0.2, 0.5):
        cleared = [np.isfinite(_harmful_prompts_to_recovery(left, left, s)) for s in range(40)]
        assert sum(cleared) <= 2
