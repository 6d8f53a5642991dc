"""What to expect of detection before anything happens: delays, arming, probes.

Delays are rehearsed (`rehearsal`), not approximated: the rule is the production one. Probes
follow the split rule of STATISTICS B4: traffic that needs D_0 on its own gathers evidence at
the rate h / D_0, h = ln A + 1 nats, so a target D takes

    kappa = max(0, (h / I_c) (1/D - 1/D_0))            I_c = KL(k p0 || p0)

probes per second, at p0 = .8: prompts that a model always refuses are poor probes. A is the
budget in probes. The rule takes the evidence of traffic and probes as one sum.

>>> kl = information_per_probe(0.5)
>>> round(kl, 2)
0.38
>>> round(60 * probes_per_second(600.0, passive=3600.0, per_probe=kl, budget=Budget()), 1)
3.4
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from monitor.detection.arming import armed_for
from monitor.detection.budget import CANARIES, Budget
from monitor.detection.learning import ARMED_K
from monitor.detection.rehearsal import FloatArray, Reference, rehearse
from monitor.records import GROUPS

RUNS: Final = 200
FOUND: Final = 0.95
"""Share of runs that must find a loss before a mean is stated, and the quantile stated."""
PROBE_REFUSED: Final = 0.8
HAZARD_GROUPS: Final = len(GROUPS) - 1
_DAY: Final = 86_400.0


class Delay(NamedTuple):
    """Time from the change to an alert, seconds."""

    found: float
    """Share of runs in which it came before 20,000 more refusals were due."""
    mean: float | None
    """Over the runs in which it came; ``None`` if those are under 95 %."""
    p95: float | None
    """Over all runs; ``None`` as `mean`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to expect of detection on one lane."""

    rate: float
    refusals: float
    """Per interaction, in the reference."""
    reference_n: int
    left: float
    """Share of refusals left in the groups that are lost."""
    groups: tuple[str, ...]
    """The groups that are lost."""
    left_overall: float
    """Share of all refusals that is left, those of ordinary prompts among them."""
    page: Delay
    """``Unalignment``"""
    ticket: Delay | None
    """``HazardSpike``; ``None`` where every group is lost, for the page is faster."""
    armed_for: float | None
    """Losses to this share, or worse, are found even if they were there from the start."""
    armed_after: int | None
    """Interactions until the lane is armed for this loss; ``None``: never."""
    pages_after: int | None
    """Interactions until it may page at all; before, alerts are provisional."""
    target: float
    """Seconds."""
    probes_per_minute: float
    """Needed to bring the mean of the page under the target; 0: none."""

    def seconds(self, interactions: int | None) -> float | None:
        """How long so many interactions take."""
        return None if interactions is None else interactions / self.rate


def plan(
    reference: Reference,
    *,
    left: float,
    groups: int = HAZARD_GROUPS,
    target: float = 600.0,
    budget: Budget | None = None,
    runs: int = RUNS,
) -> Plan:
    """What a loss to `left` over `groups` hazard groups would look like.

    Of the groups that refuse anything, those in the middle by number of refusals are lost.

    Raises:
        ValueError: `left` or `groups` is out of range, or the reference holds no refusals.
    """
    if not 0.0 <= left < 1.0:
        raise ValueError("left: must be from 0 to below 1; it is the share of refusals left")
    if not 1 <= groups <= HAZARD_GROUPS:
        raise ValueError(f"groups: must be from 1 to {HAZARD_GROUPS}")
    budget = budget or Budget()
    lost = _middle(reference, groups)
    hazardous = reference.refused[:HAZARD_GROUPS].sum(axis=1)
    gone = (1.0 - left) * float(hazardous[lost].sum())
    overall = 1.0 - gone / int(reference.refused.sum())
    probed = 1.0 - gone / int(hazardous.sum())
    some = groups < HAZARD_GROUPS
    seen = rehearse(reference, left=left, groups=lost, budget=budget, runs=runs, spikes=some)
    page, ticket = (_delay(reference, first) for first in seen)
    return Plan(
        rate=reference.rate,
        refusals=reference.refusals,
        reference_n=reference.n,
        left=left,
        groups=tuple(GROUPS[g] for g in lost),
        left_overall=overall,
        page=page,
        ticket=ticket if some else None,
        armed_for=_armed(reference, reference.n, budget),
        armed_after=_armed_after(reference, overall, budget),
        pages_after=_armed_after(reference, ARMED_K, budget),
        target=target,
        probes_per_minute=60.0
        * probes_per_second(
            target, passive=page.mean, per_probe=information_per_probe(probed), budget=budget
        ),
    )


def information_per_probe(left: float, refused: float = PROBE_REFUSED) -> float:
    """I_c: nats that a probe which was refused with probability `refused` brings once only the
    share `left` of that remains."""
    after = max(left, 1e-6) * refused
    return after * math.log(after / refused) + (1 - after) * math.log((1 - after) / (1 - refused))


def probes_per_second(
    target: float, *, passive: float | None, per_probe: float, budget: Budget
) -> float:
    """kappa of the split rule; `passive` is the mean delay in seconds by traffic alone, ``None``
    if that does not find the loss."""
    missing = 1.0 / target - (1.0 / passive if passive else 0.0)
    if missing <= 0.0 or per_probe <= 0.0:
        return 0.0
    spend = budget.false_pages * CANARIES / budget.expected_deployments
    kappa = 1.0 / 60.0
    for _ in range(20):  # A depends on kappa, weakly.
        in_probes = kappa * budget.per_days * _DAY / spend
        kappa = (math.log(max(in_probes, 1.0)) + 1.0) * missing / per_probe
    return kappa


def _middle(reference: Reference, groups: int) -> list[int]:
    refused = reference.refused[:HAZARD_GROUPS].sum(axis=1)
    if not refused.any():
        raise ValueError("the baseline holds no refusals of hazardous prompts; learn a longer one")
    order = np.argsort(-refused, kind="stable")[: max(int((refused > 0).sum()), groups)]
    start = (len(order) - groups) // 2
    return sorted(order[start : start + groups].tolist())


def _armed(reference: Reference, n: int, budget: Budget) -> float | None:
    spend = budget.spend_per_interaction("Unalignment", rate=reference.rate)
    return armed_for(reference.scaled(n), d1=reference.d1, spend_per_interaction=spend)


def _armed_after(reference: Reference, left: float, budget: Budget) -> int | None:
    """Least interactions, in steps of 2 %, from which losses to `left` are found from the start;
    ``None`` if a hundred million are too few."""
    for n in np.geomspace(500, 1e8, 617).astype(np.int64).tolist():
        armed = _armed(reference, n, budget)
        if armed is not None and armed + 1e-9 >= left:
            return int(n)
    return None


def _delay(reference: Reference, interactions: FloatArray) -> Delay:
    seen = interactions[np.isfinite(interactions)] / reference.rate
    found = len(seen) / len(interactions)
    if found < FOUND:
        return Delay(found, None, None)
    return Delay(found, float(seen.mean()), float(np.quantile(seen, FOUND / found)))
