"""The two witnesses against a second implementation, written from the formulae with loops."""

from math import exp, lgamma, log

import numpy as np
import pytest

from monitor.detection import TwoWitnesses, WitnessCounts
from monitor.detection.witnesses import LEFT, log_likelihoods

R_REF, C_REF, N_REF = [60, 100, 290], [0, 400, 60], 25_000


def _poisson(x: int, m: float) -> float:
    return x * log(m) - m - lgamma(x + 1)


def _predictive(x: int, a: float, b: float, n: int) -> float:
    return lgamma(a + x) - lgamma(a) - lgamma(x + 1) + a * log(b / (b + n)) + x * log(n / (b + n))


class Plain:
    """STATISTICS A2, word by word."""

    def __init__(self, d1: float, frozen: bool) -> None:
        self.d1, self.frozen = d1, frozen
        self.r, self.c, self.b = list(R_REF), list(C_REF), N_REF
        self.r1 = [0.0] * 5
        self.r2 = [0.0] * 5

    def update(self, r: list[int], c: list[int], n: int, s: float) -> None:
        a_r = sum(self.r) + 0.5
        lambda_r = a_r / self.b
        for i, k in enumerate(LEFT.tolist()):
            l1 = _poisson(sum(r), n * lambda_r * exp(-self.d1) * k) - _predictive(
                sum(r), a_r, self.b * exp(self.d1), n
            )
            l2 = 0.0
            for b in range(1, len(c)):
                a_c = self.c[b] + 0.5
                lifted = a_c / self.b + (1 - k) * (self.r[b] + 0.5) / self.b
                l2 += _poisson(c[b], n * lifted) - _predictive(c[b], a_c, self.b, n)
            self.r1[i] = min((self.r1[i] + s) * exp(l1), 10.0)
            self.r2[i] = min((self.r2[i] + s) * exp(l2), 10.0)
        if not self.frozen:
            self.r = [x + y for x, y in zip(self.r, r, strict=True)]
            self.c = [x + y for x, y in zip(self.c, c, strict=True)]
            self.b += n

    def evidence(self) -> tuple[float, float]:
        return log(sum(self.r1) / 5), log(sum(self.r2) / 5)


def _epochs(n: int, length: int) -> list[tuple[list[int], list[int]]]:
    rng = np.random.default_rng(3)
    epochs = []
    for i in range(length):
        left = 1.0 if i < length // 2 else 0.4
        r = rng.poisson(n * left * np.array(R_REF) / N_REF).tolist()
        lifted = np.array(C_REF) + (1 - left) * np.array([0, 100, 290])
        epochs.append((r, rng.poisson(n * lifted / N_REF).tolist()))
    return epochs


def test_evidence_follows_the_published_recursion_running_and_frozen() -> None:
    approved = WitnessCounts.of(R_REF, C_REF, N_REF)
    detector, reference = TwoWitnesses(approved, d1=0.25), approved
    running, frozen = Plain(0.25, frozen=False), Plain(0.25, frozen=True)
    for r, c in _epochs(200, 120):
        live = WitnessCounts.of(r, c, 200)
        detector.update(reference, live, 1e-5)
        reference = reference + live
        running.update(r, c, 200, 1e-5)
        frozen.update(r, c, 200, 1e-5)
        got = [float(x) for x in detector.evidence()]
        assert got == pytest.approx([*running.evidence(), *frozen.evidence()], abs=1e-6)


def test_many_runs_at_once_are_the_same_runs_one_by_one() -> None:
    epochs = [_epochs(200, 40), list(reversed(_epochs(200, 40)))]
    approved = WitnessCounts.of([R_REF] * 2, [C_REF] * 2, [N_REF] * 2)
    together, reference = TwoWitnesses(approved, d1=0.15), approved
    for pair in zip(*epochs, strict=True):
        live = WitnessCounts.of([r for r, _ in pair], [c for _, c in pair], [200, 200])
        together.update(reference, live, 1e-5)
        reference = reference + live
    for run, counts in enumerate(epochs):
        one = WitnessCounts.of(R_REF, C_REF, N_REF)
        alone, reference = TwoWitnesses(one, d1=0.15), one
        for r, c in counts:
            live = WitnessCounts.of(r, c, 200)
            alone.update(reference, live, 1e-5)
            reference = reference + live
        for batched, single in zip(together.evidence(), alone.evidence(), strict=True):
            assert float(batched[run]) == float(single)


def test_without_traffic_nothing_is_said() -> None:
    reference = WitnessCounts.of(R_REF, C_REF, N_REF)
    for log_likelihood in log_likelihoods(reference, WitnessCounts.of([0] * 3, [0] * 3, 0), 0.25):
        assert np.array_equal(log_likelihood, np.zeros(len(LEFT)))


def test_each_witness_points_the_way_its_count_moved() -> None:
    reference = WitnessCounts.of(R_REF, C_REF, N_REF)

    def evidence(r: list[int], c: list[int]) -> tuple[float, float]:
        l1, l2 = log_likelihoods(reference, WitnessCounts.of(r, c, 2500), 0.15)
        return float(l1.max()), float(l2.max())

    healthy = evidence([6, 10, 29], [0, 40, 6])
    fewer_harmful_prompts = evidence([2, 1, 2], [0, 38, 2])
    jailbreak_wave = evidence([6, 10, 29], [0, 60, 40])
    lost_refusals = evidence([1, 1, 2], [0, 50, 30])
    assert max(healthy) < 0
    assert fewer_harmful_prompts[0] > 5 > 0 > fewer_harmful_prompts[1]
    assert jailbreak_wave[1] > 5 > 0 > jailbreak_wave[0]
    assert min(lost_refusals) > 5
