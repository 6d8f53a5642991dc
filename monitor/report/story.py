"""What happened, in words: the headline of a report and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from monitor.alerts.alert import Alert
from monitor.report.data import Lane, ReportData

_RANK: Final = MappingProxyType({"page": 0, "ticket": 1, "info": 2})

_FOLLOWS: Final = frozenset({"ReferenceDivergence"})
"""Alerts that follow from whatever else happened; they make a headline only when alone."""

_HEADLINES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Unalignment": "{name} stopped refusing.",
        "DegenerateOutput": "{name} returns broken answers.",
        "HazardSpike": "{name} stopped refusing in one hazard group.",
        "RiskyAnswers": "New traffic reaches {name}; its model refuses as before.",
        "TrafficShift": "The traffic of {name} changed; its model did not.",
        "OverRefusal": "{name} refuses harmless prompts.",
        "FilterChange": "The content filter before {name} changed.",
        "ReferenceDivergence": "What is normal for {name} has drifted from what was approved.",
        "UnapprovedArtifact": "A model nobody approved answers for {name}.",
        "Blind": "Backslide cannot see whether {name} still refuses.",
        "IngestBroken": "Records of {name} cannot be read.",
        "RecordsLost": "Records of {name} were lost before they were read.",
        "ModelChanged": "The model behind {name} is not the one that was recorded.",
        "JudgeDrift": "The classifier that judges {name} has changed.",
    }
)

_STEPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Unalignment": (
            "Take the model out of rotation, or roll back to the artifact that was approved.",
            "Ask what was deployed around the change time: weights, adapters, system prompt, "
            "chat template, sampling settings.",
            "Read some of the records named in the alert, then send probes to confirm.",
            "Once it refuses again the alert resolves by itself. If the change was intended, "
            "approve a new baseline.",
        ),
        "DegenerateOutput": (
            "Restart or roll back the model server; look for a broken checkpoint, quantisation "
            "or chat template.",
            "Refusals fall as well while answers are broken. That is not a loss of alignment, "
            "and it is not paged as one.",
        ),
        "HazardSpike": (
            "Ask what was changed for this topic: fine-tuning data, a system prompt, a filter.",
            "Read the records named in the alert.",
        ),
        "RiskyAnswers": (
            "Look at who sends these prompts: a jailbreak wave, a new use, or harmless questions "
            "that look risky.",
            "The model is not the cause as long as it refuses as often as before. Block the "
            "senders or tighten the filter if the prompts are hostile.",
        ),
        "TrafficShift": (
            "Nothing, unless you did not expect the change of traffic.",
            "If the new traffic stays, approve a new baseline so that detection stays sharp.",
        ),
        "ReferenceDivergence": (
            "Review the last days. If the traffic is meant to be so, approve a new baseline.",
        ),
        "UnapprovedArtifact": (
            "Ask who deployed it. Approve it, announce it with `backslide event add`, or roll "
            "it back.",
        ),
        "Blind": (
            "Check language, format and classifier of this traffic. Until then a change would "
            "go unnoticed.",
        ),
        "IngestBroken": ("See the reasons among the dead letters and fix the producer.",),
        "RecordsLost": ("Keep the topic longer, or find out why the reader was behind.",),
    }
)

_GENERAL: Final = ("Open the runbook of the alert.",)
_QUIET: Final = ("Nothing. Keep the monitor running.",)
_LEARNING: Final = (
    "Let it read more traffic. A baseline needs a few hundred refused prompts before losses can "
    "be told from chance.",
    "Approve the baseline with `backslide baseline approve` when it is a good one.",
)
_EMPTY: Final = ("Check the source, and the reasons for skipped and rejected records below.",)


@dataclass(frozen=True, slots=True)
class Incident:
    """One alert from its opening on: the first and the last transition of one dedup key."""

    opened: Alert
    latest: Alert

    @property
    def is_open(self) -> bool:
        return self.latest.event != "resolve"

    @property
    def rank(self) -> tuple[int, bool, str]:
        """Order of importance: severity, open before resolved, then time."""
        severity = _RANK.get(self.latest.severity, len(_RANK))
        if self.latest.alert in _FOLLOWS:
            severity = len(_RANK)
        return severity, not self.is_open, self.opened.opened_at


@dataclass(frozen=True, slots=True)
class Story:
    """The headline, its tone and the advice."""

    tone: str
    """``page``, ``ticket``, ``info``, ``quiet``, ``learning`` or ``empty``; a style and a word."""
    word: str
    headline: str
    detail: str
    steps: Sequence[str]


def incidents(alerts: Sequence[Alert]) -> list[Incident]:
    """Alerts by incident, the most important first.

    The detail (groups, breadth) is that of the latest transition that has any.
    """
    by_key: dict[str, list[Alert]] = {}
    for alert in alerts:
        by_key.setdefault(alert.dedup_key, []).append(alert)
    found = [Incident(opened=line[0], latest=line[-1]) for line in by_key.values()]
    return sorted(found, key=lambda incident: incident.rank)


def tell(data: ReportData, found: Sequence[Incident]) -> Story:
    """The headline of a report."""
    if found:
        return _of_incidents(found)
    if not data.totals.consumed:
        return Story("empty", "No data", "No records were read.", _emptiness(data), _EMPTY)
    armed = [lane for lane in data.lanes if lane.state in ("armed", "warning", "firing")]
    if armed:
        return Story("quiet", "All quiet", _quiet(armed), _quiet_detail(armed), _QUIET)
    blind = [lane for lane in data.lanes if lane.state == "blind"]
    if blind:
        headline = f"Backslide cannot see whether {shown(blind[0].deployment)} still refuses."
        return Story("ticket", "Blind", headline, "", _STEPS["Blind"])
    detail = "No change can be told from chance yet, so no alert can open."
    return Story("learning", "Learning", "Still learning what is normal.", detail, _LEARNING)


def _of_incidents(found: Sequence[Incident]) -> Story:
    worst = found[0]
    alert = worst.latest
    template = _HEADLINES.get(alert.alert, "{alert} on {name}.")
    headline = template.format(name=shown(alert.deployment), alert=shown(alert.alert))
    if not worst.is_open:
        headline = f"{headline[:-1]}, and it is over."
    more = {incident.latest.deployment for incident in found} - {alert.deployment}
    if more:
        count = len(more)
        headline += f" {count} more deployment{'s have' if count > 1 else ' has'} alerts."
    word = {"page": "Page", "ticket": "Ticket", "info": "For information"}.get(
        alert.severity, "Alert"
    )
    tone = alert.severity if alert.severity in _RANK else "ticket"
    steps = _STEPS.get(alert.alert, _GENERAL)
    return Story(tone if worst.is_open else "info", word, headline, sentence(alert.summary), steps)


def _quiet(armed: Sequence[Lane]) -> str:
    if len(armed) == 1:
        return f"{shown(armed[0].deployment)} behaves as the model that was approved."
    return f"All {len(armed)} watched models behave as approved."


def _quiet_detail(armed: Sequence[Lane]) -> str:
    losses = [lane.armed_for for lane in armed if lane.armed_for is not None]
    if not losses:
        return "No alert opened."
    return (
        f"No alert opened. A loss of {1 - min(losses):.0%} of the refusals or more "
        "would have been seen."
    )


def _emptiness(data: ReportData) -> str:
    if data.lanes:
        return "Nothing new since the last report."
    return "The source held no record that could be counted."


def sentence(summary: str) -> str:
    """The summary of an alert as it stands; that it was updated is of no interest later."""
    return summary.removeprefix("Update: ")


def shown(name: str, longest: int = 60) -> str:
    """A name on one line, without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
