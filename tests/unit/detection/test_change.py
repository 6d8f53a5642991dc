import numpy as np
import pytest

from monitor.detection import ChangeTime


def _walk(steps: np.ndarray, twin: ChangeTime) -> None:
    for t, step in enumerate(steps):
        twin.update(step, np.array([1, t]), start=10.0 * t, end=10.0 * t + 10)


def test_the_change_time_is_where_the_log_likelihood_ratio_was_lowest() -> None:
    rng = np.random.default_rng(2)
    steps = np.concatenate([rng.normal(-0.5, 1, (300, 2)), rng.normal(0.6, 1, (40, 2))])
    twin = ChangeTime.zero(alternatives=2, counts=2)
    _walk(steps, twin)
    estimate = twin.estimate()
    path = np.concatenate([np.zeros((1, 2)), steps.cumsum(axis=0)])
    best = int(np.argmax(path[-1] - path.min(axis=0)))
    lowest = len(path) - 1 - int(np.argmin(path[::-1, best]))
    assert estimate.alternative == best
    assert estimate.at == 10.0 * lowest
    assert estimate.evidence == pytest.approx(path[-1, best] - path[:, best].min())
    assert estimate.counts.tolist() == [len(steps) - lowest, sum(range(lowest, len(steps)))]


def test_the_range_holds_the_true_change_nearly_always() -> None:
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(200):
        steps = np.concatenate([rng.normal(-0.5, 1, (100, 1)), rng.normal(0.5, 1, (30, 1))])
        twin = ChangeTime.zero(alternatives=1, counts=2)
        _walk(steps, twin)
        estimate = twin.estimate()
        assert estimate.earliest <= estimate.at <= estimate.latest
        inside += estimate.earliest <= 1000.0 <= estimate.latest
    assert inside >= 180


def test_runs_side_by_side_do_not_mix() -> None:
    rng = np.random.default_rng(4)
    steps = rng.normal(-0.1, 1, (60, 3, 2))
    together = ChangeTime.zero(alternatives=2, counts=2, runs=(3,))
    _walk(steps, together)
    for run in range(3):
        alone = ChangeTime.zero(alternatives=2, counts=2)
        _walk(steps[:, run], alone)
        expected, got = alone.estimate(), together.estimate(run)
        assert got[:5] == expected[:5]
        assert got.counts.tolist() == expected.counts.tolist()


def test_a_forgotten_row_starts_again_and_leaves_the_others() -> None:
    twin = ChangeTime.zero(alternatives=1, counts=2, runs=(2,))
    _walk(np.ones((5, 2, 1)), twin)
    twin.reset(0)
    assert twin.evidence.tolist() == [[0.0], [5.0]]
    assert twin.counts[0].sum() == 0
