"""False pages and delays of the detectors, from counts: ``python -m benchmarks.detection``.

Exit status 0 if every gated cell meets its bar, 3 if one does not.
"""

from __future__ import annotations

import argparse
import json
import math
import secrets
import sys
import time

from benchmarks.detection.cells import Result, cells, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all settings, pairs and groups")
    parser.add_argument("--runs", type=int, help="runs a cell; 300 with --full, else 40")
    parser.add_argument("--seed", type=int, help="drawn and printed if not given")
    parser.add_argument("--only", default="", help="cells whose line contains this text")
    parser.add_argument("--json", help="write the results to this file, one JSON object a line")
    options = parser.parse_args()
    runs = options.runs or (300 if options.full else 40)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    print(f"seed {seed}, {runs} runs a cell; times in harmful prompts")
    print(f"{'setting':24} {'cell':48} {'page':>6} {'delay':>6} {'bound':>6} "
          f"{'run.':>5} {'W1':>5} {'W2':>5} {'spike':>6}")  # fmt: skip
    failures: list[Result] = []
    out = open(options.json, "w") if options.json else None  # noqa: SIM115
    begun = time.monotonic()
    done = 0
    for index, cell in enumerate(cells(full=options.full)):
        if options.only not in f"{cell.setting_name} {cell.kind} {cell.name}":
            continue
        result = run(cell, runs=runs, seed=seed + index)
        done += 1
        print(line(result), flush=True)
        if out:
            out.write(json.dumps(record(result)) + "\n")
        if result.failure:
            failures.append(result)
    if out:
        out.close()
    print(f"{done} cells, {len(failures)} over their bar, {time.monotonic() - begun:.0f} s")
    for result in failures:
        print(f"  {result.cell.setting_name}: {result.cell.name}: {result.failure}")
    return 3 if failures else 0


def line(result: Result) -> str:
    def number(value: float) -> str:
        return f"{value:.0f}" if math.isfinite(value) else "-"

    verdict = "" if result.cell.gated else "  (reported)"
    return (
        f"{result.cell.setting_name:24} {result.cell.name:48} {result.paged:6.3f} "
        f"{number(result.delay):>6} {number(result.bound):>6} {result.running:5.2f} "
        f"{result.refused:5.2f} {result.answered:5.2f} {result.spiked:6.3f}"
        f"{'  FAILS' if result.failure else verdict}"
    )


def record(result: Result) -> dict[str, object]:
    measured = {
        name: value if math.isfinite(value) else None
        for name in ("paged", "delay", "bound", "running", "refused", "answered", "spiked",
                     "spike_delay")
        for value in [getattr(result, name)]
    }  # fmt: skip
    cell = result.cell
    about = {"setting": cell.setting_name, "cell": cell.name, "kind": cell.kind}
    return about | measured | {"gated": cell.gated, "failure": result.failure}


if __name__ == "__main__":
    sys.exit(main())
