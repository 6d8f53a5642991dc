"""Memory over a soak, and what another deployment costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

from benchmarks.throughput.stages import detection
from benchmarks.throughput.timing import Timed
from monitor.demo.scenarios import HEALTHY, RATE, START, traffic
from monitor.records import format_time

WARM = 0.2
"""Share of a soak after which memory is compared with its end."""
_CHUNK = 1_000
_MINUTE = 60.0


class Soak(NamedTuple):
    """Resident memory of a soak."""

    records: int
    points: Sequence[tuple[float, int]]
    """Seconds since the start, bytes."""

    @property
    def seconds(self) -> float:
        return self.points[-1][0]

    @property
    def warm(self) -> int:
        return self.at(WARM * self.seconds)

    @property
    def end(self) -> int:
        return self.points[-1][1]

    @property
    def growth(self) -> float:
        return self.end / self.warm - 1.0

    def at(self, seconds: float) -> int:
        """Bytes so many seconds after the start."""
        return next(size for passed, size in self.points if passed >= seconds)


def soak(seconds: float, show: Callable[[float, int, int], None] = lambda *_: None) -> Soak:
    """Feed healthy traffic to ``backslide run --source -`` as fast as it reads.

    `show` is told once a minute the seconds passed, the records written and the bytes held.
    """
    program = str(Path(sys.executable).with_name("backslide"))
    with tempfile.TemporaryDirectory(prefix="backslide-bench-") as folder:
        words = ["run", "--source", "-", "--store", f"{folder}/store.db", "--baseline-window"]
        with subprocess.Popen(
            [program, "--log-level", "error", *words, "10000"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder,
            env={**os.environ, "BACKSLIDE_ALERTS__LOG__ENABLED": "false"},
        ) as process:  # fmt: skip
            begun, points, due = time.monotonic(), list[tuple[float, int]](), _MINUTE
            endless = _healthy()
            for chunk in count(1):
                process.stdin.writelines(islice(endless, _CHUNK))  # type: ignore[union-attr]
                passed = time.monotonic() - begun
                points.append((passed, _resident(process.pid)))
                if passed >= due:
                    show(passed, chunk * _CHUNK, points[-1][1])
                    due += _MINUTE
                if passed >= seconds:
                    break
            answer, _ = process.communicate()
    return Soak(json.loads(answer.splitlines()[-1])["consumed"], points)


def _healthy() -> Iterator[bytes]:
    """The same healthy traffic over and over, in new conversations, other words and later: with
    the same words deduplication would count none of it twice on one day."""
    bodies, prompts = list[bytes](), list[str]()
    for record in islice(traffic("unalignment"), HEALTHY):
        del record["timestamp"], record["conversation"]
        prompts.append(json.dumps(record.pop("prompt"))[1:-1])
        bodies.append(json.dumps(record).encode()[1:])
    for i in count():
        at, prompt = format_time(START + i / RATE), prompts[i % HEALTHY]
        head = f'{{"timestamp": "{at}", "conversation": "c-{i}", "prompt": "{_word(i)}: {prompt}", '
        yield head.encode() + bodies[i % HEALTHY] + b"\n"


def _word(i: int) -> str:
    """Letters that tell one round from another."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(i // HEALTHY))


def _resident(pid: int) -> int:
    statm = Path(f"/proc/{pid}/statm").read_text()
    return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def deployments(counts: tuple[int, ...], n: int, *, laps: int) -> Iterator[Timed]:
    """The detect step with the same traffic spread over ever more deployments."""
    for many in counts:
        yield detection(n, per_second=1_000.0, deployments=many, laps=laps, learned=500)
