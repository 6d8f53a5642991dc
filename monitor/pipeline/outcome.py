"""What a run came to, from the committed totals and the lanes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from monitor.pipeline.deployment import Deployment
from monitor.pipeline.summary import AlertCounts, LaneSummary, Summary

MOST_LANES: Final = 1_000


def summarise(
    totals: Mapping[tuple[str, str], int], deployments: Mapping[str, Deployment]
) -> Summary:
    """The summary of everything the store has counted."""
    heard_of = [d for _, d in sorted(deployments.items()) if d.consumed or d.baseline is not None]
    lanes = [lane for deployment in heard_of for lane in _lanes(deployment)]
    return Summary(
        consumed=totals.get(("consumed", ""), 0),
        classified=totals.get(("classified", ""), 0),
        skipped=_by_label(totals, "skipped"),
        dead_lettered=_by_label(totals, "dead_lettered"),
        duplicates=totals.get(("duplicates", ""), 0),
        deployments=tuple(lanes[:MOST_LANES]),
        alerts=AlertCounts(opened=_events(totals, "open"), resolved=_events(totals, "resolve")),
    )


def _lanes(deployment: Deployment) -> Iterator[LaneSummary]:
    seen = deployment.judged + deployment.unjudged
    coverage = round(deployment.judged / seen, 4) if seen else None
    if not deployment.slots:
        yield LaneSummary(
            deployment=deployment.name, artifact="", state="learning", coverage=coverage
        )
    for name, slot in deployment.slots.items():
        gauges = slot.lane.gauges()
        yield LaneSummary(
            deployment=deployment.name,
            artifact=name,
            state=gauges.status,
            reference_n=gauges.reference_n,
            armed_for=gauges.armed_for,
            coverage=coverage,
        )


def _by_label(totals: Mapping[tuple[str, str], int], kind: str) -> dict[str, int]:
    return {label: n for (name, label), n in sorted(totals.items()) if name == kind}


def _events(totals: Mapping[tuple[str, str], int], event: str) -> int:
    return sum(
        n for (name, label), n in totals.items() if name == "alerts" and label.endswith(f"|{event}")
    )
