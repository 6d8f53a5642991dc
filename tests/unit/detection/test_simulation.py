"""False pages and delays by simulation: the rows of the detection benchmark, short.

``python -m benchmarks.detection --full`` runs every cell with 300 runs; here are fewer runs
of the same cells through the same functions, with fixed seeds.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.detection.cells import DELAY, FALSE_PAGES, Cell, Result, run
from benchmarks.detection.scenarios import (
    CHANGED,
    GATED_CHANGES,
    IMITATIONS,
    UNCHANGED,
    Phase,
    Scenario,
    ordered_pairs,
)
from benchmarks.detection.simulate import NOMINAL, Setting, simulate
from benchmarks.detection.traffic import SHIPPED, TUNED, Population, Traffic, information
from monitor.detection import ShiryaevRoberts
from monitor.detection.up_test import DEGENERATE, DEGENERATE_TOLERANCE, log_likelihood

BASE = Setting()
SLOW = ("wander .3", "wander .5", "wander .5, daily +-50 %")


def _result(
    name: str, kind: str, scenario: Scenario, setting: Setting, *, runs: int, seed: int = 17
) -> Result:
    cell = Cell(name, kind, scenario, setting, "", gated=True)  # type: ignore[arg-type]
    return run(cell, runs=runs, seed=seed)


def _unchanged(name: str, setting: Setting = BASE, *, runs: int = 24) -> Result:
    return _result(name, "unchanged", UNCHANGED[name], setting, runs=runs)


def _changed(name: str, setting: Setting = BASE, *, runs: int = 40) -> Result:
    return _result(name, "changed", CHANGED[name], setting, runs=runs)


@pytest.mark.parametrize("name", [name for name in UNCHANGED if name not in SLOW])
def test_nobody_is_paged_while_only_the_traffic_changes(name: str) -> None:
    assert _unchanged(name, replace(BASE, head=SHIPPED)).failure == ""


@pytest.mark.parametrize("name", SLOW)
def test_nobody_is_paged_for_shares_that_wander(name: str) -> None:
    scenario = replace(UNCHANGED[name], phases=(Phase({}, 5000.0),))
    assert _result(name, "unchanged", scenario, BASE, runs=16).failure == ""


@pytest.mark.parametrize("head", [TUNED, SHIPPED], ids=["tuned", "shipped"])
@pytest.mark.parametrize("name", GATED_CHANGES)
def test_a_changed_model_is_found_near_the_limit_of_information(name: str, head: object) -> None:
    result = _changed(name, replace(BASE, head=head))  # type: ignore[arg-type]
    assert result.failure == ""


@pytest.mark.parametrize("reference", [200, 2000])
def test_the_size_of_the_reference_changes_delays_little(reference: int) -> None:
    delay = _changed("left .2").delay
    other = _changed("left .2", replace(BASE, reference=reference)).delay
    assert abs(other - delay) <= 0.25 * delay


def test_rare_harmful_traffic_is_watched_as_well() -> None:
    rare = replace(BASE, baseline=Traffic(harmful=0.002, ordinary=0.978))
    assert _changed("left .05", rare).paged == 1.0
    assert _unchanged("share x0.5", rare, runs=12).paged <= FALSE_PAGES


def test_partial_losses_take_longer_and_mild_ones_belong_to_probes() -> None:
    """Reported, not gated: losses to .7 are beyond this rule (STATISTICS A6)."""
    found = {name: _changed(name, runs=24) for name in ("left .05", "left .5", "left .7")}
    assert found["left .05"].delay < found["left .5"].delay < found["left .7"].delay
    assert found["left .7"].paged < 0.9


@pytest.mark.parametrize("name", ["share x0.5", "jailbreak wave 10 %", "look-alikes unseen 5 %"])
def test_one_witness_alone_would_have_paged(name: str) -> None:
    """Shows that the rows are hard: each is an alarm of a rule that looks at one count."""
    result = _unchanged(name, runs=12)
    assert max(result.refused, result.answered) >= 0.9
    assert result.paged == 0.0


SEQUENCES = (
    "jailbreak wave 10 %, then share x0.05",
    "share x2, then jailbreak wave 10 %",
    "share x5, then look-alikes unseen 5 %",
    "share x0.05, then jailbreak wave 10 %",
)
PAIRS = ordered_pairs(5000.0)


@pytest.mark.parametrize("name", SEQUENCES)
def test_two_shifts_that_take_turns_do_not_add_up_to_a_page(name: str) -> None:
    shipped = replace(BASE, head=SHIPPED)
    assert _result(name, "pair", PAIRS[name], shipped, runs=16).failure == ""


def test_mutant_without_the_cap_pages_after_a_jailbreak_wave() -> None:
    name = "jailbreak wave, pause, share x0.5"
    assert _unchanged(name).failure == ""
    assert "false pages" in _unchanged(name, replace(BASE, cap=math.inf)).failure


def test_mutant_without_the_frozen_twin_pages_after_a_pair_of_shifts() -> None:
    without = replace(BASE, frozen=False)
    for name in ("share x2, then jailbreak wave 10 %", "share x5, then look-alikes unseen 5 %"):
        assert "false pages" in _result(name, "pair", PAIRS[name], without, runs=12).failure


def test_mutant_that_never_fires_fails_the_harness() -> None:
    silent = replace(BASE, threshold=math.inf)
    assert "found 0.00" in _changed("left .05", silent, runs=4).failure


def test_mutant_that_is_told_the_true_rates_of_the_moment_fails_the_harness() -> None:
    told = replace(BASE, told_true_rates=True)
    scenario = Scenario((Phase({"left": 0.05}, 3000.0),))
    assert "found 0.00" in _result("left .05", "changed", scenario, told, runs=8).failure


def test_opposite_shifts_at_the_same_time_are_a_known_limit_and_imitate_a_change() -> None:
    """If this stops paging, the limits in the documentation are out of date."""
    name = "share x0.5 and jailbreak wave 5 %"
    cell = Cell(name, "imitation", IMITATIONS[name], BASE, "", gated=False)
    result = run(cell, runs=12, seed=3)
    assert result.paged > 0.5
    assert result.failure == ""


def test_a_group_that_lost_its_refusals_is_found_and_healthy_groups_are_not() -> None:
    grouped = replace(BASE, groups=True)
    lost = Scenario((Phase({"left_in": {0: 0.1}}, 1500.0),))
    found = _result("largest group to .1", "changed", lost, grouped, runs=20)
    assert found.spiked == 1.0
    assert found.spike_delay <= 215
    for name in ("null", "share x0.5"):
        calm = replace(
            UNCHANGED[name], phases=(replace(UNCHANGED[name].phases[0], harmful=4000.0),)
        )
        assert _result(name, "unchanged", calm, grouped, runs=16).spiked <= FALSE_PAGES


def test_degenerate_outputs_page_when_the_model_breaks_and_not_before() -> None:
    rng = np.random.default_rng(23)
    runs, n, rate = 200, 250, 0.001
    reference = rng.poisson(25_000 * rate, runs)
    exposure = np.full(runs, 25_000)
    statistic = ShiryaevRoberts.zero(alternatives=len(DEGENERATE), runs=(runs,))
    paged = np.zeros(runs, dtype=bool)
    for epoch in range(2050):
        x = rng.poisson(n * rate * (1 if epoch < 2000 else 20), runs)
        l_m = log_likelihood(
            x, np.full(runs, n), reference=reference, exposure=exposure,
            factors=DEGENERATE, d=DEGENERATE_TOLERANCE,
        )  # fmt: skip
        statistic.update(l_m, 5.0 / NOMINAL)
        reference, exposure = reference + x, exposure + n
        if epoch == 1999:
            assert np.mean(paged) <= 2000 * 5.0 / NOMINAL
        paged |= statistic.evidence() >= 0.0
    assert paged.all()


def test_the_published_information_bound_is_that_of_the_poisson_rates() -> None:
    population = Population(Traffic(), TUNED)
    before = population.cells(Traffic())
    first, second = information(before, before, d1=0.0)
    assert first == pytest.approx(0.0, abs=1e-12)
    assert second == pytest.approx(0.0, abs=1e-12)
    after = population.cells(Traffic(left=0.2))
    r, r_after = before.refused.sum(), after.refused.sum()
    expected = r_after * math.log(r_after / r) - r_after + r
    assert information(before, after, d1=0.0)[0] == pytest.approx(expected)
    assert DELAY == 2.0


def test_every_run_of_a_seed_is_the_same_run() -> None:
    scenario = Scenario((Phase({"left": 0.2}, 500.0),), healthy=100.0)
    one, two = (simulate(scenario, runs=6, seed=5) for _ in range(2))
    assert np.array_equal(one.page, two.page)
    assert not np.array_equal(one.page, simulate(scenario, runs=6, seed=6).page)
