"""Dependence: a burst or a conversation is one event, not many.

Without this no guarantee for independent events holds. An event (a refusal, a risky answer, a
degenerate output) counts only if none of its keys was counted for the deployment on the same
UTC day of event time. Keys are 64 bits made by the classify step: source (conversation, user
or client), template of the prompt, and its first and last words. Here they get their domain:

- source keys are mixed with the hazard group: one source counts once a day *per group*;
- refusals and answers share keys; degenerate outputs have their own (source without group,
  template, first and last words), so that a gibberish answer neither uses up nor is hidden
  by the refusal that the same user got in the morning;
- boilerplate keys (a retrieval preamble, one gateway account for everybody), found when the
  baseline is learned, are dropped.

The rule is the same for the learning window and for live traffic. An event without any key
left always counts.

>>> raw = np.array([[7, 70, 0, 0], [7, 71, 0, 0], [8, 70, 0, 0]], dtype=np.uint64)
>>> keys = event_keys(raw, group=np.array([0, 0, 0]), degenerate=np.zeros(3, bool))
>>> result = deduplicate(keys, seen=set())
>>> result.counted.tolist(), result.capped, len(result.new)
([True, False, False], (1, 1), 2)
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.records import KeyColumn

KeyArray = NDArray[np.uint64]

_SECONDS_PER_DAY: Final = 86_400
_DEGENERATE: Final = np.uint64(0xD6E8FEB86659FD93)
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


class Deduplicated(NamedTuple):
    """Which candidate events count, and what to remember for the rest of the day."""

    counted: NDArray[np.bool_]
    """(m,)"""
    capped_by: NDArray[np.int8]
    """(m,) -1 counted, else the `KeyColumn` of the first key that was there already."""
    new: list[int]
    """Keys to store as seen on that day."""

    @property
    def capped(self) -> tuple[int, int]:
        """Events left out: (by source, by template, first or last words)."""
        by_source = int((self.capped_by == KeyColumn.SOURCE).sum())
        return by_source, int((~self.counted).sum()) - by_source


def day_of(times: ArrayLike) -> NDArray[np.int64]:
    """UTC day number of event times in seconds."""
    return np.floor_divide(np.asarray(times, dtype=np.float64), _SECONDS_PER_DAY).astype(np.int64)


def event_keys(
    keys: KeyArray,
    *,
    group: ArrayLike,
    degenerate: NDArray[np.bool_],
    boilerplate: Collection[int] = (),
) -> KeyArray:
    """Keys of candidate events, (m, 4) as they came, in their domains; 0 where there is none.

    `group` (m,) is the hazard group's code, `degenerate` (m,) the kind of event.
    """
    raw = np.ascontiguousarray(keys, dtype=np.uint64).reshape(-1, len(KeyColumn))
    absent = raw == 0
    if boilerplate:
        absent |= np.isin(raw, np.array(sorted(boilerplate), dtype=np.uint64))
    domain = np.broadcast_to(np.arange(1, len(KeyColumn) + 1, dtype=np.uint64), raw.shape).copy()
    by_group = np.asarray(group).astype(np.uint64) + np.uint64(1)
    domain[:, KeyColumn.SOURCE] += np.where(degenerate, np.uint64(0), by_group << np.uint64(8))
    mixed = _mix(raw ^ _mix(domain * _GOLDEN))
    mixed = np.where(degenerate[:, None], _mix(mixed ^ _DEGENERATE), mixed)
    mixed = np.where(mixed == 0, np.uint64(1), mixed)
    return np.where(absent, np.uint64(0), mixed)


def deduplicate(keys: KeyArray, seen: Collection[int]) -> Deduplicated:
    """Decide for candidate events of one day, in order, which of them count.

    `keys` (m, 4) from `event_keys`; `seen` those of them that were counted earlier that day.
    Only the keys of events that count are remembered.
    """
    known = set(seen)
    capped_by = np.full(len(keys), -1, dtype=np.int8)
    new: list[int] = []
    for i, row in enumerate(keys.tolist()):
        hit = next((column for column, key in enumerate(row) if key and key in known), -1)
        capped_by[i] = hit
        if hit < 0:
            fresh = [key for key in row if key]
            known.update(fresh)
            new.extend(fresh)
    return Deduplicated(capped_by < 0, capped_by, new)


def counted_by_period(keys: KeyArray, period: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which events of a whole window count, (m,), if keys are forgotten after each `period`."""
    counted = np.zeros(len(keys), dtype=np.bool_)
    for value in np.unique(period):
        inside = period == value
        counted[inside] = deduplicate(keys[inside], ()).counted
    return counted


def _mix(x: KeyArray) -> KeyArray:
    """Finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64 bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
