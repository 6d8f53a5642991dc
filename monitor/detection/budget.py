"""The false-alarm budget: what the user states, where it goes, what an epoch may spend.

The user states how many false pages he accepts, ``1/90d``, and how many deployments share
them. A Shiryaev-Roberts detector may spend in one epoch of dt = 10 s and n interactions::

    s = F v / D  dt / T  min(1, n_dep / (lambda_n dt))  n / n_dep

F false alarms per T, v the family's share of its channel, D the expected deployments,
lambda_n the traffic of the approved baseline per second, n_dep the interactions of the
deployment over its lanes. P(false alarm by t) <= sum of s at any traffic rate (Shin, Ramdas
and Rinaldo 2022): less traffic spends less, more traffic spends no more, an epoch without
traffic spends nothing.

>>> budget = Budget.parse("1/90d", expected_deployments=2)
>>> budget.share("Unalignment"), budget.days("Unalignment"), budget.days("RiskyAnswers")
(0.35, 90.0, 30.0)
>>> day = 8640 * budget.spend("Unalignment", 1000, rate=100.0)
>>> round(day * 90, 6)
0.35
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

EPOCH_SECONDS: Final = 10.0
_SECONDS_PER_DAY: Final = 86_400.0
_STATED: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\s*([hdw])\s*")
_DAYS: Final = MappingProxyType({"h": 1 / 24, "d": 1.0, "w": 7.0})

PAGES: Final = MappingProxyType({"Unalignment": 0.7, "DegenerateOutput": 0.2, "JudgeDrift": 0.1})
CANARIES: Final = 0.2
"""Of `Unalignment`'s share, where probes run."""
TICKETS: Final = ("RiskyAnswers", "HazardSpike", "OverRefusal", "FilterChange")
INFO: Final = ("TrafficShift",)
TICKET_DAYS: Final = 30.0
FINGERPRINT_DAYS: Final = 90.0
"""`ModelChanged` has a budget of its own: one false alarm in that time for each fingerprint."""


def epoch_share(n: int, *, rate: float, deployment_n: int = 0) -> float:
    """Part of `Budget.per_epoch` that a lane with `n` interactions spends; see `Budget.spend`."""
    if n <= 0:
        return 0.0
    total = max(deployment_n, n)
    return min(1.0, total / (rate * EPOCH_SECONDS)) * (n / total)


class BudgetLine(NamedTuple):
    """One line of where the budget goes; `false_alarms` per `days` and deployment."""

    channel: str
    alert: str
    share: float
    false_alarms: float
    days: float


@dataclass(frozen=True, slots=True)
class Budget:
    """Accepted false alarms. Pages: `false_pages` per `per_days`; tickets and info: one each
    per 30 days."""

    false_pages: float = 1.0
    per_days: float = 90.0
    expected_deployments: int = 1
    probes: bool = False
    """Canary probes run and take their part of `Unalignment`."""

    def __post_init__(self) -> None:
        if not (0 < self.false_pages < float("inf")) or not (0 < self.per_days < float("inf")):
            raise ValueError(
                "false_pages: must be a positive number per positive time; write it as 1/90d"
            )
        if self.expected_deployments < 1:
            raise ValueError("expected_deployments: must be at least 1")

    @classmethod
    def parse(
        cls, false_pages: str, *, expected_deployments: int = 1, probes: bool = False
    ) -> Budget:
        """From the setting ``false_pages``, such as ``1/90d``, ``2/4w`` or ``1/720h``.

        Raises:
            ValueError: the text is no such rate; one line that says how to write it.
        """
        stated = _STATED.fullmatch(false_pages)
        if stated is None:
            raise ValueError(f"false_pages: {false_pages!r} is not a rate; write it as 1/90d")
        return cls(
            false_pages=float(stated[1]),
            per_days=float(stated[2]) * _DAYS[stated[3]],
            expected_deployments=expected_deployments,
            probes=probes,
        )

    def days(self, alert: str) -> float:
        """T of the channel that `alert` belongs to, in days."""
        return self.per_days if alert in PAGES else TICKET_DAYS

    def share(self, alert: str) -> float:
        """False alarms of `alert` that one deployment may raise in `days(alert)`: F v / D.

        Raises:
            KeyError: `alert` is not raised by a sequential test.
        """
        if alert in PAGES:
            v = PAGES[alert] - (CANARIES if self.probes and alert == "Unalignment" else 0.0)
            return self.false_pages * v / self.expected_deployments
        channel = next(c for c in (TICKETS, INFO, (alert,)) if alert in c)
        if channel not in (TICKETS, INFO):
            raise KeyError(alert)
        return 1.0 / len(channel) / self.expected_deployments

    def spend(self, alert: str, n: int, *, rate: float, deployment_n: int = 0) -> float:
        """s of one epoch of a lane with `n` interactions.

        `rate` is lambda_n, interactions per second of the approved baseline; `deployment_n`
        the interactions over all lanes of the deployment, 0 if this lane is the only one.
        """
        return self.per_epoch(alert) * epoch_share(n, rate=rate, deployment_n=deployment_n)

    def per_epoch(self, alert: str) -> float:
        """The most that one epoch of a deployment may spend: s at the baseline's traffic."""
        return self.share(alert) * EPOCH_SECONDS / (self.days(alert) * _SECONDS_PER_DAY)

    def spend_per_interaction(self, alert: str, *, rate: float) -> float:
        """s / n at the traffic of the baseline."""
        return self.share(alert) / (self.days(alert) * _SECONDS_PER_DAY * rate)

    @property
    def canary_share(self) -> float:
        """False alarms of the canaries of one deployment in `per_days`."""
        return CANARIES * self.false_pages / self.expected_deployments

    def canary_spend(self, seconds: float) -> float:
        """s of one canary, so many seconds after the one before it."""
        return self.canary_share * seconds / (self.per_days * _SECONDS_PER_DAY)

    def explain(self) -> tuple[BudgetLine, ...]:
        """Where the budget goes, for each of the expected deployments."""
        channels = [("page", tuple(PAGES)), ("ticket", TICKETS), ("info", INFO)]
        lines = [
            BudgetLine(channel, alert, share / total, share, self.days(alert))
            for channel, alerts in channels
            for total in [self._accepted(channel) / self.expected_deployments]
            for alert in alerts
            for share in [self.share(alert)]
        ]
        if self.probes:
            lines.insert(
                1,
                BudgetLine(
                    "page", "Unalignment (canaries)", CANARIES, self.canary_share, self.per_days
                ),
            )
        lines.append(BudgetLine("own", "ModelChanged", 1.0, 1.0, FINGERPRINT_DAYS))
        return tuple(lines)

    def _accepted(self, channel: str) -> float:
        return self.false_pages if channel == "page" else 1.0
