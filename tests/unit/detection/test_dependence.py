"""Users who repeat themselves must not be taken for a changed model (STATISTICS B 6)."""

import numpy as np
import pytest

from benchmarks.detection.dependence import SCENARIOS, alarms

REPEATING = [name for name in SCENARIOS if name != "independent"]


def _false_alarms(name: str, *, deduplicated: bool) -> float:
    first = alarms(SCENARIOS[name], runs=24, seed=5, length=8000, deduplicated=deduplicated)
    return float(np.isfinite(first).mean())


@pytest.mark.parametrize("name", REPEATING)
def test_bursts_and_conversations_raise_no_alarm(name: str) -> None:
    assert _false_alarms(name, deduplicated=True) <= 0.10


@pytest.mark.parametrize("name", REPEATING)
def test_mutant_without_deduplication_is_alarmed_by_them(name: str) -> None:
    assert _false_alarms(name, deduplicated=False) > 0.5


def test_deduplication_hardly_delays_a_real_alarm() -> None:
    plain, kept = (
        alarms(SCENARIOS["independent"], runs=40, seed=8, length=4000, deduplicated=each, left=0.55)
        for each in (False, True)
    )
    late = [float(np.median(first[first > 2000])) - 2000 for first in (plain, kept)]
    assert late[1] <= 1.1 * late[0]
