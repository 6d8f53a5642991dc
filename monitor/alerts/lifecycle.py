"""The life of an alert: opened once, updated at most three times, resolved once.

Pure: the same findings in the same contexts give the same bytes, so a replay of the stream
writes the same alert lines. Identity (the dedup key) is made here and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

import msgspec

from monitor.alerts.alert import Alert
from monitor.alerts.channels.base import SEVERITIES, Channel
from monitor.alerts.rendering import PAGING, Context, render
from monitor.detection.finding import Finding, Severity
from monitor.store.base import AlertRow, OutboxEntry

MAX_UPDATES: Final = 3


@dataclass(frozen=True, slots=True)
class Transition:
    """One line for the alerts file, one row for the store, the deliveries to make."""

    alert: Alert
    row: AlertRow
    outbox: tuple[OutboxEntry, ...]


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Turns findings into transitions.

    Args:
        channels: where alerts go; an outbox entry is made for each that wants the severity.
    """

    channels: Sequence[Channel] = ()

    def apply(self, finding: Finding, context: Context) -> Transition | None:
        """The transition that `finding` makes, or ``None`` if it makes none: an open alert
        opened again, an unknown one updated or resolved, or the fourth update.

        Severity never falls within an incident, so whoever was told of it hears of its end.
        A muted incident still writes its lines, and its end is still delivered: otherwise it
        would stay open for ever where people were told of it.
        """
        row = context.existing
        if row is not None and row.state != "open":
            row = None
        if (finding.event == "open") is (row is not None):
            return None
        severity = _severity(finding, row)
        if row is not None and finding.event == "update" and not _may_update(row, severity):
            return None
        incident = context.incident if row is None else row.incident
        opened_at = finding.at if row is None else row.opened_at
        group = subject(finding)
        key = (
            row.dedup_key
            if row is not None
            else dedup_key(context.deployment, finding.alert, group, incident)
        )
        alert = render(finding, context, severity=severity, key=key, opened_at=opened_at)
        line = msgspec.json.encode(alert)
        updated = AlertRow(
            dedup_key=key,
            alert=finding.alert,
            deployment=context.deployment,
            artifact=context.artifact if row is None else row.artifact,
            group=group if row is None else row.group,
            severity=severity,
            state="resolved" if finding.event == "resolve" else "open",
            incident=incident,
            updates=(row.updates if row is not None else 0) + (finding.event == "update"),
            opened_at=opened_at,
            changed_at=finding.at,
            muted_until=None if row is None else row.muted_until,
            line=line,
        )
        muted = finding.event != "resolve" and is_muted(updated, finding.at)
        wanting = () if muted else [c.name for c in self.channels if c.wants(severity)]
        outbox = tuple(OutboxEntry(name, key, finding.event, line) for name in wanting)
        return Transition(alert, updated, outbox)


def dedup_key(deployment: str, alert: str, group: str, incident: int) -> str:
    """Identity of one incident, the same for open, update and resolve: 67 characters."""
    identity = msgspec.json.encode([deployment, alert, group, incident])
    return f"bs-{hashlib.sha256(identity).hexdigest()}"


def subject(finding: Finding) -> str:
    """What, within an alert of a deployment, is an incident of its own: the hazard group, or
    the direction where the alert has two."""
    return finding.group or finding.direction


def is_muted(row: AlertRow, at: float) -> bool:
    """Whether `row` is muted at the event time `at`."""
    return row.muted_until is not None and at < row.muted_until


def closing(row: AlertRow, *, at: float, how: str) -> Finding:
    """The finding that resolves `row` without detection: ``operator`` or ``approved``.

    Severity, group and direction are those of the row.
    """
    down_or_up = row.group in ("down", "up")
    return Finding(
        alert=row.alert,
        event="resolve",
        severity=cast(Severity, row.severity),
        at=max(at, row.changed_at),
        family=msgspec.json.decode(row.line)["family"],
        direction=row.group if down_or_up else "",
        group="" if down_or_up else row.group,
        resolution=how,
    )


def mute(row: AlertRow, until: float) -> AlertRow:
    """`row`, silent until the event time `until`."""
    return replace(row, muted_until=until)


def _severity(finding: Finding, row: AlertRow | None) -> str:
    """That of the finding, never less than it was; provisional alerts do not page."""
    severity: str = finding.severity
    if finding.provisional and severity == "page":
        severity = "ticket"
    if row is None:
        return severity
    if finding.event == "resolve":
        return row.severity
    return max(severity, row.severity, key=SEVERITIES.index)


def _may_update(row: AlertRow, severity: str) -> bool:
    """The last update of an alert that may become a page is kept for that."""
    waits_for_page = row.alert in PAGING and severity != "page"
    return row.updates < MAX_UPDATES - waits_for_page
