import math

import msgspec
import numpy as np
import pytest
from scipy.stats import betabinom

from benchmarks.detection.strata import AFTER, BARS, HEALTHY, delays
from monitor.detection.conditional import DROPS, ConditionalSR, StratumCounts


def _counts(good: list[int], n: list[int]) -> StratumCounts:
    return StratumCounts(np.array(good), np.array(n))


@pytest.mark.parametrize("d", [0.0, 0.25])
def test_evidence_is_the_likelihood_ratio_that_scipy_computes(d: float) -> None:
    detector = ConditionalSR(_counts([180, 45], [200, 50]), d=d)
    live = _counts([3, 2], [7, 2])
    got = detector.log_likelihoods(live)
    pooled = (225 + 2) / (250 + 4)
    for c, (x_ref, n_ref) in enumerate([(180, 200), (45, 50)]):
        a, b = 2 * pooled + x_ref, 2 * (1 - pooled) + n_ref - x_ref
        shifted = math.log(a / b) - d
        null_rate = 1 / (1 + math.exp(-shifted))
        x, n = int(live.good[c]), int(live.n[c])
        null = betabinom.logpmf(x, n, (a + b) * null_rate, (a + b) * (1 - null_rate))
        null -= math.log(math.comb(n, x))
        for k, theta in enumerate(DROPS.tolist()):
            p = 1 / (1 + math.exp(theta - shifted))
            expected = x * math.log(p) + (n - x) * math.log(1 - p) - null
            assert got[c, k] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["strong", "half", "GRP-like", "three", "top1"])
def test_a_drop_in_known_strata_is_found_within_the_bar(name: str) -> None:
    first, early = delays(AFTER[name], runs=60, seed=4, healthy=300, horizon=600)
    assert np.isfinite(first).all()
    assert first.mean() <= 1.15 * BARS[name]  # 60 runs: three standard errors
    assert early <= 0.05


def test_nothing_is_found_where_nothing_changed() -> None:
    first, _ = delays(HEALTHY, runs=60, seed=9, healthy=0, horizon=4000, reference=200)
    assert np.isfinite(first).mean() <= 4000 / 200_000 + 0.05


def test_one_lost_category_is_named_and_a_common_drop_is_called_broad() -> None:
    reference = _counts([180] * 6, [200] * 6)
    single, common = ConditionalSR(reference), ConditionalSR(reference)
    for _ in range(15):
        single.update(_counts([0, 1, 1, 1, 1, 1], [1] * 6), 1e-5)
    for _ in range(3):
        common.update(_counts([0] * 6, [1] * 6), 1e-5)
    assert float(single.evidence()) >= 0.0
    assert single.strata() == [0]
    assert not single.is_broad()
    assert float(common.evidence()) >= 0.0
    assert common.is_broad()


def test_an_epoch_without_probes_changes_no_bit_and_a_restart_neither() -> None:
    detector = ConditionalSR(_counts([180, 45], [200, 50]))
    detector.update(_counts([1, 0], [2, 2]), 1e-4)
    state = msgspec.msgpack.encode(detector.to_state())
    detector.update(_counts([0, 0], [0, 0]), 0.0)
    assert msgspec.msgpack.encode(detector.to_state()) == state
    again = ConditionalSR(_counts([180, 45], [200, 50]))
    again.restore(msgspec.msgpack.decode(state))
    for each in (detector, again):
        each.update(_counts([0, 2], [2, 2]), 1e-4)
    assert msgspec.msgpack.encode(again.to_state()) == msgspec.msgpack.encode(detector.to_state())


def test_an_open_alarm_does_not_teach_the_reference() -> None:
    detector = ConditionalSR(_counts([180], [200]))
    before = detector.good.tolist(), detector.bad.tolist()
    detector.update(_counts([0], [5]), 1e-4, absorb=False)
    assert (detector.good.tolist(), detector.bad.tolist()) == before
