"""What the verdicts of a deployment count as: events, deduplicated day by day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from monitor.detection import (
    Baseline,
    Events,
    IntArray,
    Window,
    day_of,
    deduplicate,
    event_keys,
    events_of,
)
from monitor.pipeline.detected import Detected
from monitor.pipeline.event_time import EPOCH_SECONDS
from monitor.records import GROUPS, KeyColumn, VerdictBatch

Seen = Callable[[str, int, Sequence[int]], set[int]]


@dataclass(frozen=True, slots=True)
class Live:
    """Rows of a batch that belong to one deployment, in order; every array (n,)."""

    batch: VerdictBatch
    rows: IntArray
    at: NDArray[np.float64]
    epochs: IntArray
    places: IntArray


class Kind(IntEnum):
    """What a record counts as: one of these and no other. Those before `BLOCKED` are judged."""

    NO_EVENT = 0
    REFUSED = 1
    ANSWERED = 2
    DEGENERATE = 3
    CAPPED_BY_SOURCE = 4
    """An event that deduplication left out."""
    CAPPED_BY_TEXT = 5
    BLOCKED = 6
    UNJUDGED = 7


@dataclass(frozen=True, slots=True)
class Counted:
    """What the rows count as; both arrays (n,)."""

    kinds: IntArray
    cells: IntArray
    """Index into a table (kind, hazard group, propensity bin)."""
    shape: tuple[int, int, int]
    """Of that table."""


def count_as(baseline: Baseline, live: Live, seen: Seen, out: Detected) -> Counted:
    """Find the events among `live` and decide, day by day, which of them count."""
    batch, rows = live.batch, live.rows
    bins, group = baseline.bin_of(batch.propensity[rows]), batch.group[rows]
    events = events_of(batch.outcome[rows], batch.p_refused[rows], bins, tau=baseline.tau)
    capped_by = _capped(baseline, events, batch.keys[rows], group, live.at, seen, out)
    kinds = _kinds(events, capped_by)
    shape = len(Kind), len(GROUPS), baseline.bins
    return Counted(kinds, np.ravel_multi_index((kinds, group, bins), shape), shape)


def _kinds(events: Events, capped_by: NDArray[np.int8]) -> IntArray:
    """`Kind` of each of n records."""
    kinds = np.full(len(capped_by), Kind.NO_EVENT, dtype=np.int64)
    for kind, of in (
        (Kind.REFUSED, events.refused),
        (Kind.ANSWERED, events.answered),
        (Kind.DEGENERATE, events.degenerate),
        (Kind.CAPPED_BY_TEXT, capped_by > KeyColumn.SOURCE),
        (Kind.CAPPED_BY_SOURCE, capped_by == KeyColumn.SOURCE),
        (Kind.BLOCKED, events.blocked),
        (Kind.UNJUDGED, events.unjudged),
    ):
        kinds[of] = kind
    return kinds


def _capped(
    baseline: Baseline,
    events: Events,
    keys: NDArray[np.uint64],
    group: NDArray[np.uint8],
    at: NDArray[np.float64],
    seen: Seen,
    out: Detected,
) -> NDArray[np.int8]:
    """For each of n records -1, or the `KeyColumn` for which its event does not count."""
    candidates = np.flatnonzero(events.candidates)
    mixed = event_keys(
        keys[candidates],
        group=group[candidates],
        degenerate=events.degenerate[candidates],
        boilerplate=baseline.boilerplate,
    )
    days = day_of(at[candidates])
    capped_by = np.full(len(keys), -1, dtype=np.int8)
    for day in np.unique(days).tolist():
        inside = days == day
        pending = out.seen.setdefault((baseline.deployment, day), set())
        wanted = [key for key in np.unique(mixed[inside]).tolist() if key]
        result = deduplicate(mixed[inside], seen(baseline.deployment, day, wanted) | pending)
        pending.update(result.new)
        capped_by[candidates[inside]] = result.capped_by
    return capped_by


def count_window(baseline: Baseline, window: Window, out: Detected) -> None:
    """Enter a learning window that has become a baseline into the ledger, and its keys as seen.

    Events of the window's last day must not count again later on that day.
    """
    bins = baseline.bin_of(window.propensity)
    events = events_of(window.outcome, window.p_refused, bins, tau=baseline.tau)
    capped_by = _capped(
        baseline,
        events,
        window.keys,
        window.group,
        window.times,
        lambda *_: set(),
        out,
    )
    kinds = _kinds(events, capped_by)
    minutes = (np.floor(window.times / EPOCH_SECONDS) * EPOCH_SECONDS // 60).astype(np.int64)
    for minute in np.unique(minutes).tolist():
        by_kind = np.bincount(kinds[minutes == minute], minlength=len(Kind)).tolist()
        enter(out, baseline.deployment, baseline.artifact, minute, by_kind)


def enter(
    out: Detected, deployment: str, artifact: str, minute: int, by_kind: Sequence[int]
) -> None:
    """Enter counts by `Kind` into the ledger."""
    out.count(
        deployment,
        artifact,
        minute,
        judged=sum(by_kind[: Kind.BLOCKED]),
        refused=by_kind[Kind.REFUSED],
        answered_risky=by_kind[Kind.ANSWERED],
        degenerate=by_kind[Kind.DEGENERATE],
        blocked=by_kind[Kind.BLOCKED],
        unjudged=by_kind[Kind.UNJUDGED],
    )
