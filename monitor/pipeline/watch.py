"""Watching live traffic of one deployment: deduplicate, count, close epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.detection import (
    Baseline,
    Budget,
    Events,
    RiskyAnswer,
    Window,
    day_of,
    deduplicate,
    event_keys,
    events_of,
)
from monitor.pipeline.conditions import unapproved
from monitor.pipeline.deployment import OTHER_LANE, Deployment, LaneSlot
from monitor.pipeline.detected import Detected
from monitor.pipeline.event_time import EPOCH_SECONDS
from monitor.records import KeyColumn, VerdictBatch

NO_EVIDENCE: Final = -99.0
"""log10 of no evidence at all, where a number is needed."""

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Seen = Callable[[str, int, Sequence[int]], set[int]]


@dataclass(frozen=True, slots=True)
class Live:
    """Rows of a batch that belong to one deployment, in order; every array (n,)."""

    batch: VerdictBatch
    rows: IntArray
    at: NDArray[np.float64]
    epochs: IntArray
    places: IntArray


@dataclass(frozen=True, slots=True)
class Counted:
    """Events among the rows and what deduplication left of them; every array (n,)."""

    bins: IntArray
    events: Events
    kept: BoolArray
    capped_by: NDArray[np.int8]
    """-1, or the `KeyColumn` of the key for which an event does not count."""


def watch(
    deployment: Deployment,
    live: Live,
    budget: Budget,
    known: Callable[[str, str], bool],
    seen: Seen,
    out: Detected,
) -> None:
    """Count `live` into the lanes of `deployment`, closing each epoch that is over."""
    counted = _deduplicated(deployment, live, seen, out)
    edges = np.flatnonzero(np.diff(live.epochs)) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(live.rows)], strict=True):
        epoch = int(live.epochs[start])
        if epoch > deployment.epoch:
            close_epoch(deployment, int(live.places[start]), out)
            deployment.epoch = epoch
        for name, part in _by_lane(deployment, live, start, stop, budget):
            slot = deployment.slots[name]
            slot.last_seen = max(slot.last_seen, float(live.at[part].max()))
            if not slot.announced:
                stranger = _stranger(deployment.name, name, live, part, known)
                slot.announced = stranger is not None or name != OTHER_LANE
                if stranger is not None:
                    finding = unapproved(float(live.at[stranger]))
                    out.found(deployment, name, int(live.places[stranger]), [finding])
            _count(deployment.name, name, slot, live, counted, part, out)


def _stranger(
    deployment: str,
    lane: str,
    live: Live,
    part: IntArray,
    known: Callable[[str, str], bool],
) -> int | None:
    """The first record of `part` that an unknown artifact answered. Artifacts of a lane are known
    by its name, but those that share ``other`` by their own."""
    if lane != OTHER_LANE:
        return None if known(deployment, lane) else int(part[0])
    artifacts = live.batch.artifacts
    names = dict.fromkeys(artifacts[row] for row in live.rows[part].tolist())
    strangers = {name for name in names if not known(deployment, name)}
    rows = zip(part.tolist(), live.rows[part].tolist(), strict=True)
    return next((i for i, row in rows if artifacts[row] in strangers), None)


def _by_lane(
    deployment: Deployment, live: Live, start: int, stop: int, budget: Budget
) -> list[tuple[str, IntArray]]:
    """The records from `start` to before `stop`, all of one epoch, by lane, in the order read."""
    # Idle is what was idle when the epoch began, wherever in it a poll ends.
    at = int(live.epochs[start]) * EPOCH_SECONDS
    lanes: dict[str, list[int]] = {}
    lane_of: dict[str, str] = {}
    artifacts = live.batch.artifacts
    for i, row in enumerate(live.rows[start:stop].tolist(), start):
        artifact = artifacts[row]
        if artifact not in lane_of:
            lane_of[artifact], _ = deployment.slot(artifact, at, budget)
        lanes.setdefault(lane_of[artifact], []).append(i)
    return [(name, np.array(part, dtype=np.int64)) for name, part in lanes.items()]


def _deduplicated(deployment: Deployment, live: Live, seen: Seen, out: Detected) -> Counted:
    """Find the events among `live` and decide, day by day, which of them count."""
    baseline = deployment.baseline
    if baseline is None:
        raise RuntimeError(f"deployment {deployment.name} has no baseline to test against")
    batch, rows = live.batch, live.rows
    bins = baseline.bin_of(batch.propensity[rows])
    events = events_of(batch.outcome[rows], batch.p_refused[rows], bins, tau=baseline.tau)
    capped_by = _capped(
        deployment.name, baseline, events, batch.keys[rows], batch.group[rows], live.at, seen, out
    )
    return Counted(bins, events, events.candidates & (capped_by < 0), capped_by)


def _capped(
    deployment: str,
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
        pending = out.seen.setdefault((deployment, day), set())
        wanted = [key for key in np.unique(mixed[inside]).tolist() if key]
        result = deduplicate(mixed[inside], seen(deployment, day, wanted) | pending)
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
        baseline.deployment,
        baseline,
        events,
        window.keys,
        window.group,
        window.times,
        lambda *_: set(),
        out,
    )
    kept = events.candidates & (capped_by < 0)
    minutes = (np.floor(window.times / EPOCH_SECONDS) * EPOCH_SECONDS // 60).astype(np.int64)
    for minute in np.unique(minutes).tolist():
        at = minutes == minute
        out.count(
            baseline.deployment,
            baseline.artifact,
            minute,
            judged=int(events.judged[at].sum()),
            refused=int((events.refused & kept)[at].sum()),
            answered_risky=int((events.answered & kept)[at].sum()),
            degenerate=int((events.degenerate & kept)[at].sum()),
            blocked=int(events.blocked[at].sum()),
            unjudged=int(events.unjudged[at].sum()),
        )


def _count(
    deployment: str,
    artifact: str,
    slot: LaneSlot,
    live: Live,
    counted: Counted,
    part: IntArray,
    out: Detected,
) -> None:
    batch, tally, events = live.batch, slot.tally, counted.events
    rows = live.rows[part]
    group, bins = batch.group[rows], counted.bins[part]
    kept, capped_by = counted.kept[part], counted.capped_by[part]
    refused, answered = events.refused[part] & kept, events.answered[part] & kept
    degenerate = int((events.degenerate[part] & kept).sum())
    unjudged, blocked = int(events.unjudged[part].sum()), int(events.blocked[part].sum())
    judged = events.judged[part]
    tally.records += len(part)
    tally.n += int(judged.sum())
    tally.blocked += blocked
    tally.unjudged += unjudged
    tally.volume += np.bincount(bins[judged], minlength=tally.bins)
    np.add.at(tally.refused, (group[refused], bins[refused]), 1)
    np.add.at(tally.answered, (group[answered], bins[answered]), 1)
    tally.degenerate += degenerate
    by_source = int((capped_by == KeyColumn.SOURCE).sum())
    tally.capped[0] += by_source
    tally.capped[1] += int((capped_by >= 0).sum()) - by_source
    for replica in dict.fromkeys(batch.replicas[i] for i in rows.tolist()):
        tally.see_replica(replica)
    for i in part[answered].tolist():
        row = int(live.rows[i])
        tally.answer(
            RiskyAnswer(
                record_id=batch.ids[row],
                source_key=int(batch.keys[row, KeyColumn.SOURCE]),
                template_key=int(batch.keys[row, KeyColumn.TEMPLATE]),
                replica=batch.replicas[row],
                at=float(live.at[i]),
            )
        )
    out.count(
        deployment,
        artifact,
        int(live.epochs[part[0]] * EPOCH_SECONDS) // 60,
        judged=int(judged.sum()),
        refused=int(refused.sum()),
        answered_risky=int(answered.sum()),
        degenerate=degenerate,
        blocked=blocked,
        unjudged=unjudged,
    )


def close_epoch(deployment: Deployment, place: int, out: Detected) -> None:
    """Hand the counts of the open epoch to the lanes. No-op where nothing was counted."""
    live = {name: slot for name, slot in deployment.slots.items() if slot.tally.records}
    total = sum(slot.tally.n for slot in live.values())
    start = deployment.epoch * EPOCH_SECONDS
    for name, slot in live.items():
        findings = slot.lane.close_epoch(
            slot.tally.counts(total), start=start, end=start + EPOCH_SECONDS
        )
        slot.tally.clear()
        out.found(deployment, name, place, findings)
        refused, answered = slot.lane.evidence
        minute = int(start) // 60
        out.evidence[deployment.name, name, minute] = (
            max(refused, NO_EVIDENCE),
            max(answered, NO_EVIDENCE),
        )
