"""Records per second and CPU per record, as ratios within one run.

``python -m benchmarks.throughput``. Ratios compare CPU, which other work on the machine does
not change; records per second of wall time stand beside.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from benchmarks.throughput.endtoend import from_file, from_kafka
from benchmarks.throughput.growth import Soak, deployments, soak
from benchmarks.throughput.stages import corpus, detection, stages
from benchmarks.throughput.timing import Timed
from monitor.config.values import parse_duration

HEAD = f"{'':52} {'records/s':>10} {'per core':>10} {'us/record':>10}"


PARTS = ("stages", "kafka", "deployments", "soak")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--records", type=int, default=40_000)
    parser.add_argument("--laps", type=int, default=3, help="of which the fastest counts")
    parser.add_argument("--soak", type=parse_duration, default=60.0, help="how long; F4: 30m")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts")
    parser.add_argument("--deployments", type=int, nargs="*", default=[1, 10, 100, 1_000])
    parser.add_argument("--json", help="write the rows to this file, one JSON object a line")
    options = parser.parse_args()
    table = Table()
    if {"stages", "kafka"} & set(options.only):
        throughput(table, options.records, options.laps, kafka="kafka" in options.only)
    if "deployments" in options.only and options.deployments:
        print(HEAD)
        for timed in deployments(tuple(options.deployments), options.records, laps=1):
            table.show(timed)
    if "soak" in options.only and options.soak:
        tell(soak(options.soak, note))
    if options.json:
        with open(options.json, "w") as file:
            file.writelines(json.dumps(dataclasses.asdict(t)) + "\n" for t in table.rows)
    return 0


class Table:
    """Rows as they are measured."""

    def __init__(self) -> None:
        self.rows: list[Timed] = []

    def show(self, timed: Timed) -> Timed:
        self.rows.append(timed)
        numbers = f"{timed.rate:10,.0f} {timed.per_core:10,.0f} {timed.microseconds:10.1f}"
        print(f"{timed.name:52} {numbers}", flush=True)
        return timed


def throughput(table: Table, records: int, laps: int, *, kafka: bool) -> None:
    """Every stage alone, then all of them in a row: bars C8, F4, F3."""
    lines = corpus(records)
    print(f"{len(lines):,} records, {sum(map(len, lines)) / len(lines):.0f} bytes each")
    print(HEAD)
    _, _, words, classifier, _ = [table.show(t) for t in stages(lines, laps=laps)]
    slow = table.show(detection(records, per_second=10.0, laps=laps))
    fast = table.show(detection(records, per_second=1_000.0, laps=laps))
    table.show(from_file(lines))
    print()
    print(f"classifier / scikit-learn vectoriser   {ratio(classifier, words)}   (C8: .7)")
    print(f"detect, verdicts per core-second       {slow.per_core:,.0f} to {fast.per_core:,.0f}"
          "   (F4: 200,000)")  # fmt: skip
    if kafka:
        print(HEAD)
        bare, *_, whole = [table.show(t) for t in from_kafka(lines, laps=laps)]
        slower = min(bare, classifier, key=lambda t: t.per_core)
        print(f"pipeline / slower of bare consumer and classifier ({slower.name})"
              f"   {ratio(whole, slower)}   (F3: .5)")  # fmt: skip


def note(passed: float, written: int, held: int) -> None:
    """Progress of a soak."""
    minutes, mebibytes = passed / 60, held / 2**20
    print(f"soak: {minutes:5.1f} min {written:12,} records {mebibytes:7.1f} MiB", file=sys.stderr)


def tell(grown: Soak) -> None:
    memory = f"{grown.warm / 2**20:.0f} MiB to {grown.end / 2**20:.0f} MiB"
    print(
        f"soak of {grown.seconds:.0f} s, {grown.records:,} records: {memory},"
        f" {grown.growth:+.1%}   (F4: under 5 % in 30 minutes)"
    )


def ratio(one: Timed, other: Timed) -> str:
    return f"{one.per_core / other.per_core:.2f}"


sys.exit(main())
