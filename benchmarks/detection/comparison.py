"""Ours against what a user would pick instead: ``python -m benchmarks.detection.comparison``.

Time is counted in harmful prompts of the baseline's traffic (2 % of it); 200,000 of them are
taken as 90 days, so an hour is 93. Two views:

- *as shipped*: every detector with the settings it comes with;
- *matched*: the most sensitive setting with which it pages at most once in 90 days of unchanged
  traffic, measured. Ours keeps its stated budget, which it does not use up: its delays are
  those of a detector with a longer run length than its peers have.

A page on a shift of traffic is false. Needs river. ``--out docs/img`` draws the plots of the
documentation.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.peers import (
    PEERS,
    Alarms,
    Peer,
    Signal,
    Stream,
    cost,
    two_witnesses,
)
from benchmarks.detection.scenarios import CHANGED, UNCHANGED, Phase, Scenario
from benchmarks.detection.traffic import TUNED, Population, Traffic
from monitor.detection import WitnessCounts

DAYS_90: Final = 200_000.0
HARMFUL: Final = DAYS_90 / (90 * 24 * 20)
"""Harmful prompts in an epoch of three minutes."""
REFERENCE: Final = 500.0
HEALTHY: Final = 500.0
FLAGGED: Final = 0.02
NULL: Final = "null"

QUICK: Final = (
    "share x0.5", "share x2", "group mix reversed", "new use case 30 %",
    "look-alikes unseen 5 %", "jailbreak wave 10 %",
)  # fmt: skip
CHANGES: Final = ("left .05", "left .2", "left .5")

OURS: Final = Peer(
    "two witnesses (Backslide)", ("both counts",), two_witnesses,
    HARMFUL / DAYS_90, (HARMFUL / DAYS_90,), "this project",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One detector on one rate, in one view."""

    name: str
    signal: Signal
    setting: float
    matched: bool
    """Whether some setting pages at most once in 90 days of unchanged traffic."""
    null: float
    """Pages in 90 days of unchanged traffic."""
    false: dict[str, float]
    """Share of runs that page, by shift of traffic."""
    delay: dict[str, float]
    """Median harmful prompts to the page, by change of the model; inf: under half find it."""
    microseconds: float
    """CPU per interaction."""


def streams(scenario: Scenario, *, runs: int, length: float, seed: int) -> tuple[Stream, int]:
    """`runs` runs, `length` harmful prompts long after a healthy stretch, and its epochs."""
    rng = np.random.default_rng(seed)
    baseline, n = Traffic(), round(HARMFUL / Traffic().harmful)
    reference_n = round(REFERENCE / baseline.harmful)
    population = Population(baseline, TUNED, reference_n=reference_n)
    normal = population.cells(baseline)

    def draw(cells: tuple[NDArray[np.float64], ...], times: int) -> tuple[NDArray[np.int64], ...]:
        shape = (runs, times, len(normal.volume))
        return tuple(rng.poisson(np.broadcast_to(n * rates, shape)) for rates in cells)

    def pooled(traffic: Traffic) -> tuple[NDArray[np.float64], ...]:
        cells = population.cells(traffic)
        return cells.refused.sum(axis=0), cells.answered.sum(axis=0)

    before = round(min(HEALTHY, scenario.healthy) / HARMFUL)
    parts = [draw(pooled(baseline), before)]
    for phase in scenario.phases:
        epochs = round(min(phase.harmful, length) / HARMFUL)
        parts.append(draw(pooled(phase.traffic(baseline)), epochs))
    refused, answered = (np.concatenate(tables, axis=1) for tables in zip(*parts, strict=True))
    learned = pooled(Phase(scenario.learning, 0.0).traffic(baseline))
    reference = WitnessCounts(
        *(rng.poisson(reference_n * rates, (runs, len(rates))) for rates in learned),
        np.full(runs, reference_n, dtype=np.int64),
    )
    above = normal.volume[::-1].cumsum()[::-1] / normal.volume.sum()
    flagged = int(np.flatnonzero(above <= 1.1 * FLAGGED)[0])
    return Stream(refused, answered, n, reference, flagged), before


def pages(alarms: Alarms) -> int:
    """Alarms that begin; one that lasts is one page."""
    begins = alarms.copy()
    begins[:, 1:] &= ~alarms[:, :-1]
    return int(begins.sum())


def compare(
    shifts: Sequence[str], *, runs: int, length: float, seed: int, matched: bool
) -> list[Row]:
    """One row for each detector and rate; ours first."""
    null, _ = streams(UNCHANGED[NULL], runs=runs, length=4 * length, seed=seed)
    time_90 = null.refused.shape[0] * null.refused.shape[1] * HARMFUL / DAYS_90
    scenarios = {name: UNCHANGED[name] for name in shifts} | {n: CHANGED[n] for n in CHANGES}
    drawn = {
        name: streams(scenario, runs=runs, length=length, seed=seed + 1 + i)
        for i, (name, scenario) in enumerate(scenarios.items())
    }
    rows = []
    for peer in (OURS, *PEERS):
        for signal in peer.signals:
            setting, rate, fits = _setting(peer, signal, null, time_90, matched=matched)
            false, delay = {}, {}
            for name, (stream, start) in drawn.items():
                alarms = peer.alarms(stream, signal, setting)
                if name in CHANGES:
                    delay[name] = _median(alarms[:, start:])
                else:
                    false[name] = float(alarms[:, start:].any(axis=1).mean())
            microseconds = cost(peer, drawn[CHANGES[0]][0], signal)
            rows.append(Row(peer.name, signal, setting, fits, rate, false, delay, microseconds))
    return rows


def _setting(
    peer: Peer, signal: Signal, null: Stream, time_90: float, *, matched: bool
) -> tuple[float, float, bool]:
    """(setting, pages in 90 days, whether that is at most one)."""
    setting, rate = peer.shipped, 0.0
    for setting in peer.settings if matched else (peer.shipped,):
        rate = pages(peer.alarms(null, signal, setting)) / time_90
        if rate <= 1.0:
            break
    return setting, rate, rate <= 1.0


def _median(alarms: Alarms) -> float:
    """Median time of the first alarm of each run, harmful prompts."""
    first = np.where(alarms.any(axis=1), alarms.argmax(axis=1) + 1.0, np.inf)
    return float(np.median(first)) * HARMFUL


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown. The shortest delay of a column is bold, ours or not."""
    shifts, changes = list(rows[0].false), list(rows[0].delay)
    head = ["detector", "watches", "setting", "pages / 90 d, nothing changed"]
    head += [f"false: {name}" for name in shifts] + [f"delay: {name}" for name in changes]
    lines = [[*head, "us / interaction"], ["---"] * (len(head) + 1)]
    best = {name: min(row.delay[name] for row in rows) for name in changes}
    for row in rows:
        null = f"{row.null:.1f}" + ("" if row.matched else " (too many)")
        cells = [row.name, row.signal, f"{row.setting:.3g}", null]
        cells += [f"{row.false[name]:.2f}" for name in shifts]
        for name in changes:
            delay = row.delay[name]
            text = f"{delay:.0f}" if np.isfinite(delay) else "not found"
            cells.append(f"**{text}**" if delay == best[name] < np.inf else text)
        lines.append([*cells, f"{row.microseconds:.3f}"])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection.comparison")
    parser.add_argument("--quick", action="store_true", help="minutes instead of an hour")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for tables.md and the plots")
    options = parser.parse_args()
    runs = options.runs or (20 if options.quick else 60)
    length = 3_000.0 if options.quick else 20_000.0
    shifts = QUICK if options.quick else [name for name in UNCHANGED if "wander" not in name]
    shifts = [name for name in shifts if name != NULL]
    begun, written, views = time.monotonic(), [], []
    for matched in (False, True):
        rows = compare(shifts, runs=runs, length=length, seed=options.seed, matched=matched)
        title = "Matched run length" if matched else "As shipped"
        written.append(f"### {title}\n\n{table(rows)}")
        views.append(rows)
        print(written[-1], flush=True)
    print(f"{runs} runs, seed {options.seed}, {time.monotonic() - begun:.0f} s")
    if options.out:
        from benchmarks.detection.plots import one_rate, shares

        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "tables.md").write_text("\n".join(written))
        shares(views[1], options.out / "comparison.svg")
        one_rate(options.out / "one-rate.svg", seed=options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
