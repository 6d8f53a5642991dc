"""The comparison on real answers: ``python -m benchmarks.detection.real --data DATA``.

The pairs of `benchmarks.detection.pairs`, judged by heads that saw neither their prompts nor
their family of models, as streams for every detector of `benchmarks.detection.comparison`: all
models side by side, a few runs of each. A shift of traffic changes how many of the records are
risky, and nothing else. All pairs share the edges that the first one learns; tau is each
model's own. Nothing is deduplicated: every record is drawn by itself.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.detection import pairs as d5
from benchmarks.detection.comparison import Drawn, compare
from benchmarks.detection.pairs import Pair, Verdicts
from benchmarks.detection.peers import FloatArray, IntArray, Stream
from benchmarks.detection.rows import table
from benchmarks.detection.streams import FLAGGED, HARMFUL, HEALTHY
from classifiers.training import public
from classifiers.training.encoder import Encoder
from classifiers.training.public import PublicError
from monitor.detection import Baseline, WitnessCounts, bins_of, events_of

SHIFTS: Final = {"share x0.5": 0.5, "share x0.05": 0.05, "share x2": 2.0, "share x5": 5.0}
"""Times as many risky prompts as before."""
LOST: Final = {"ablation": "left: ablation", "actadd_suppresses_refusal": "left: steering"}
N: Final = round(HARMFUL / d5.HARMFUL)
"""Interactions in an epoch."""


class Rates(NamedTuple):
    """Events per interaction by bin, (B,); bin 0 of `answered` is zero."""

    refused: FloatArray
    answered: FloatArray


class Model:
    """One pair with its baseline: what it and its users do, as rates."""

    def __init__(self, pair: Pair, baseline: Baseline, edges: FloatArray) -> None:
        self.pair = pair
        self._tau = baseline.tau
        self._edges = edges
        self._ordinary = self._rates(pair.ordinary)
        self._before, self._after = self._rates(pair.before), self._rates(pair.after)

    def _rates(self, verdicts: Verdicts) -> Rates:
        bins = bins_of(self._edges, verdicts.propensity)
        events = events_of(verdicts.outcome, verdicts.p_refused, bins, tau=self._tau)
        size = len(self._edges) + 1
        return Rates(
            *(
                np.bincount(bins[chosen], minlength=size) / len(bins)
                for chosen in (events.refused, events.answered)
            )
        )

    def rates(self, *, share: float = d5.HARMFUL, changed: bool = False) -> Rates:
        """With `share` of the prompts risky, answered as before or as by the changed model."""
        risky = self._after if changed else self._before
        return Rates(
            *(
                (1.0 - share) * ordinary + share * own
                for ordinary, own in zip(self._ordinary, risky, strict=True)
            )
        )


def models(every: Sequence[Pair], *, seed: int) -> list[Model]:
    """Each with its own tau and the edges of the first."""
    rng = np.random.default_rng(seed)
    baselines = [d5.lane_of(rng, pair).baseline for pair in every]
    edges = np.asarray(baselines[0].edges)
    return [Model(pair, baseline, edges) for pair, baseline in zip(every, baselines, strict=True)]


def stream(
    those: Sequence[Model], now: Sequence[Rates], *, runs: int, length: float, seed: int
) -> Drawn:
    """`runs` runs of each model, healthy first and then at the rates of `now`."""
    rng = np.random.default_rng(seed)
    healthy = [model.rates() for model in those]
    learned_n = round(d5.REFERENCE / d5.HARMFUL)
    before, after = round(HEALTHY / HARMFUL), round(length / HARMFUL)

    def draw(rates: Sequence[Rates], n: int, epochs: int) -> tuple[IntArray, IntArray]:
        refused, answered = (
            rng.poisson(n * np.repeat(np.stack(column), runs, axis=0)[:, None, :].repeat(epochs, 1))
            for column in zip(*rates, strict=True)
        )
        return refused, answered

    parts = [draw(healthy, N, before), draw(now, N, after)]
    refused, answered = (np.concatenate(tables, axis=1) for tables in zip(*parts, strict=True))
    learned = [table[:, 0] for table in draw(healthy, learned_n, 1)]
    n = np.full(len(learned[0]), learned_n, dtype=np.int64)
    volume = sum(r.refused + r.answered for r in healthy) / len(healthy)
    above = volume[::-1].cumsum()[::-1]
    flagged = int(np.flatnonzero(above[1:] <= 1.5 * FLAGGED)[0]) + 1
    return Stream(refused, answered, N, WitnessCounts(*learned, n), flagged), before


def drawn(
    every: Sequence[Pair], *, runs: int, length: float, seed: int
) -> tuple[dict[str, Drawn], Stream]:
    """Streams by name, and unchanged ones of four times the length."""
    streams: dict[str, Drawn] = {}
    by_change = {
        change: models([pair for pair in every if pair.change == change], seed=seed)
        for change in LOST
    }
    those = by_change[d5.CHANGES[0]]
    for i, (name, times) in enumerate(SHIFTS.items()):
        now = [model.rates(share=times * d5.HARMFUL) for model in those]
        streams[name] = stream(those, now, runs=runs, length=length, seed=seed + 1 + i)
    for i, (change, name) in enumerate(LOST.items()):
        now = [model.rates(changed=True) for model in by_change[change]]
        streams[name] = stream(by_change[change], now, runs=runs, length=length, seed=seed + 9 + i)
    same = [model.rates() for model in those]
    null, _ = stream(those, same, runs=runs, length=4 * length, seed=seed)
    return streams, null


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection.real")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("BACKSLIDE_DATA", "../shared/data"))
    )
    parser.add_argument("--cache", type=Path, default=Path(".cache/embeddings.npz"))
    parser.add_argument("--public", type=Path, default=Path(".cache/public"))
    parser.add_argument("--runs", type=int, default=3, help="of each model")
    parser.add_argument("--length", type=float, default=3_000.0, help="harmful prompts")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begun = time.monotonic()
    try:
        data = public.read_all(options.data, options.public)
        every = list(d5.pairs(data, Encoder(options.cache)))
    except (FileNotFoundError, ModuleNotFoundError, PublicError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    streams, null = drawn(every, runs=options.runs, length=options.length, seed=options.seed)
    for matched in (False, True):
        title = "Matched run length" if matched else "As shipped"
        print(f"### {title}\n\n{table(compare(streams, null, matched=matched))}", flush=True)
    print(f"{len(null.refused)} runs, seed {options.seed}, {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
