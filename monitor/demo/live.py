"""The lines a terminal shows while traffic is replayed: plain text, one line each."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from monitor.alerts.alert import Alert

NAME_WIDTH: Final = 20


def live_line(
    *,
    at: float,
    deployment: str,
    state: str,
    refused: float | None = None,
    risky_answered: float | None = None,
    baseline: tuple[float, float] | None = None,
    evidence: float | None = None,
    note: str = "",
) -> str:
    """How things stand at event time `at`.

    `refused` and `risky_answered` are per 1,000 interactions of the last stretch, `baseline` is
    the same pair of the approved model, `evidence` is log10 of the lesser witness (an alarm
    needs 0) and `note` says how far learning has got, say.

    >>> live_line(at=1772454700, deployment="demo-chat", refused=21.3, risky_answered=1.9,
    ...           baseline=(20.9, 2.0), evidence=-3.1, state="armed")
    '12:31:40  demo-chat  refused 21.3/1k (baseline 20.9)  risky answered 1.9/1k \
(baseline 2.0)  evidence -3.1  armed'
    """
    parts = [clock(at), plain(deployment)]
    normal = baseline or (None, None)
    if refused is not None:
        parts.append(_rate("refused", refused, normal[0]))
    if risky_answered is not None:
        parts.append(_rate("risky answered", risky_answered, normal[1]))
    if evidence is not None and math.isfinite(evidence):
        parts.append(f"evidence {evidence:+.1f}" if evidence > 0 else f"evidence {evidence:.1f}")
    parts.append(plain(state))
    if note:
        parts.append(plain(note, 40))
    return "  ".join(parts)


def alert_line(alert: Alert) -> str:
    """An alert as it opens, changes or resolves, in one sentence."""
    verb = {"open": "ALERT", "update": "UPDATE", "resolve": "RESOLVED"}.get(alert.event, "ALERT")
    at = datetime.fromisoformat(alert.at).timestamp()
    return f"{clock(at)}  {verb} ({alert.severity}) {alert.alert}: {plain(alert.summary, 500)}"


def clock(at: float) -> str:
    """Event time as ``HH:MM:SS`` (UTC)."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


def plain(text: str, longest: int = NAME_WIDTH) -> str:
    """`text` on one line, without control characters a terminal would obey."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _rate(what: str, value: float, normal: float | None) -> str:
    text = f"{what} {value:.1f}/1k"
    return text if normal is None else f"{text} (baseline {normal:.1f})"
