"""What is shown to the outside is what was committed, from the first moment on."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.alerts import Incidents
from monitor.pipeline import observe as module
from monitor.pipeline.learning import WindowRule
from monitor.pipeline.observe import Observatory
from monitor.store.base import StoreError
from monitor.telemetry import MetricsSnapshot
from tests.unit.pipeline.streams import Detector, stream, verdicts

COMMITTED = {("consumed", ""): 4_711, ("outcome", "chat|refused"): 12}


def embedded(detector: Detector | None = None, **changes: Any) -> Any:
    """As much of a run as the observatory looks at; not loaded yet."""
    store = SimpleNamespace(totals=lambda: COMMITTED, outbox_backlog=lambda: (2, 90.0))
    made = {
        "store": store,
        "source": SimpleNamespace(lag=lambda: {0: 5}),
        "detect": (detector or Detector()).step,
        "memory": SimpleNamespace(desk=SimpleNamespace(incidents=Incidents())),
        "totals": Counter[tuple[str, str]](),
        "clock": lambda: 100.0,
        "beat": 0.0,
        "started": False,
    }
    return SimpleNamespace(**(made | changes))


def values(snapshot: MetricsSnapshot) -> dict[tuple[str, ...], float]:
    return {(s.metric.name, *s.labels): s.value for s in snapshot.samples()}


def test_counters_do_not_begin_at_zero_after_a_restart() -> None:
    """A scrape while the broker is still being reached would be taken for a reset."""
    shown = values(Observatory(embedded(), {}).snapshot)
    assert shown["records_consumed",] == 4_711
    assert shown["verdicts", "chat", "refused"] == 12


def test_lanes_are_shown_with_state_and_evidence() -> None:
    detector = Detector(WindowRule(records=5_000))
    detector.feed(stream(verdicts(9_400, harmful_share=0.05, lost_from=5_400)))
    observatory = Observatory(embedded(detector, totals=Counter(COMMITTED)), {})
    observatory.refresh()
    shown = values(observatory.snapshot)
    assert shown["lane_state", "chat", "m@1", "firing"] == 1.0
    assert shown["coverage_ratio", "chat", "m@1"] == 1.0
    assert shown["source_lag_records", "0"] == 5
    assert shown["outbox_pending",] == 2
    assert shown["outbox_oldest",] == 10.0
    before = shown["witness_events_per_thousand", "chat", "m@1", "refused", "before"]
    assert before > 5 * shown["witness_events_per_thousand", "chat", "m@1", "refused", "now"]


def test_a_deployment_that_learns_shows_how_long_it_will() -> None:
    detector = Detector(WindowRule(records=1_000)).feed(stream(verdicts(500)))
    observatory = Observatory(embedded(detector), {})
    observatory.refresh()
    shown = values(observatory.snapshot)
    assert shown["lane_state", "chat", "", "learning"] == 1.0
    assert shown["learning_eta", "chat"] == pytest.approx(50.0, rel=0.05)


def test_a_snapshot_is_taken_once_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    observatory = Observatory(embedded(), {})
    observatory.refresh()
    first = observatory.snapshot
    now[0] += 0.9
    observatory.refresh()
    assert observatory.snapshot is first
    now[0] += 0.2
    observatory.refresh()
    assert observatory.snapshot is not first


def test_a_run_without_its_source_is_not_ready() -> None:
    assert not Observatory(embedded(), {}).ready().ok
    assert Observatory(embedded(started=True), {}).ready().ok


def test_a_run_without_its_store_is_not_ready() -> None:
    def away() -> tuple[int, float | None]:
        raise StoreError("the database is away; start it")

    run = embedded(started=True)
    run.store.outbox_backlog = away
    health = Observatory(run, {}).ready()
    assert (health.ok, health.reason) == (False, "the database is away; start it")


def test_a_loop_that_stands_still_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Observatory(embedded(), {}).healthy().ok
    assert not Observatory(embedded(beat=-1e9), {}).healthy().ok
