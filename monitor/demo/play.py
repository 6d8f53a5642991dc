"""Play a scenario: made-up traffic through the real pipeline, until its outcome is known."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from monitor.alerts import Alert
from monitor.config import Config
from monitor.demo.live import alert_line, clock, live_line
from monitor.demo.scenarios import SEED, expected, traffic
from monitor.pipeline.assembly import run
from monitor.pipeline.deployment import Deployment
from monitor.pipeline.embedded import Progress
from monitor.pipeline.options import RunOptions
from monitor.pipeline.summary import Summary

BATCH: Final = 1_024
"""Smaller than in production: a replay shows how it goes after each batch."""

LINE_EVERY: Final = 1_000
"""Records between two live lines."""

WINDOW: Final = "10000"
"""Interactions from which the baseline is learned."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a scenario. `problems`: what is not as expected, empty if all is."""

    summary: Summary
    opened: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def expected(self) -> bool:
        return not self.problems


@dataclass(slots=True)
class Screen:
    """Turns progress into lines."""

    show: Callable[[str], None]
    opened: list[str] = field(default_factory=list)
    _shown: int = 0

    def __call__(self, progress: Progress) -> None:
        for line in progress.alerts.lines:
            alert = msgspec.json.decode(line, type=Alert)
            if alert.event == "open":
                self.opened.append(alert.alert)
            self.show(alert_line(alert))
        consumed = progress.totals.get(("consumed", ""), 0)
        if consumed - self._shown >= LINE_EVERY:
            self._shown = consumed
            for deployment in progress.deployments.values():
                self.show(self._standing(deployment))

    def _standing(self, deployment: Deployment) -> str:
        slot = next(iter(deployment.slots.values()), None)
        if slot is None:
            return (
                f"{clock(deployment.watermark)}  {deployment.name}  learning"
                f"  {deployment.consumed:,} interactions read"
            )
        gauges = slot.lane.gauges()
        return live_line(
            at=deployment.watermark,
            deployment=deployment.name,
            refused=gauges.refused_now,
            risky_answered=gauges.answered_now,
            baseline=(gauges.refused_before, gauges.answered_before),
            evidence=max(-99.0, min(gauges.refused_evidence, gauges.answered_evidence)),
            state=gauges.status,
        )


def play(
    scenario: str,
    *,
    report: str | None = None,
    seed: int = SEED,
    show: Callable[[str], None] = print,
) -> Played:
    """Replay `scenario` through the real pipeline, telling how it goes by `show`.

    Nothing is left behind but the report.

    Raises:
        KeyError: there is no such scenario.
    """
    wanted = expected(scenario)
    show(f"{wanted.story}")
    screen = Screen(show)
    with tempfile.TemporaryDirectory(prefix="backslide-demo-") as folder:
        source = Path(folder) / "outputs.jsonl"
        with source.open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(record) + "\n" for record in traffic(scenario, seed))
        config = Config.model_validate(
            {
                "source": {"url": str(source)},
                "store": {"url": str(Path(folder) / "backslide.db")},
                "alerts": {"log": {"enabled": False}},
                "baseline": {"window": WINDOW},
                "pipeline": {"batch_size": BATCH},
            }
        )
        options = RunOptions.of(config, {"report": report})
        summary = run(config, options, progress=screen, story=wanted.story).summary
    problems = tuple(wanted.problems(screen.opened))
    for problem in problems:
        show(f"not as expected: {problem}")
    if not problems:
        show(f"As expected: {', '.join(dict.fromkeys(screen.opened)) or 'nothing'} was found.")
    if report is not None:
        show(f"Report: {report}")
    return Played(summary, tuple(screen.opened), problems)
