"""From findings to alert lines, rows and deliveries; remembers which alerts are open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from monitor.alerts import Alert, Context, Incidents, Lifecycle, Links, closing, subject
from monitor.pipeline.detected import Raised
from monitor.store.base import AlertRow, ModelEventRow, OutboxEntry


@dataclass(slots=True)
class Announced:
    """What became of the findings of one batch."""

    lines: list[bytes] = field(default_factory=list)
    rows: dict[str, AlertRow] = field(default_factory=dict)
    outbox: list[OutboxEntry] = field(default_factory=list)
    totals: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, other: Announced) -> None:
        """Append what came of later findings."""
        self.lines.extend(other.lines)
        self.rows.update(other.rows)
        self.outbox.extend(other.outbox)
        self.totals.update(other.totals)


@dataclass(slots=True)
class Alerting:
    """Applies findings in order. `false_pages` is the numerator of the budget."""

    lifecycle: Lifecycle
    incidents: Incidents
    links: Links
    false_pages: float
    events: list[ModelEventRow] = field(default_factory=list)

    def announce(self, raised: Sequence[Raised]) -> Announced:
        """Make the transitions of `raised`; the caller commits what comes back."""
        out = Announced()
        for one in raised:
            self._announce(one, out)
        return out

    def _announce(self, raised: Raised, out: Announced) -> None:
        finding = raised.finding
        group = subject(finding)
        existing = self.incidents.open(raised.deployment, raised.artifact, finding.alert, group)
        context = Context(
            deployment=raised.deployment,
            artifact=raised.artifact,
            existing=existing,
            incident=self.incidents.next_number(raised.deployment, finding.alert, group),
            baseline=raised.baseline,
            artifacts=(raised.artifact,) if raised.artifact else (),
            events=self.events,
            links=self._links(raised),
            false_pages=self.false_pages,
            counts=raised.counts,
        )
        transition = self.lifecycle.apply(finding, context)
        if transition is None:
            return
        self.incidents.note(transition.row)
        out.rows[transition.row.dedup_key] = transition.row
        out.outbox.extend(transition.outbox)
        out.lines.append(transition.row.line)
        alert: Alert = transition.alert
        out.totals["alerts", f"{alert.alert}|{alert.severity}|{alert.event}"] += 1

    def close(self, row: AlertRow, *, at: float, how: str, baseline: str, out: Announced) -> None:
        """Resolve an open alert without detection (an operator, a new approval)."""
        finding = closing(row, at=at, how=how)
        self._announce(Raised(0, row.deployment, row.artifact, baseline, finding), out)

    def _links(self, raised: Raised) -> Links:
        words: Mapping[str, str] = {
            "alert": raised.finding.alert,
            "deployment": raised.deployment,
            "artifact": raised.artifact,
            "group": raised.finding.group,
        }
        return msgspec.structs.replace(
            self.links,
            runbook=self.links.runbook.format(**words),
            dashboard=self.links.dashboard.format(**words),
        )
