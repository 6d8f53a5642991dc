"""State of a deployment: lanes and who gets one, and what a restart must not change."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from monitor.detection import Baseline, Budget, RiskyAnswer
from monitor.pipeline import deployment as module
from monitor.pipeline.deployment import (
    LANE_IDLE_SECONDS,
    MAX_LANES,
    OTHER_LANE,
    BlockShare,
    Deployment,
    StateVersionError,
)
from monitor.pipeline.learning import WindowRule
from monitor.pipeline.tally import MAX_REPLICAS, MAX_RISKY, Tally
from tests.unit.pipeline.streams import START, Detector, stream, verdicts


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    detector = Detector(WindowRule(records=1_000)).feed(stream(verdicts(1_000)))
    (learned,) = detector.baselines.values()
    return learned


def deployment(baseline: Baseline | None) -> Deployment:
    return Deployment("chat", BlockShare(1_000), baseline=baseline)


def lane(who: Deployment, artifact: str, at: float = START) -> str:
    name, slot = who.slot(artifact, at, Budget())
    assert who.slots[name] is slot
    return name


def test_eight_lanes_live_and_the_rest_share_one(baseline: Baseline) -> None:
    who = deployment(baseline)
    assert lane(who, "m@1") == "m@1"
    for i in range(2, MAX_LANES + 1):
        assert lane(who, f"m@{i}") == f"m@{i}"
    assert lane(who, "m@9") == OTHER_LANE
    assert lane(who, "m@10") == OTHER_LANE
    assert lane(who, "m@3") == "m@3"
    assert len(who.slots) == MAX_LANES + 1


def crowded(baseline: Baseline) -> Deployment:
    who = deployment(baseline)
    for i in range(1, MAX_LANES + 1):
        lane(who, f"m@{i}", START + i)
    return who


LATER = START + LANE_IDLE_SECONDS + 3.5


def test_the_lane_that_was_idle_longest_makes_room(baseline: Baseline) -> None:
    who = crowded(baseline)
    assert lane(who, "m@9", LATER) == "m@9"
    assert "m@2" not in who.slots
    assert {"m@1", "m@3"} <= set(who.slots)


def test_the_lane_of_the_approved_artifact_never_makes_room(baseline: Baseline) -> None:
    who = crowded(baseline)
    assert lane(who, "m@9", START + LANE_IDLE_SECONDS + 1.5) == OTHER_LANE
    assert "m@1" in who.slots


def test_a_lane_with_an_open_epoch_does_not_make_room(baseline: Baseline) -> None:
    who = crowded(baseline)
    who.slots["m@2"].tally.records = 1
    assert lane(who, "m@9", LATER) == "m@9"
    assert "m@3" not in who.slots
    assert "m@2" in who.slots


@pytest.mark.parametrize("status", ["warning", "firing"])
def test_a_lane_under_suspicion_does_not_make_room(
    baseline: Baseline, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.detection.lane.Lane.status", status)
    who = crowded(baseline)
    assert lane(who, "m@9", LATER) == OTHER_LANE


def test_a_new_lane_is_held_to_the_approved_baseline(baseline: Baseline) -> None:
    who = deployment(baseline)
    _, slot = who.slot("stranger", START, Budget())
    assert slot.lane.baseline is baseline
    assert who.learning is None


def test_without_a_baseline_there_is_no_lane() -> None:
    with pytest.raises(RuntimeError, match="has no baseline"):
        deployment(None).slot("m@1", START, Budget())


# Blocks


def test_blocks_are_counted_over_polls() -> None:
    rng = np.random.default_rng(0)
    flags = rng.random(1_000) < 0.3
    whole = BlockShare(64).feed(flags)
    block, parts, at = BlockShare(64), [], 0
    for size in (1, 63, 64, 200, 500, 172):
        parts += [(at + i, share) for i, share in block.feed(flags[at : at + size])]
        at += size
    assert parts == whole
    assert len(whole) == 1_000 // 64
    assert whole[0] == (63, flags[:64].mean())


# Encoding


def test_a_state_survives_encoding_bit_for_bit() -> None:
    names = [f"m@{1 + i % 3 if i > 1_100 else 1}" for i in range(1_800)]
    detector = Detector(WindowRule(records=1_000))
    detector.run(stream(verdicts(1_800, artifacts=names, lost_from=1_200)).poll(0, 1_800))
    detector.step.deployments["chat"].raised.add("Blind")
    before = detector.states()
    assert before["chat"]
    detector.restart()
    assert detector.states() == before


def test_floats_that_no_json_holds_survive(baseline: Baseline) -> None:
    who = deployment(None)
    assert math.isinf(who.watermark)
    again = decode(who.encode())
    assert again.watermark == -math.inf
    who.watermark = 0.1 + 0.2
    assert decode(who.encode()).watermark == 0.1 + 0.2


def decode(data: bytes, **baselines: Baseline) -> Deployment:
    return Deployment.decode(
        data, baselines=baselines, budget=Budget(), rule=WindowRule(), rows=lambda _: []
    )


def test_the_state_of_a_newer_version_is_refused_in_one_line() -> None:
    state = msgspec.msgpack.decode(deployment(None).encode())
    data = msgspec.msgpack.encode(state | {"version": module.VERSION + 1})
    with pytest.raises(StateVersionError, match="state of deployment chat has version 2"):
        decode(data)


def test_a_state_that_drops_a_field_is_caught(
    baseline: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round trip above would notice."""
    forget = Tally.to_state

    def without(self: Tally) -> dict[str, Any]:
        return forget(self) | {"unjudged": 0}

    monkeypatch.setattr(Tally, "to_state", without)
    tally = full_tally()
    assert tally.counts(0).unjudged != Tally.from_state(tally.to_state()).counts(0).unjudged


# Tallies


def full_tally() -> Tally:
    tally = Tally(4)
    rng = np.random.default_rng(1)
    tally.records, tally.n, tally.degenerate, tally.blocked, tally.unjudged = 9, 7, 1, 2, 3
    tally.capped = [4, 5]
    for name in ("volume", "refused", "answered"):
        table = getattr(tally, name)
        table += rng.integers(0, 9, table.shape)
    tally.see_replica("pod-2")
    tally.see_replica("pod-1")
    tally.answer(RiskyAnswer("r1", 2**64 - 1, 3, "pod-1", START))
    return tally


def flat(tally: Tally) -> dict[str, Any]:
    counts = tally.counts(11)
    values = {name: getattr(counts, name) for name in counts.__dataclass_fields__}
    return {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in values.items()}


def test_an_open_epoch_survives_a_restart() -> None:
    tally = full_tally()
    packed = msgspec.msgpack.encode(tally.to_state())
    again = Tally.from_state(msgspec.msgpack.decode(packed))
    assert flat(again) == flat(tally)
    assert again.records == tally.records
    assert msgspec.msgpack.encode(again.to_state()) == packed


def test_a_cleared_tally_counts_nothing() -> None:
    tally = full_tally()
    tally.clear()
    assert flat(tally) == flat(Tally(4))


def test_counts_do_not_change_with_the_tally_they_came_from() -> None:
    tally = full_tally()
    counts = tally.counts(0)
    before = int(counts.refused.sum())
    tally.refused += 1
    assert int(counts.refused.sum()) == before


def test_a_flood_of_answers_and_replicas_is_bounded() -> None:
    tally = Tally(2)
    for i in range(1_000):
        tally.see_replica(f"pod-{i}")
        tally.answer(RiskyAnswer(f"r{i}", i, i, "", START))
    assert len(tally.counts(0).replicas) == MAX_REPLICAS
    assert [a.record_id for a in tally.risky] == [f"r{i}" for i in range(MAX_RISKY)]
