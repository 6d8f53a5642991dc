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
from benchmarks.throughput.growth import deployments, soak
from benchmarks.throughput.stages import corpus, detection, stages
from benchmarks.throughput.timing import Timed

HEAD = f"{'':52} {'records/s':>10} {'per core':>10} {'us/record':>10}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--laps", type=int, default=3, help="of which the fastest counts")
    parser.add_argument("--soak", type=float, default=60.0, help="seconds; 0: none; F4: 1800")
    parser.add_argument("--no-kafka", action="store_true", help="without a broker")
    parser.add_argument("--deployments", type=int, nargs="*", default=[1, 10, 100, 1_000])
    parser.add_argument("--json", help="write the rows to this file, one JSON object a line")
    options = parser.parse_args()
    lines = corpus(options.records)
    print(f"{len(lines):,} records, {sum(map(len, lines)) / len(lines):.0f} bytes each")
    print(HEAD)
    rows: dict[str, Timed] = {}

    def show(timed: Timed) -> Timed:
        rows[timed.name] = timed
        numbers = f"{timed.rate:10,.0f} {timed.per_core:10,.0f} {timed.microseconds:10.1f}"
        print(f"{timed.name:52} {numbers}", flush=True)
        return timed

    _, _, words, classifier, _ = [show(t) for t in stages(lines, laps=options.laps)]
    slow = show(detection(options.records, per_second=10.0, laps=options.laps))
    fast = show(detection(options.records, per_second=1_000.0, laps=options.laps))
    whole = show(from_file(lines))
    print()
    print(f"classifier / scikit-learn vectoriser   {ratio(classifier, words)}   (C8: .7)")
    print(f"detect, verdicts per core-second       {slow.per_core:,.0f} to {fast.per_core:,.0f}"
          "   (F4: 200,000)")  # fmt: skip
    if not options.no_kafka:
        print(HEAD)
        bare, *others = [show(t) for t in from_kafka(lines, laps=options.laps)]
        whole = others[-1]
        slower = min(bare, classifier, key=lambda t: t.per_core)
        print(f"pipeline / slower of bare consumer and classifier ({slower.name})"
              f"   {ratio(whole, slower)}   (F3: .5)")  # fmt: skip
    if options.deployments:
        print(HEAD)
        each = tuple(options.deployments)
        for timed in deployments(each, options.records, laps=1):
            show(timed)
    if options.soak:
        grown = soak(options.soak)
        memory = f"{grown.warm / 2**20:.0f} MiB to {grown.end / 2**20:.0f} MiB"
        print(
            f"soak of {grown.seconds:.0f} s, {grown.records:,} records: {memory},"
            f" {grown.growth:+.1%}   (F4: under 5 % in 30 minutes)"
        )
    if options.json:
        with open(options.json, "w") as file:
            file.writelines(json.dumps(dataclasses.asdict(t)) + "\n" for t in rows.values())
    return 0


def ratio(one: Timed, other: Timed) -> str:
    return f"{one.per_core / other.per_core:.2f}"


sys.exit(main())
