"""Many runs of the real detectors at once, on counts drawn at the rates of `traffic`.

Time is measured in harmful prompts of the baseline's traffic: at 2 % harmful, one is 50
interactions. The budget is one false page in A = 200,000 of them, so P(page) within 20,000
must not be over .10. Nothing is calibrated: page and delay come from the same binary with
the same settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.scenarios import Phase, Scenario
from benchmarks.detection.traffic import KINDS, TUNED, Cells, Head, Population, Traffic
from monitor.detection import TwoWitnesses, WitnessCounts
from monitor.detection.breadth import coarse_bins, coarse_table
from monitor.detection.spikes import GroupCounts, GroupWitnesses
from monitor.records import GROUPS

NOMINAL: Final = 200_000.0
"""A: harmful prompts for which one false page is budgeted."""
_MEMORY: Final = 1000.0
"""Correlation time of wandering shares, harmful prompts."""
_DAY: Final = 2000.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What is held fixed over the cells of one experiment."""

    baseline: Traffic = Traffic()  # noqa: RUF009
    head: Head = TUNED
    reference: int = 500
    """Harmful prompts in the learning window."""
    epoch: float = 5.0
    """Harmful prompts per epoch."""
    d1: float = 0.15
    groups: bool = False
    """Run `HazardSpike` as well; takes four times as long."""
    # Mutants, to show what each mechanism is needed for.
    cap: float = 10.0
    frozen: bool = True
    told_true_rates: bool = False
    """The reference is the truth of the moment: no change can be seen."""
    threshold: float = 0.0
    """ln of the alarm threshold; inf never fires."""


class Runs(NamedTuple):
    """First alarms of each run, harmful prompts after the healthy stretch; inf: none."""

    page: NDArray[np.float64]
    running: NDArray[np.float64]
    """Both witnesses against the running reference alone."""
    refused: NDArray[np.float64]
    answered: NDArray[np.float64]
    spike: NDArray[np.float64]
    """`HazardSpike` of any group, where groups are simulated."""
    early: NDArray[np.bool_]
    """Paged in the healthy stretch, before anything happened."""

    @property
    def paged(self) -> float:
        """Share of runs that paged at any time."""
        return float(np.mean(np.isfinite(self.page) | self.early))

    @property
    def delay(self) -> float:
        """Median over all runs."""
        return float(np.median(self.page))


def simulate(scenario: Scenario, *, runs: int, seed: int, setting: Setting | None = None) -> Runs:
    """`runs` independent runs of `scenario`: reference, healthy stretch, phases."""
    setting = setting or Setting()
    rng = np.random.default_rng(seed)
    n = round(setting.epoch / setting.baseline.harmful)
    reference_n = round(setting.reference / setting.baseline.harmful)
    population = Population(setting.baseline, setting.head, reference_n=reference_n)
    learned = population.cells(_changed(setting.baseline, scenario))
    drawn = _draw(rng, learned, reference_n, runs, groups=setting.groups)
    reference = _pooled(drawn)
    d1 = setting.d1 if scenario.d1 is None else max(setting.d1, scenario.d1)
    detector = TwoWitnesses(reference, d1, cap=setting.cap, frozen=setting.frozen)
    groups = _Groups(drawn, population.cells(setting.baseline), d1) if setting.groups else None
    first = np.full((5, runs), np.inf)
    early = np.zeros(runs, dtype=np.bool_)
    for at, last, cells in _epochs(rng, scenario, setting, population, runs):
        if setting.told_true_rates:
            reference = detector.approved = _expected(cells, reference_n * 1000, runs)
        drawn = _draw(rng, cells, n, runs, groups=setting.groups)
        live = _pooled(drawn)
        detector.update(reference, live, setting.epoch / NOMINAL)
        reference = reference + live
        evidence = detector.evidence()
        spiking = np.full(runs, -np.inf) if groups is None else groups.update(drawn, setting)
        measures = [
            np.minimum(evidence.running, evidence.frozen),
            evidence.running,
            evidence.refused,
            evidence.answered,
            spiking,
        ]
        alarms = np.stack(measures) >= setting.threshold
        if at <= 0.0:
            early |= alarms[0]
        else:
            first = np.where(alarms & np.isinf(first), at, first)
            if last and np.isfinite(first[0]).all() and groups is None:
                break
    return Runs(first[0], first[1], first[2], first[3], first[4], early)


class _Groups:
    """`HazardSpike` of many runs, with its own running reference."""

    def __init__(self, learned: GroupCounts, healthy: Cells, d1: float) -> None:
        volume = np.rint(1e6 * healthy.volume).astype(np.int64)
        self._coarse = coarse_bins(volume)
        self._reference = self._in_coarse_bins(learned)
        self._detector = GroupWitnesses(len(GROUPS), d1, runs=learned.n.shape)

    def update(self, drawn: GroupCounts, setting: Setting) -> NDArray[np.float64]:
        """ln evidence of the strongest group of each run, 0 the threshold."""
        live = self._in_coarse_bins(drawn)
        spend = np.full(live.n.shape, setting.epoch / NOMINAL)
        self._detector.update(self._reference, live, spend)
        self._reference = self._reference + live
        strongest: NDArray[np.float64] = self._detector.log_evidence().max(axis=-1)
        return strongest

    def _in_coarse_bins(self, counts: GroupCounts) -> GroupCounts:
        return GroupCounts(
            coarse_table(counts.refused, self._coarse),
            coarse_table(counts.answered, self._coarse),
            counts.n,
        )


def _epochs(
    rng: np.random.Generator,
    scenario: Scenario,
    setting: Setting,
    population: Population,
    runs: int,
) -> Iterator[tuple[float, bool, Cells]]:
    """(harmful prompts since the healthy stretch, in the last phase?, rates) of each epoch."""
    shares = _wandering(rng, scenario, setting, runs)
    at, healthy = -scenario.healthy, population.cells(setting.baseline)
    while at < 0.0:
        at += setting.epoch
        yield (
            at,
            False,
            healthy if shares is None else population.cells(setting.baseline, next(shares)),
        )
    for index, phase in enumerate(scenario.phases):
        begun, cells = at, population.cells(phase.traffic(setting.baseline))
        last = index == len(scenario.phases) - 1
        while at < begun + phase.harmful:
            ramp = at - begun < phase.over
            traffic = phase.traffic(setting.baseline, at - begun)
            if shares is not None or ramp:
                cells = population.cells(traffic, None if shares is None else next(shares))
            elif phase.over:
                cells = population.cells(traffic)
            at += setting.epoch
            yield at, last, cells


def _wandering(
    rng: np.random.Generator, scenario: Scenario, setting: Setting, runs: int
) -> Iterator[NDArray[np.float64]] | None:
    """Weights of the kinds by run and epoch: AR(1) in logs, and a daily cycle."""
    if not scenario.wander:
        return None

    def shares() -> Iterator[NDArray[np.float64]]:
        weights = np.tile([getattr(setting.baseline, kind) for kind in KINDS], (runs, 1))
        keep = np.exp(-setting.epoch / _MEMORY)
        logs = scenario.wander * rng.standard_normal((runs, 2))
        at = 0.0
        while True:
            noise = rng.standard_normal((runs, 2)) * scenario.wander * np.sqrt(1 - keep**2)
            logs = keep * logs + noise
            at += setting.epoch
            moved = weights.copy()
            moved[:, :2] *= np.exp(logs)
            moved[:, 0] *= 1.0 + scenario.daily * np.sin(2 * np.pi * at / _DAY)
            yield moved

    return shares()


def _changed(baseline: Traffic, scenario: Scenario) -> Traffic:
    return Phase(scenario.learning, 0.0).traffic(baseline)


def _draw(
    rng: np.random.Generator, cells: Cells, n: int, runs: int, *, groups: bool
) -> GroupCounts:
    """Counts of one epoch by group and bin; one group in all unless `groups`."""
    if not groups:
        cells = Cells(
            cells.refused.sum(axis=-2, keepdims=True),
            cells.answered.sum(axis=-2, keepdims=True),
            cells.volume,
            cells.degenerate,
        )
    shape = (runs, *cells.refused.shape[-2:])
    return GroupCounts(
        rng.poisson(np.broadcast_to(n * cells.refused, shape)),
        rng.poisson(np.broadcast_to(n * cells.answered, shape)),
        np.full(runs, n, dtype=np.int64),
    )


def _pooled(counts: GroupCounts) -> WitnessCounts:
    return WitnessCounts(counts.refused.sum(axis=-2), counts.answered.sum(axis=-2), counts.n)


def _expected(cells: Cells, n: int, runs: int) -> WitnessCounts:
    """A reference so large that it is the truth."""
    r, c = (
        np.broadcast_to(table.sum(axis=-2), (runs, table.shape[-1]))
        for table in (cells.refused, cells.answered)
    )
    return WitnessCounts.of(np.rint(n * r), np.rint(n * c), np.full(runs, n))
