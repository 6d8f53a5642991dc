"""The last line a run prints, and the exit code that follows from it."""

from __future__ import annotations

from typing import Final

import msgspec

SCHEMA: Final = "backslide.summary/1"
REJECTED_LIMIT: Final = 0.05
"""More than this share of the input rejected is a failure of its own (exit 5)."""
ARMED_STATES: Final = frozenset({"armed", "warning", "firing"})


class LaneSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One lane at the end of a run."""

    deployment: str
    artifact: str
    state: str
    """``learning``, ``candidate``, ``armed``, ``warning``, ``firing`` or ``blind``."""
    reference_n: int = 0
    """Judged interactions behind the reference."""
    armed_for: float | None = None
    """Share of refusals left that a loss must reach to be seen, or ``None``."""
    coverage: float | None = None
    """judged / (judged + unjudged), or ``None`` before anything was read."""


class AlertCounts(msgspec.Struct, frozen=True):
    opened: int = 0
    resolved: int = 0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Schema ``backslide.summary/1``: `consumed` = `classified` + `skipped` + `dead_lettered`;
    `duplicates` (re-delivered offsets) are not in `consumed`."""

    schema: str = SCHEMA
    consumed: int = 0
    classified: int = 0
    skipped: dict[str, int] = {}
    dead_lettered: dict[str, int] = {}
    duplicates: int = 0
    deployments: tuple[LaneSummary, ...] = ()
    alerts: AlertCounts = AlertCounts()

    def to_line(self) -> str:
        """One line of JSON, without the line break."""
        return msgspec.json.encode(self).decode()

    @property
    def rejected_share(self) -> float:
        """Dead letters per consumed record; 0 for an empty input."""
        return sum(self.dead_lettered.values()) / self.consumed if self.consumed else 0.0


def exit_code_of(
    summary: Summary,
    rejected_share: float,
    exit_code_flag: bool,
    *,
    findings: int | None = None,
    ever_armed: bool | None = None,
) -> int:
    """Exit code of a run that came to its end (DESIGN 10).

    A page or ticket outranks a rejected input, for it stands whatever was rejected; a lane that
    was never armed comes last, for a rejected input explains it.

    Args:
        summary: what the run printed.
        rejected_share: dead letters per record that *this* process consumed.
        exit_code_flag: whether ``--exit-code`` was given; without it 3 and 4 never appear.
        findings: pages and tickets opened by this process; by default all alerts opened.
        ever_armed: whether any lane was armed at any time; by default, whether one is at the end.
    """
    opened = summary.alerts.opened if findings is None else findings
    if ever_armed is None:
        ever_armed = any(lane.state in ARMED_STATES for lane in summary.deployments)
    if exit_code_flag and opened:
        return 3
    if rejected_share > REJECTED_LIMIT:
        return 5
    if exit_code_flag and not ever_armed:
        return 4
    return 0
