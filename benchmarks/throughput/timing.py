"""Wall and CPU time of doing something to records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timed:
    """One row of the table. `cpu` is of this process, all threads; both in seconds."""

    name: str
    records: int
    wall: float
    cpu: float

    @property
    def rate(self) -> float:
        """Records per second of wall time."""
        return self.records / self.wall

    @property
    def per_core(self) -> float:
        """Records per second of CPU: what one core does that nobody else uses."""
        return self.records / self.cpu

    @property
    def microseconds(self) -> float:
        """CPU per record."""
        return 1e6 * self.cpu / self.records


class Stopwatch:
    """Times `laps` of the same work; the one with the least CPU counts."""

    def __init__(self, name: str, records: int) -> None:
        self.name, self.records = name, records
        self.laps: list[Timed] = []

    @contextmanager
    def lap(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        self.laps.append(Timed(self.name, self.records, wall, cpu))

    @property
    def best(self) -> Timed:
        return min(self.laps, key=lambda lap: lap.cpu)


def best_of(name: str, records: int, work: Callable[[], object], *, laps: int) -> Timed:
    """Time `work`, which handles `records` records."""
    watch = Stopwatch(name, records)
    for _ in range(laps):
        with watch.lap():
            work()
    return watch.best
