"""The timing benchmark runs, and measures what it says."""

from __future__ import annotations

import time

from benchmarks.throughput.endtoend import from_file
from benchmarks.throughput.stages import corpus, detection, stages
from benchmarks.throughput.timing import Stopwatch, Timed
from monitor.config import Config


def test_the_lap_with_the_least_cpu_counts() -> None:
    watch = Stopwatch("sleep", 10)
    for busy in (0.05, 0.0):
        with watch.lap():
            until = time.process_time() + busy
            while time.process_time() < until:
                pass
    assert watch.best.cpu < 0.05
    assert watch.laps[0].cpu >= 0.05


def test_rates_are_per_record() -> None:
    timed = Timed("x", records=100, wall=2.0, cpu=0.5)
    assert (timed.rate, timed.per_core, timed.microseconds) == (50.0, 200.0, 5_000.0)


def test_every_stage_handles_every_record() -> None:
    lines = corpus(60)
    timed = [*stages(lines, laps=1), detection(2_100, per_second=100.0, laps=1, learned=600)]
    assert [t.records for t in timed] == [60] * 5 + [2_100]
    assert all(t.cpu > 0 for t in timed)


def test_the_pipeline_stops_by_itself_at_the_end() -> None:
    batch = Config().pipeline.batch_size
    assert from_file(corpus(3 * batch)).records == batch
