"""What operators ask for, applied by the detector in a transaction of its own.

Each action gets a result, ``ok: ...`` or ``error: ...``, which stays beside it in the store as
the audit log.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.alerts import mute
from monitor.detection import Baseline, BaselineError
from monitor.pipeline.alerting import Alerting, Announced
from monitor.pipeline.conditions import blind, standing
from monitor.pipeline.deployment import BlockShare, Deployment, LaneSlot
from monitor.pipeline.detect import DetectStep
from monitor.pipeline.detected import Detected
from monitor.pipeline.judges import Judges, Pin, UnavailableClassifierError
from monitor.pipeline.learning import Learning
from monitor.pipeline.tally import Tally
from monitor.pipeline.watch import close_epoch
from monitor.store.base import Action, AlertRow, ModelEventRow

STANDING = frozenset(
    {"UnapprovedArtifact", "IngestBroken", "RecordsLost", "Blind", "JudgeDrift", "ModelChanged"}
)
"""Alerts that the approval of a baseline does not settle."""


class RefusedError(Exception):
    """The action cannot be applied; the message says why."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What an action may change."""

    detect: DetectStep
    alerting: Alerting
    baselines: MutableMapping[str, Baseline]
    detected: Detected
    announced: Announced
    judges: Judges | None = None
    """Knows which classifiers ship."""


def apply_actions(
    actions: Sequence[Action],
    detect: DetectStep,
    alerting: Alerting,
    baselines: MutableMapping[str, Baseline],
    detected: Detected,
    announced: Announced,
    judges: Judges | None = None,
) -> dict[int, str]:
    """Apply `actions` in order; the result of each by its id. With `judges`, no baseline comes
    into force that they cannot judge."""
    desk = Desk(detect, alerting, baselines, detected, announced, judges)
    results = {}
    for action in actions:
        try:
            results[action.id] = f"ok: {KINDS.get(action.kind, _unknown)(desk, action)}"
        except RefusedError as problem:
            results[action.id] = f"error: {problem}"
        announce(desk)
    return results


def _unknown(_: Desk, action: Action) -> str:
    raise RefusedError(f"{action.kind}: not an action this version knows")


def announce(desk: Desk) -> None:
    """Turn what the last action found into alerts before the next one is applied."""
    more = desk.alerting.announce(desk.detected.raised)
    desk.detected.raised.clear()
    desk.announced.add(more)


def _approve(desk: Desk, action: Action) -> str:
    baseline = _baseline(desk, action)
    if baseline.state == "retired":
        raise RefusedError(f"baseline {baseline.id} is retired; import or learn it again")
    _must_be_judged(desk, baseline)
    if (baseline.blind or baseline.armed_for is None) and action.args.get("force") != "true":
        why = "is blind" if baseline.blind else "is not armed"
        raise RefusedError(
            f"baseline {baseline.id} {why}; approve it with --force to use it all the same"
        )
    approved = baseline.with_approval(by=action.by, at=action.at, reason=action.reason)
    _put_in_force(desk, approved, action.at)
    return f"baseline {approved.id} is approved and in force for {approved.deployment}"


def _import(desk: Desk, action: Action) -> str:
    try:
        baseline = Baseline.from_json(action.args.get("body", "").encode())
    except BaselineError as problem:
        raise RefusedError(str(problem)) from None
    known = desk.baselines.get(baseline.id)
    if known is not None and known.state == "approved" and baseline.state == "candidate":
        # Learned once more from the same records: the approval stands.
        return f"baseline {baseline.id} is here already, and approved"
    if baseline.state == "retired":
        raise RefusedError(f"baseline {baseline.id} is retired; import one that is not")
    _must_be_judged(desk, baseline)
    _save(desk, baseline)
    if baseline.state == "approved":
        _put_in_force(desk, baseline, action.at)
        return f"baseline {baseline.id} is imported and in force for {baseline.deployment}"
    return f"baseline {baseline.id} is imported as {baseline.state}"


def _retire(desk: Desk, action: Action) -> str:
    baseline = _baseline(desk, action).retired()
    _save(desk, baseline)
    desk.detect.know_only(desk.alerting.events, desk.baselines.values())
    deployment = desk.detect.deployments.get(baseline.deployment)
    if deployment is not None and deployment.shadowed == baseline.classifier:
        # What the default learned in shadow was turned down: it learns once more.
        deployment.shadowed = ""
        desk.detected.touched.add(deployment.name)
    if deployment is None or deployment.baseline is None or deployment.baseline.id != baseline.id:
        return f"baseline {baseline.id} is retired"
    rest = [
        b for b in desk.baselines.values()
        if b.deployment == baseline.deployment and b.state == "approved" and b.approved is not None
        and _unjudged(desk, b) is None
    ]  # fmt: skip
    if rest:
        latest = max(rest, key=lambda b: (b.approved.at if b.approved else 0.0, b.id))
        _put_in_force(desk, latest, action.at)
        return f"baseline {baseline.id} is retired; {latest.id} is in force again"
    close_epoch(deployment, 0, desk.detected)
    announce(desk)
    at = _event_time(deployment, action.at)
    if deployment.canaries is not None:
        desk.detected.found(deployment, "", 0, deployment.canaries.resolve(at, "approved"))
        announce(desk)
    _settle(desk, deployment, at)
    deployment.slots.clear()
    deployment.baseline = None
    desk.detected.end_windows(deployment.end_shadow())
    deployment.learning = Learning(desk.detect.rule, first=False)
    desk.detected.touched.add(deployment.name)
    return f"baseline {baseline.id} is retired; {deployment.name} learns a new one"


def _unjudged(desk: Desk, baseline: Baseline) -> str | None:
    """Why nothing that ships can judge what is held to `baseline`, if so."""
    try:
        if desk.judges is not None:
            desk.judges.of(Pin(baseline.classifier, baseline.propensity))
    except UnavailableClassifierError as problem:
        return str(problem)
    return None


def _must_be_judged(desk: Desk, baseline: Baseline) -> None:
    problem = _unjudged(desk, baseline)
    if problem is not None:
        raise RefusedError(
            f"baseline {baseline.id} {problem}; learn one with this version of backslide"
        )


def _baseline(desk: Desk, action: Action) -> Baseline:
    wanted = action.args.get("baseline", "")
    if wanted not in desk.baselines:
        raise RefusedError(
            f"baseline {wanted!r} is not in the store; see `backslide baseline list`"
        )
    return desk.baselines[wanted]


def _save(desk: Desk, baseline: Baseline) -> None:
    desk.baselines[baseline.id] = baseline
    desk.detected.learned.append(baseline)


def _put_in_force(desk: Desk, baseline: Baseline, now: float) -> None:
    """Test the deployment's traffic against `baseline` from here on."""
    _save(desk, baseline)
    desk.detect.know(baseline)
    deployment = desk.detect.deployments.get(baseline.deployment)
    if deployment is None:
        deployment = Deployment(baseline.deployment, BlockShare(desk.detect.breaker_records))
        desk.detect.deployments[baseline.deployment] = deployment
    at = _event_time(deployment, now)
    close_epoch(deployment, 0, desk.detected)
    announce(desk)
    _settle_canaries(desk, deployment, baseline, at)
    _settle(desk, deployment, at)
    if deployment.learning is not None:
        deployment.learning = None
        desk.detected.end_windows([deployment.name])
    if deployment.baseline is None or deployment.baseline.id != baseline.id:
        desk.detected.end_windows(deployment.end_shadow())
    deployment.baseline = baseline
    kept: dict[str, LaneSlot] = {}
    for name, slot in deployment.slots.items():
        if name in baseline.artifacts and name != baseline.artifact:
            continue
        slot.lane.rebase(baseline)
        slot.tally = Tally(baseline.bins)
        kept[name] = slot
    deployment.slots = kept
    _settle_strangers(desk, deployment, at)
    _settle_sight(desk, deployment, baseline, at)
    desk.detected.touched.add(deployment.name)


def _settle(desk: Desk, deployment: Deployment, at: float) -> None:
    """Close the alerts that were about the old baseline, in the lanes too: on the same baseline
    a lane keeps its reference, and what is still wrong must be found anew."""
    for name, slot in deployment.slots.items():
        for alert in slot.lane.open_alerts:
            found = slot.lane.resolve(alert, at, "approved")
            desk.detected.found(deployment, name, 0, found)
    announce(desk)
    for row in list(desk.alerting.incidents.opened(deployment.name).values()):
        if row.alert not in STANDING:
            _close(desk, row, at, "approved")


def _settle_canaries(desk: Desk, deployment: Deployment, baseline: Baseline, at: float) -> None:
    """Canaries are held to the approved model: to another one, once another one is approved."""
    watch, held_to = deployment.canaries, deployment.baseline
    if watch is None:
        return
    another = held_to is not None and held_to.artifact != baseline.artifact
    if another or watch.status == "firing":
        desk.detected.found(deployment, "", 0, watch.resolve(at, "approved"))
        announce(desk)
        watch.restart()


def _settle_strangers(desk: Desk, deployment: Deployment, at: float) -> None:
    for row in list(desk.alerting.incidents.opened(deployment.name).values()):
        if row.alert == "UnapprovedArtifact" and desk.detect.knows(deployment.name, row.artifact):
            _close(desk, row, at, "approved")


def _settle_sight(desk: Desk, deployment: Deployment, baseline: Baseline, at: float) -> None:
    if baseline.blind and "Blind" not in deployment.raised:
        deployment.raised.add("Blind")
        desk.detected.found(deployment, "", 0, [blind(at, "no_refusals")])
    elif not baseline.blind and "Blind" in deployment.raised:
        deployment.raised.discard("Blind")
        for row in list(desk.alerting.incidents.opened(deployment.name).values()):
            if row.alert == "Blind":
                _close(desk, row, at, "approved")


def _mute(desk: Desk, action: Action) -> str:
    row = _alert(desk, action)
    try:
        until = datetime.fromisoformat(action.args.get("until", "")).timestamp()
    except ValueError:
        raise RefusedError("until: is not a time; write it as 2026-01-31T08:00:00Z") from None
    muted = mute(row, until)
    desk.alerting.incidents.note(muted)
    desk.announced.rows[muted.dedup_key] = muted
    return f"{row.alert} on {row.deployment} is muted"


def _resolve(desk: Desk, action: Action) -> str:
    row = _alert(desk, action)
    deployment = desk.detect.deployments.get(row.deployment)
    at = _event_time(deployment, row.changed_at)
    if deployment is not None:
        deployment.raised.discard(standing(row.alert, row.group))
        if row.group == "canaries" and deployment.canaries is not None:
            desk.detected.found(deployment, "", 0, deployment.canaries.resolve(at, "operator"))
            announce(desk)
        slot = deployment.slots.get(row.artifact)
        if slot is not None and row.alert not in STANDING:
            ended = slot.lane.resolve(row.alert, at, "operator", row.group)
            desk.detected.found(deployment, row.artifact, 0, ended)
            announce(desk)
        desk.detected.touched.add(deployment.name)
    if row.dedup_key in desk.alerting.incidents.opened(row.deployment):
        _close(desk, row, at, "operator")
    return f"{row.alert} on {row.deployment} is resolved"


def _alert(desk: Desk, action: Action) -> AlertRow:
    key = action.args.get("dedup_key", "")
    row = desk.alerting.incidents.opened().get(key)
    if row is None:
        raise RefusedError(f"alert {key!r} is not open; see `backslide alerts list`")
    return row


def _close(desk: Desk, row: AlertRow, at: float, how: str) -> None:
    deployment = desk.detect.deployments.get(row.deployment)
    baseline = deployment.baseline if deployment is not None else None
    desk.alerting.close(
        row, at=at, how=how, baseline=baseline.id if baseline is not None else "",
        out=desk.announced,
    )  # fmt: skip


def _event(desk: Desk, action: Action) -> str:
    args = action.args
    try:
        at = datetime.fromisoformat(args.get("at", "")).timestamp()
    except ValueError:
        raise RefusedError("at: is not a time; write it as 2026-01-31T08:00:00Z") from None
    event = ModelEventRow(
        args.get("deployment", ""), at, args.get("kind", ""), args.get("artifact", ""), action.by
    )
    if event in desk.alerting.events:
        return f"{event.kind} of {event.artifact or 'no artifact'} was noted already"
    desk.detected.events.append(event)
    desk.alerting.events.append(event)
    desk.detect.known_artifacts.add((event.deployment, event.artifact))
    for row in list(desk.alerting.incidents.opened(event.deployment).values()):
        if row.alert == "UnapprovedArtifact" and row.artifact == event.artifact:
            _close(desk, row, row.changed_at, "operator")
    return f"{event.kind} of {event.artifact or 'no artifact'} is noted for {event.deployment}"


def _event_time(deployment: Deployment | None, otherwise: float) -> float:
    """Event time of the deployment, so that an alert line never holds the wall clock."""
    if deployment is None or not math.isfinite(deployment.watermark):
        return otherwise
    return deployment.watermark


KINDS: Mapping[str, Callable[[Desk, Action], str]] = {
    "approve": _approve,
    "retire": _retire,
    "import": _import,
    "mute": _mute,
    "resolve": _resolve,
    "event": _event,
}
