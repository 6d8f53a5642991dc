"""What a lane shows about itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from monitor.detection import watches
from monitor.detection.counts import IntArray
from monitor.detection.describe import witness
from monitor.detection.tally import Layout
from monitor.detection.witnesses import Evidence
from monitor.records import GROUPS

Status = Literal["candidate", "armed", "warning", "firing", "blind"]


@dataclass(frozen=True, slots=True)
class LaneGauges:
    """Evidence is log10 W: 0 is the threshold, 1 the cap, -inf none. Rates are events per
    1,000 interactions: in the reference, and over the last two blocks of about 20 expected
    refusals."""

    status: Status
    refused_evidence: float
    answered_evidence: float
    frozen_refused_evidence: float
    frozen_answered_evidence: float
    degenerate_evidence: float
    refused_before: float
    refused_now: float
    answered_before: float
    answered_now: float
    degenerate_before: float
    degenerate_now: float
    reference_n: int
    armed_for: float | None
    budget_spent: float
    """Sum of s of `Unalignment` so far: bound of the probability of a false page."""
    groups_before: Mapping[str, tuple[int, int]]
    """By hazard group: risky prompts (bins b >= 1), and how many of them were refused."""
    groups_now: Mapping[str, tuple[int, int]]


def gauges(
    layout: Layout,
    status: Status,
    *,
    evidence: Evidence,
    degenerate_evidence: float,
    before: IntArray,
    now: IntArray,
    armed_for: float | None,
    budget_spent: float,
) -> LaneGauges:
    """From evidence in nats and counts by `layout`: of the reference, and of late."""
    refused, answered, degenerate = (
        witness(layout, count, before, now)
        for count in (watches.refused, watches.risky_answers, watches.degenerate)
    )
    return LaneGauges(
        status=status,
        refused_evidence=log10(float(evidence.refused)),
        answered_evidence=log10(float(evidence.answered)),
        frozen_refused_evidence=log10(float(evidence.frozen_refused)),
        frozen_answered_evidence=log10(float(evidence.frozen_answered)),
        degenerate_evidence=log10(degenerate_evidence),
        refused_before=refused.before,
        refused_now=refused.after,
        answered_before=answered.before,
        answered_now=answered.after,
        degenerate_before=degenerate.before,
        degenerate_now=degenerate.after,
        reference_n=layout.n(before),
        armed_for=armed_for,
        budget_spent=budget_spent,
        groups_before=_groups(layout, before),
        groups_now=_groups(layout, now),
    )


def _groups(layout: Layout, counts: IntArray) -> dict[str, tuple[int, int]]:
    refused = layout.refused(counts)[:, 1:].sum(axis=1)
    risky = refused + layout.answered(counts)[:, 1:].sum(axis=1)
    pairs = zip(risky.tolist(), refused.tolist(), strict=True)
    return dict(zip(GROUPS, pairs, strict=True))


def log10(nats: float) -> float:
    """Evidence as people see it, from nats."""
    return nats / math.log(10.0)
