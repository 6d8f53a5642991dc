"""The report of a run, from what the store holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from monitor.alerts import Alert
from monitor.pipeline.alternatives import Alternative
from monitor.pipeline.deployment import Deployment
from monitor.pipeline.outputs import OutputError
from monitor.pipeline.summary import Summary
from monitor.report import Approved, Lane, Minute, ReportData, Rule, Totals, render
from monitor.store.base import Store


def write_report(
    path: str,
    store: Store,
    deployments: Mapping[str, Deployment],
    summary: Summary,
    story: str = "",
    alternatives: Mapping[str, Sequence[Alternative]] | None = None,
) -> None:
    """Write the HTML report, whole or not at all; `alternatives` by deployment.

    Raises:
        OutputError: `path` cannot be written.
    """
    data = report_data(store, deployments, summary, story)
    page = render(replace(data, rules=_rules(alternatives or {})))
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
        part.replace(target)
    except OSError as error:
        raise OutputError(
            f"--report {path}: cannot be written ({error.strerror}); check the directory"
        ) from error


def report_data(
    store: Store, deployments: Mapping[str, Deployment], summary: Summary, story: str
) -> ReportData:
    """What the report says; event times and counts alone, so a replay gives the same bytes."""
    minutes: dict[tuple[str, str], list[Minute]] = {}
    for entry in store.ledger():
        minutes.setdefault((entry.deployment, entry.artifact), []).append(
            Minute(
                minute=entry.minute,
                judged=entry.judged,
                refused=entry.refused,
                answered_risky=entry.answered_risky,
                degenerate=entry.degenerate,
                blocked=entry.blocked,
                unjudged=entry.unjudged,
                evidence_refused=entry.evidence_refused,
                evidence_answered=entry.evidence_answered,
            )
        )
    rows = sorted(store.alerts(), key=lambda row: (row.opened_at, row.dedup_key))
    return ReportData(
        lanes=[
            Lane(
                deployment=lane.deployment,
                artifact=lane.artifact,
                state=lane.state,
                minutes=minutes.get((lane.deployment, lane.artifact), ()),
                approved=_approved(deployments[lane.deployment]),
                reference_n=lane.reference_n,
                armed_for=lane.armed_for,
                coverage=lane.coverage,
            )
            for lane in summary.deployments
        ],
        alerts=[msgspec.json.decode(row.line, type=Alert) for row in rows],
        totals=Totals(
            consumed=summary.consumed,
            classified=summary.classified,
            skipped=summary.skipped,
            dead_lettered=summary.dead_lettered,
            duplicates=summary.duplicates,
        ),
        story=story,
    )


def _approved(deployment: Deployment) -> Approved | None:
    baseline = deployment.baseline
    if baseline is None:
        return None
    counts = baseline.counts
    return Approved(
        judged=counts.n,
        refused=int(counts.refused.sum()),
        answered_risky=int(counts.answered.sum()),
        degenerate=counts.degenerate,
        id=baseline.id,
        until=baseline.last,
    )


def _rules(alternatives: Mapping[str, Sequence[Alternative]]) -> list[Rule]:
    return [
        Rule(deployment, found.name, found.rule, list(found.pages))
        for deployment, rules in sorted(alternatives.items())
        for found in rules
    ]
