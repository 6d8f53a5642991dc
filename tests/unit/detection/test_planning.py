"""What `backslide plan` promises, against an independent simulator and against itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.detection.scenarios import Phase, Scenario
from benchmarks.detection.simulate import NOMINAL, Setting, simulate
from benchmarks.detection.traffic import SHIPPED, TUNED, Head, Population
from monitor.detection import Budget, rehearsal
from monitor.detection.planning import (
    FOUND,
    Delay,
    information_per_probe,
    plan,
    probes_per_second,
)
from monitor.detection.rehearsal import Reference
from monitor.detection.typical import typical_reference, whole

RATE = 0.9645
"""Interactions a second at which a ticket's budget is one in `NOMINAL` harmful prompts."""
TOLERANCE = 0.15


def simulated_reference(setting: Setting) -> Reference:
    """What the simulator's learning window holds on average."""
    n = round(setting.reference / setting.baseline.harmful)
    population = Population(setting.baseline, setting.head, reference_n=n)
    cells = population.cells(setting.baseline)
    tables = [whole(n * table) for table in (cells.refused, cells.answered, cells.volume)]
    return Reference(tables[0], tables[1], tables[2], n, setting.d1, RATE)


def simulator_budget(setting: Setting) -> Budget:
    """One false page in `NOMINAL` harmful prompts, as the simulator has it."""
    seconds = NOMINAL / (RATE * setting.baseline.harmful)
    return Budget(per_days=0.7 * seconds / 86_400)


def seconds(setting: Setting, harmful: np.ndarray) -> np.ndarray:
    return np.asarray(harmful / setting.baseline.harmful / RATE)


@pytest.mark.parametrize(
    ("head", "left"),
    [(TUNED, 0.05), (TUNED, 0.2), (SHIPPED, 0.2)],
    ids=["tuned .05", "tuned .2", "shipped .2"],
)
def test_a_page_comes_when_the_plan_says(head: Head, left: float) -> None:
    setting = Setting(head=head, epoch=1.0)
    planned = plan(simulated_reference(setting), left=left, budget=simulator_budget(setting))
    scenario = Scenario((Phase({"left": left}, 5_000.0),), healthy=500.0)
    page = seconds(setting, simulate(scenario, runs=400, seed=5, setting=setting).page)
    assert planned.page.found == 1.0
    assert planned.page.mean == pytest.approx(page.mean(), rel=TOLERANCE)
    assert planned.page.p95 == pytest.approx(np.quantile(page, FOUND), rel=TOLERANCE)


@pytest.mark.heavy
def test_a_ticket_for_three_groups_comes_when_the_plan_says() -> None:
    setting = Setting(epoch=1.0, groups=True)
    planned = plan(
        simulated_reference(setting), left=0.2, groups=3, budget=simulator_budget(setting)
    )
    assert planned.groups == ("hate", "self-harm", "privacy")
    scenario = Scenario((Phase({"left_in": {3: 0.2, 4: 0.2, 5: 0.2}}, 3_000.0),), healthy=500.0)
    spike = seconds(setting, simulate(scenario, runs=100, seed=5, setting=setting).spike)
    assert planned.ticket is not None
    assert planned.ticket.mean == pytest.approx(spike.mean(), rel=TOLERANCE)


def test_the_check_would_notice_a_plan_that_ignores_the_budget() -> None:
    setting = Setting()
    reference = simulated_reference(setting)
    right = plan(reference, left=0.2, budget=simulator_budget(setting), runs=50).page.mean
    wrong = plan(reference, left=0.2, budget=Budget(false_pages=1_000.0), runs=50).page.mean
    assert right is not None
    assert wrong is not None
    assert wrong < (1 - TOLERANCE) * right


def test_the_check_would_notice_a_plan_that_takes_the_reference_for_the_truth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Sure:
        """Draws rates without any uncertainty."""

        def __init__(self, rng: np.random.Generator) -> None:
            self._rng = rng

        def gamma(self, shape: np.ndarray) -> np.ndarray:
            return np.asarray(shape, dtype=np.float64)

        def poisson(self, mean: np.ndarray) -> np.ndarray:
            return self._rng.poisson(mean)

    setting = Setting(reference=100)
    reference, budget = simulated_reference(setting), simulator_budget(setting)
    right = plan(reference, left=0.05, budget=budget, runs=100).page
    default_rng = np.random.default_rng
    monkeypatch.setattr(rehearsal.np.random, "default_rng", lambda seed: Sure(default_rng(seed)))
    wrong = plan(reference, left=0.05, budget=budget, runs=100).page
    assert right.p95 is not None
    assert wrong.p95 is not None
    assert wrong.p95 < (1 - TOLERANCE) * right.p95


def test_the_same_question_gets_the_same_answer() -> None:
    reference = typical_reference(0.02, 20_000, rate=5.0)
    assert plan(reference, left=0.2, runs=20) == plan(reference, left=0.2, runs=20)


def test_a_loss_that_traffic_cannot_show_is_not_promised() -> None:
    planned = plan(typical_reference(0.02, 20_000, rate=10.0), left=0.8, runs=20)
    assert planned.page == Delay(0.0, None, None)
    assert planned.armed_after is None
    assert planned.probes_per_minute > 0.0


def test_more_traffic_is_faster_and_needs_fewer_probes() -> None:
    slow, fast = (
        plan(typical_reference(0.02, 30_000, rate=rate), left=0.1, runs=40) for rate in (0.1, 10.0)
    )
    assert slow.page.mean is not None
    assert fast.page.mean is not None
    assert slow.page.mean > 50 * fast.page.mean
    assert slow.probes_per_minute > fast.probes_per_minute == 0.0
    assert slow.armed_after is not None
    assert slow.seconds(slow.armed_after) == slow.armed_after / 0.1


def test_probes_follow_the_split_rule() -> None:
    per_probe = information_per_probe(0.5)
    alone = probes_per_second(600.0, passive=None, per_probe=per_probe, budget=Budget())
    helped = probes_per_second(600.0, passive=1200.0, per_probe=per_probe, budget=Budget())
    assert helped == pytest.approx(alone / 2, rel=0.1)
    # The mean number of probes at that pace is h / I_c, whatever the target.
    quicker = probes_per_second(60.0, passive=None, per_probe=per_probe, budget=Budget())
    assert 60.0 * quicker == pytest.approx(600.0 * alone, rel=0.2)
    assert probes_per_second(600.0, passive=500.0, per_probe=per_probe, budget=Budget()) == 0.0


def test_stated_traffic_resembles_what_the_simulator_draws() -> None:
    reference = typical_reference(0.02, 25_000, rate=1.0)
    cells = Population(Setting().baseline, SHIPPED).cells(Setting().baseline)
    assert reference.refusals == pytest.approx(cells.refused.sum(), rel=0.1)
    assert reference.volume.sum() == pytest.approx(25_000, abs=2)
    assert int(reference.answered[:, 0].sum()) == 0


@pytest.mark.parametrize(
    ("wrong", "named"), [({"left": 1.0}, "left"), ({"left": 0.5, "groups": 10}, "groups")]
)
def test_an_impossible_loss_is_refused(wrong: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        plan(typical_reference(0.02, 1_000, rate=1.0), **wrong)  # type: ignore[arg-type]


def test_a_baseline_without_refusals_is_refused() -> None:
    reference = typical_reference(0.02, 1_000, rate=1.0)
    empty = replace(reference, refused=np.zeros_like(reference.refused))
    with pytest.raises(ValueError, match="no refusals"):
        plan(empty, left=0.5)
    with pytest.raises(ValueError, match="harmful share"):
        typical_reference(0.0, 1_000, rate=1.0)
    with pytest.raises(ValueError, match="reference and rate"):
        typical_reference(0.02, 0, rate=1.0)
