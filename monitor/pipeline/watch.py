"""Watching live traffic of one deployment: deduplicate, count, close epochs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from monitor.detection import Budget, Epoch, IntArray, Lane, RiskyAnswer
from monitor.pipeline.conditions import unapproved
from monitor.pipeline.counting import Counted, Kind, Live, Seen, count_as, enter
from monitor.pipeline.deployment import MAX_LANES, OTHER_LANE, Deployment, LaneSlot
from monitor.pipeline.detected import Detected
from monitor.pipeline.event_time import EPOCH_SECONDS
from monitor.pipeline.rows import rows_of
from monitor.records import KeyColumn

NO_EVIDENCE: Final = -99.0
"""log10 of no evidence at all, where a number is needed."""


class Over(NamedTuple):
    """An epoch of a lane that is over and not closed yet."""

    name: str
    lane: Lane
    epoch: Epoch
    place: int
    """Of the record that ended it, among those read."""


def watch(
    deployment: Deployment,
    live: Live,
    budget: Budget,
    known: Callable[[str, str], bool],
    seen: Seen,
    out: Detected,
) -> None:
    """Count `live` into the lanes of `deployment`, closing each epoch that is over."""
    if deployment.baseline is None:
        raise RuntimeError(f"deployment {deployment.name} has no baseline to test against")
    counted = count_as(deployment.baseline, live, seen, out)
    over: list[Over] = []
    edges = np.flatnonzero(np.diff(live.epochs)) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(live.rows)], strict=True):
        epoch = int(live.epochs[start])
        if epoch > deployment.epoch:
            over += _over(deployment, int(live.places[start]))
            deployment.epoch = epoch
        artifacts = [live.batch.artifacts[row] for row in live.rows[start:stop].tolist()]
        if len(deployment.slots.keys() | set(artifacts)) > MAX_LANES:
            # Whether a lane may make room depends on what its epochs brought out.
            _close(deployment, over, out)
        for name, part in _by_lane(deployment, live, start, artifacts, budget):
            slot = deployment.slots[name]
            slot.last_seen = max(slot.last_seen, float(live.at[part].max()))
            if not slot.announced:
                stranger = _stranger(deployment.name, name, live, part, known)
                slot.announced = stranger is not None or name != OTHER_LANE
                if stranger is not None:
                    _close(deployment, over, out)
                    finding = unapproved(float(live.at[stranger]))
                    out.found(deployment, name, int(live.places[stranger]), [finding])
            _count(deployment.name, name, slot, live, counted, part, out)
    _close(deployment, over, out)


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
    deployment: Deployment, live: Live, start: int, artifacts: list[str], budget: Budget
) -> list[tuple[str, IntArray]]:
    """The records from `start` on that `artifacts` answered, one each and all of one epoch, by
    lane, in the order read."""
    # Idle is what was idle when the epoch began, wherever in it a poll ends.
    at = int(live.epochs[start]) * EPOCH_SECONDS
    lane_of = {name: deployment.slot(name, at, budget)[0] for name in dict.fromkeys(artifacts)}
    lanes = rows_of([lane_of[name] for name in artifacts])
    return [(name, start + rows) for name, rows in lanes.items()]


def _count(
    deployment: str,
    artifact: str,
    slot: LaneSlot,
    live: Live,
    counted: Counted,
    part: IntArray,
    out: Detected,
) -> None:
    batch, tally = live.batch, slot.tally
    table = np.bincount(counted.cells[part], minlength=math.prod(counted.shape))
    table = table.reshape(counted.shape)
    by_kind: list[int] = table.sum(axis=(1, 2)).tolist()
    tally.records += len(part)
    tally.n += sum(by_kind[: Kind.BLOCKED])
    tally.blocked += by_kind[Kind.BLOCKED]
    tally.unjudged += by_kind[Kind.UNJUDGED]
    tally.degenerate += by_kind[Kind.DEGENERATE]
    tally.volume += table[: Kind.BLOCKED].sum(axis=(0, 1))
    tally.refused += table[Kind.REFUSED]
    tally.answered += table[Kind.ANSWERED]
    tally.capped[0] += by_kind[Kind.CAPPED_BY_SOURCE]
    tally.capped[1] += by_kind[Kind.CAPPED_BY_TEXT]
    for replica in dict.fromkeys([batch.replicas[row] for row in live.rows[part].tolist()]):
        tally.see_replica(replica)
    for i in part[counted.kinds[part] == Kind.ANSWERED].tolist():
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
    minute = int(live.epochs[part[0]] * EPOCH_SECONDS) // 60
    enter(out, deployment, artifact, minute, by_kind)


def close_epoch(deployment: Deployment, place: int, out: Detected) -> None:
    """Hand the counts of the open epoch to the lanes. No-op where nothing was counted."""
    _close(deployment, _over(deployment, place), out)


def _over(deployment: Deployment, place: int) -> list[Over]:
    """Take the counts of the open epoch, which the record at `place` ends, out of the tallies."""
    counted = {name: slot for name, slot in deployment.slots.items() if slot.tally.records}
    total = sum(slot.tally.n for slot in counted.values())
    start = deployment.epoch * EPOCH_SECONDS
    over = []
    for name, slot in counted.items():
        epoch = Epoch(slot.tally.counts(total), start, start + EPOCH_SECONDS)
        over.append(Over(name, slot.lane, epoch, place))
        slot.tally.clear()
    return over


def _close(deployment: Deployment, over: list[Over], out: Detected) -> None:
    """Hand epochs that are over to their lanes, those of each lane together; `over` is empty
    afterwards."""
    epochs: dict[str, list[Over]] = {}
    for each in over:
        epochs.setdefault(each.name, []).append(each)
    closed = {
        name: iter(those[0].lane.close_epochs([each.epoch for each in those]))
        for name, those in epochs.items()
    }
    for name, _, epoch, place in over:
        findings, (refused, answered) = next(closed[name])
        out.found(deployment, name, place, findings)
        out.evidence[deployment.name, name, int(epoch.start) // 60] = (
            max(refused, NO_EVIDENCE),
            max(answered, NO_EVIDENCE),
        )
    over.clear()
