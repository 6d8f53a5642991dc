"""What the detect step finds and remembers does not depend on how records come in polls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.pipeline.learning import WindowRule
from tests.unit.pipeline.streams import START, Detector, Stream, stream, unjudged, verdicts

N = 4_000


def one_model() -> Stream:
    return stream(verdicts(N, lost_from=2_500))


def two_deployments() -> Stream:
    names = ["chat" if i % 3 else "code" for i in range(N)]
    return stream(verdicts(N, lost_from=2_800, deployments=names))


def new_artifacts() -> Stream:
    """Twelve artifacts take turns after the window; eight lanes, then `other`."""
    rng = np.random.default_rng(5)
    names = ["m@1" if i < 2_200 or rng.random() < 0.5 else f"m@{rng.integers(2, 14)}"
             for i in range(N)]  # fmt: skip
    return stream(verdicts(N, lost_from=2_200, artifacts=names))


def many_replicas() -> Stream:
    """More replicas in one epoch than are remembered."""
    rng = np.random.default_rng(6)
    pods = [f"pod-{rng.integers(0, 300)}" for _ in range(N)]
    return stream(verdicts(N, rate=40.0, replicas=pods, lost_from=2_500))


def repeats() -> Stream:
    """The same users and templates over and over, over midnight."""
    batch = verdicts(N, seed=3, start=START + 11.9 * 3_600, lost_from=2_500)
    return stream(replace(batch, keys=batch.keys % np.uint64(1_500) + np.uint64(1)))


def disorder() -> Stream:
    """Late, missing and absurd time stamps."""
    rng = np.random.default_rng(7)
    batch = verdicts(N, lost_from=2_600)
    times = batch.timestamps + rng.normal(0, 30, N)
    times[rng.random(N) < 0.1] = np.nan
    times[rng.random(N) < 0.01] = START + 9e8
    return stream(replace(batch, timestamps=times))


def days_idle() -> Stream:
    """Lanes fall idle for more than a day and make room for new ones."""
    rng = np.random.default_rng(8)
    late = 3_000
    names = [
        "m@1" if i < 2_100 or rng.random() < 0.3
        else f"m@{rng.integers(2, 11) if i < late else rng.integers(11, 21)}"
        for i in range(N)
    ]  # fmt: skip
    batch = verdicts(N, artifacts=names)
    times = batch.timestamps.copy()
    times[late:] += 86_400.0 - 270.0 + np.arange(N - late) * 0.3
    return stream(replace(batch, timestamps=times))


def rejects() -> Stream:
    """A producer breaks and recovers; another one is rejected from the start."""
    rng = np.random.default_rng(9)
    places = np.flatnonzero(rng.random(2 * N) < 0.45)
    bad = [(int(p), "chat" if rng.random() < 0.6 else "never-parsed") for p in places]
    return stream(verdicts(2 * N - len(bad)), bad)


def rejects_while_learning() -> Stream:
    """A producer breaks before its window is over."""
    return stream(verdicts(2_500), [(p, "chat") for p in range(900, 1_900)])


def dark() -> Stream:
    """Long stretches that cannot be judged, the first one while learning."""
    rows = [*range(300, 1_900), *range(2_600, 3_700)]
    return stream(unjudged(verdicts(N), rows))


def never_judged() -> Stream:
    """Windows that end without a single judged record, then one that does not."""
    return stream(unjudged(verdicts(N), range(2_050)))


def cannot_refuse() -> Stream:
    """A model whose refusals the classifier does not see."""
    return stream(verdicts(N, lost_from=0))


CASES: dict[str, tuple[Callable[[], Stream], WindowRule]] = {
    "one model": (one_model, WindowRule(records=2_000)),
    "until armed": (one_model, WindowRule()),
    "window by time": (one_model, WindowRule(seconds=150.0)),
    "window by time, disorder": (disorder, WindowRule(seconds=150.0)),
    "two deployments": (two_deployments, WindowRule(records=1_200)),
    "new artifacts": (new_artifacts, WindowRule(records=2_000)),
    "many replicas": (many_replicas, WindowRule(records=2_000)),
    "repeats over midnight": (repeats, WindowRule(records=2_000)),
    "disorder": (disorder, WindowRule(records=2_000)),
    "idle for days": (days_idle, WindowRule(records=2_000)),
    "rejects": (rejects, WindowRule(records=1_500)),
    "rejects while learning": (rejects_while_learning, WindowRule(records=1_200)),
    "dark": (dark, WindowRule(records=2_000)),
    "dark, short window": (dark, WindowRule(records=700)),
    "never judged": (never_judged, WindowRule(records=500)),
    "cannot refuse": (cannot_refuse, WindowRule(records=1_500)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_cut_into_polls_and_restarts_leave_no_trace(case: str) -> None:
    make, rule = CASES[case]
    source = make()
    whole = Detector(rule=rule).feed(source).everything()
    rng = np.random.default_rng(len(case))
    for pieces, restart in ((3, False), (17, True), (120, False)):
        cuts = rng.integers(1, len(source), pieces).tolist()
        parts = Detector(rule=rule).feed(source, cuts, restart=restart).everything()
        for what, value in whole.items():
            assert parts[what] == value, f"{what} differ with {pieces} cuts, restart={restart}"


@settings(derandomize=True, max_examples=25, deadline=None,
          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
@given(
    cuts=st.lists(st.integers(1, 1_199), max_size=12),
    window=st.one_of(
        st.builds(WindowRule, records=st.integers(1, 900)),
        st.builds(WindowRule, seconds=st.floats(1.0, 90.0)),
        st.just(WindowRule()),
    ),
    seed=st.integers(0, 50),
)
def test_any_cut_of_any_window_gives_one_state(
    cuts: list[int], window: WindowRule, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    n = 1_000
    artifacts = [f"m@{i}" for i in rng.integers(1, 4, n)]
    names = [f"d{i}" for i in rng.integers(0, 3, n)]
    batch = verdicts(n, seed=seed, artifacts=artifacts, deployments=names, harmful_share=0.2)
    batch = unjudged(batch, np.flatnonzero(rng.random(n) < 0.3).tolist())
    bad = [(int(p), f"d{p % 4}") for p in rng.choice(1_200, 200, replace=False)]
    source = stream(batch, bad)
    whole = Detector(rule=window, breaker_records=50).feed(source)
    parts = Detector(rule=window, breaker_records=50).feed(source, cuts, restart=bool(seed % 2))
    assert parts.everything() == whole.everything()


def test_a_step_that_forgets_keys_between_polls_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = repeats()
    whole = Detector().feed(source).everything()
    parts = Detector()
    parts.step.seen = lambda *_: set()
    assert parts.feed(source, range(100, N, 100)).everything() != whole


def test_a_step_that_closes_epochs_with_each_poll_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = one_model()
    whole = Detector().feed(source).everything()
    parts = Detector()
    for poll in source.polls(range(70, N, 70)):
        parts.run(poll)
        parts.close()
    assert parts.everything() != whole


def test_no_alert_is_hidden_in_the_cases() -> None:
    """The cases above bring out what they are about."""
    opened = {case: set(Detector(rule=rule).feed(make()).opened())
              for case, (make, rule) in CASES.items()}  # fmt: skip
    assert "Unalignment" in opened["one model"]
    assert "UnapprovedArtifact" in opened["new artifacts"]
    assert "UnapprovedArtifact" in opened["idle for days"]
    assert "IngestBroken" in opened["rejects"]
    assert "Blind" in opened["dark"]
    assert "Blind" in opened["never judged"]
    assert "Blind" in opened["cannot refuse"]
