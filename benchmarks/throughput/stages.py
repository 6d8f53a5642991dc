"""Every stage of the pipeline alone, beside the vectoriser of scikit-learn."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

from sklearn.feature_extraction.text import HashingVectorizer

from benchmarks.throughput.timing import Timed, best_of
from classifiers import LinearClassifier
from monitor.demo.scenarios import traffic
from monitor.detection import Budget
from monitor.pipeline.classify import ClassifyStep
from monitor.pipeline.detect import DetectStep
from monitor.pipeline.learning import WindowRule
from monitor.records.formats import parse
from monitor.sources.base import RawBatch, RawRecord
from tests.unit.pipeline.streams import stream, verdicts

BATCH = 1_024
LEARNED = 10_000
"""Verdicts in the learning window, which are not timed."""


def corpus(n: int) -> list[bytes]:
    """`n` records of made-up chat traffic, as lines of native JSON."""
    return [json.dumps(record).encode() for record in islice(cycle(traffic("unalignment")), n)]


def stages(lines: Sequence[bytes], *, laps: int) -> Iterator[Timed]:
    """Decode, vectorise, classify."""
    n = len(lines)
    interactions = [parse(line) for line in lines]
    texts = [interaction.response or "" for interaction in interactions]
    classifier = LinearClassifier.load()
    step = ClassifyStep(classifier, "benchmark", b"key")
    words = HashingVectorizer(ngram_range=(1, 3), n_features=2**18)

    def classify(run: bool) -> None:
        for start in range(0, n, BATCH):
            if run:
                raw = [RawRecord(v, 0, i) for i, v in enumerate(lines[start : start + BATCH])]
                step.run(RawBatch(records=raw))
            else:
                classifier.judge(interactions[start : start + BATCH])

    yield best_of("json.loads", n, lambda: [json.loads(line) for line in lines], laps=laps)
    yield best_of("parse", n, lambda: [parse(line) for line in lines], laps=laps)
    yield best_of(
        "scikit-learn HashingVectorizer, words 1-3, answers",
        n,
        lambda: [words.transform(texts[s : s + BATCH]) for s in range(0, n, BATCH)],
        laps=laps,
    )
    yield best_of("classifier, all heads", n, lambda: classify(False), laps=laps)
    yield best_of("classify step (parse, judge, keys)", n, lambda: classify(True), laps=laps)


def detection(
    n: int, *, per_second: float, deployments: int = 1, laps: int = 3, learned: int = LEARNED
) -> Timed:
    """The detect step alone: `n` verdicts at `per_second` over `deployments`, after each has
    learned from `learned` of its own."""
    names = [f"deployment-{i % deployments}" for i in range(learned * deployments)]
    seen: dict[tuple[str, int], set[int]] = defaultdict(set)
    step = DetectStep(
        budget=Budget(expected_deployments=deployments),
        rule=WindowRule(records=learned),
        auto_approve=True,
        seen=lambda name, day, keys: seen[name, day].intersection(keys),
        breaker_records=1_000,
        breaker_share=0.5,
    )

    def feed(count: int, seed: int, start: float) -> list[object]:
        wanted = list(islice(cycle(names), count))
        batch = verdicts(count, seed=seed, rate=per_second, start=start, deployments=wanted)
        return list(stream(batch).polls(range(BATCH, count, BATCH)))

    def run(polls: list[object]) -> None:
        for poll in polls:
            for key, new in step.run("benchmark", poll).seen.items():  # type: ignore[arg-type]
                seen[key] |= new

    at = 1_772_452_800.0
    run(feed(len(names), 0, at))
    at += len(names) / per_second
    ready = [feed(n, 1 + lap, at + lap * n / per_second) for lap in range(laps)]
    queue = iter(ready)
    title = f"detect, {per_second:,.0f} a second over {deployments:,} deployment"
    return best_of(
        f"{title}{'s' if deployments > 1 else ''}", n, lambda: run(next(queue)), laps=laps
    )
