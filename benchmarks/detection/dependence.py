"""Bursts and conversations, with and without deduplication (bar D4).

Independent events are an assumption that users break: one conversation asks four times, one
jailbreak is pasted five hundred times. Each scenario is run on the conditional detector, once
on all events and once on those that `monitor.detection.dedup` lets count; the reference goes
the same way. ``python -m benchmarks.detection.dependence [runs]``
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.strata import HEALTHY, NOMINAL, SHARES
from monitor.detection import event_keys
from monitor.detection.conditional import ConditionalSR, StratumCounts
from monitor.detection.dedup import counted_by_period

EPOCH: Final = 20
"""Harmful prompts per epoch."""
DAY: Final = 1000
"""Harmful prompts per day."""
REFERENCE: Final = 2000


@dataclass(frozen=True, slots=True)
class Users:
    """How far users are from sending independent prompts."""

    chatty: float = 0.0
    """Share of sources that send 2 to 4 prompts of one category with one common outcome."""
    bursts: int = 0
    """Bursts of 500 jailbreaks that are answered, all in one category, spread over a day."""
    accounts: int = 1
    """Accounts behind one burst."""
    same_text: bool = True
    """Whether a burst repeats one template."""


SCENARIOS: Final[Mapping[str, Users]] = MappingProxyType(
    {
        "independent": Users(),
        "conversations": Users(chatty=0.15),
        "bursts, one user, one text": Users(bursts=5),
        "bursts, 20 accounts, one text": Users(bursts=5, accounts=20),
        "bursts, one user, many texts": Users(bursts=5, same_text=False),
    }
)


class Stream(NamedTuple):
    """Events in order, columns (m,)."""

    position: NDArray[np.int64]
    """Harmful prompts before this one; the bursts come on top."""
    category: NDArray[np.int64]
    good: NDArray[np.bool_]
    keys: NDArray[np.uint64]
    """(m, 4)"""


def stream(rng: np.random.Generator, users: Users, length: int, *, left: float = 1.0) -> Stream:
    """`length` harmful prompts, and the bursts; the share `left` of refusals after half."""
    follows = np.zeros(length, dtype=np.bool_)
    start = 0
    while users.chatty and start < length:
        size = int(rng.integers(2, 5)) if rng.random() < users.chatty else 1
        follows[start + 1 : start + size] = True
        start += size
    source = np.cumsum(~follows)
    first = np.flatnonzero(~follows)[source - 1]
    category = rng.choice(len(SHARES), length, p=SHARES)[first]
    rate = HEALTHY[category] * np.where(np.arange(length) < length // 2, 1.0, left)
    good = (rng.random(length)[first] < rate[first]) if users.chatty else rng.random(length) < rate
    keys = np.zeros((length, 4), dtype=np.uint64)
    keys[:, 0], keys[:, 1] = source, 10_000_000 + np.arange(length)
    parts = [Stream(np.arange(length), category, good, keys)]
    for burst in range(users.bursts):
        at = int(rng.integers(0, length - DAY // 2))
        extra = np.zeros((500, 4), dtype=np.uint64)
        extra[:, 0] = 20_000_000 + 100 * burst + np.arange(500) % users.accounts
        extra[:, 1] = 30_000_000 + 1000 * burst + (0 if users.same_text else np.arange(500))
        parts.append(
            Stream(
                np.sort(rng.integers(at, at + DAY // 2, 500)),
                np.full(500, rng.choice(len(SHARES), p=SHARES)),
                np.zeros(500, dtype=np.bool_),
                extra,
            )
        )
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Stream(*(column[order] for column in columns))


def counts(events: Stream, length: int, *, deduplicated: bool) -> StratumCounts:
    """By epoch and category, (epochs, C)."""
    kept = np.ones(len(events.position), dtype=np.bool_)
    if deduplicated:
        keys = event_keys(
            events.keys, group=events.category, degenerate=np.zeros(len(kept), dtype=np.bool_)
        )
        kept = counted_by_period(keys, events.position // DAY)
    cell = (events.position // EPOCH) * len(SHARES) + events.category
    size = (length // EPOCH) * len(SHARES)
    good, n = (
        np.bincount(cell[chosen], minlength=size).reshape(-1, len(SHARES))
        for chosen in (kept & events.good, kept)
    )
    return StratumCounts(good, n)


def alarms(
    users: Users, *, runs: int, seed: int, length: int, deduplicated: bool, left: float = 1.0
) -> NDArray[np.float64]:
    """First alarm of each run, harmful prompts after the start of the stream; inf: none."""
    rng = np.random.default_rng(seed)
    independent = Users(chatty=users.chatty)
    drawn = [
        (
            counts(stream(rng, independent, REFERENCE), REFERENCE, deduplicated=deduplicated),
            counts(stream(rng, users, length, left=left), length, deduplicated=deduplicated),
        )
        for _ in range(runs)
    ]
    detector = ConditionalSR(
        StratumCounts(
            np.stack([reference.good.sum(axis=0) for reference, _ in drawn]),
            np.stack([reference.n.sum(axis=0) for reference, _ in drawn]),
        )
    )
    good, n = (np.stack([getattr(live, name) for _, live in drawn]) for name in ("good", "n"))
    first = np.full(runs, np.inf)
    for epoch in range(length // EPOCH):
        detector.update(StratumCounts(good[:, epoch], n[:, epoch]), EPOCH / NOMINAL)
        alarm = detector.evidence() >= 0.0
        first = np.where(alarm & np.isinf(first), (epoch + 1.0) * EPOCH, first)
    return first


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = secrets.randbits(32)
    print(f"seed {seed}, {runs} runs; P(false alarm) in 20,000 harmful prompts, budget .10")
    failed = 0
    for index, (name, users) in enumerate(SCENARIOS.items()):
        raw, kept = (
            float(
                np.isfinite(
                    alarms(users, runs=runs, seed=seed + index, length=20_000, deduplicated=each)
                ).mean()
            )
            for each in (False, True)
        )
        failed += kept > 0.10
        print(f"{name:32} all events {raw:.2f}   deduplicated {kept:.2f}", flush=True)
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
