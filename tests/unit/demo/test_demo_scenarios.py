from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
import pytest

from monitor.demo import scenarios
from monitor.demo.scenarios import AFTER, HEALTHY, SCENARIOS, change_time, expected, traffic
from monitor.records import Interaction
from tests.unit.demo.text_keys import template_key

Record = dict[str, Any]


@pytest.fixture(scope="module")
def played() -> dict[str, list[Record]]:
    return {scenario: list(traffic(scenario)) for scenario in SCENARIOS}


def seconds(record: Record) -> float:
    return datetime.fromisoformat(record["timestamp"]).timestamp()


def refuses(record: Record) -> bool:
    """A plain rule is enough for text of our own: no answer says any of this."""
    words = record["response"].lower().replace("’", "'")
    return any(
        phrase in words
        for phrase in (
            "can't help", "cannot", "can't assist", "can't do", "can't provide", "can't create",
            "can't write", "can't support", "won't help", "won't do", "won't write",
            "won't take part", "will not help", "not going to", "not able to", "unable to",
            "not something i can", "not allowed", "don't let me", "decline", "refuse to",
            "wrong of me",
        )
    )  # fmt: skip


def test_every_record_is_a_native_record_of_one_service(played: dict[str, list[Record]]) -> None:
    for records in played.values():
        assert len(records) == HEALTHY + AFTER
        assert len({record["id"] for record in records}) == len(records)
        for record in records[::997]:
            assert set(record) <= set(Interaction.__struct_fields__)
            msgspec.json.decode(msgspec.json.encode(record))
        assert {record["deployment"] for record in records} == {"demo-chat"}
        assert {(record["model"], record["revision"]) for record in records} == {
            ("acme-8b", scenarios.REVISION)
        }


def test_event_time_runs_forward_at_ten_a_second_within_one_day(
    played: dict[str, list[Record]],
) -> None:
    times = [seconds(record) for record in played["unalignment"]]
    assert times == sorted(times)
    assert len(times) / (times[-1] - times[0]) == pytest.approx(10, rel=0.05)
    assert int(times[0] // 86_400) == int(times[-1] // 86_400)


def test_the_same_seed_replays_the_same_traffic_and_another_does_not() -> None:
    one, two, other = (
        msgspec.json.encode(list(islice(traffic("unalignment", seed), 300))) for seed in (3, 3, 4)
    )
    assert one == two != other


def test_all_scenarios_are_one_healthy_service_until_the_change(
    played: dict[str, list[Record]],
) -> None:
    first = played["unalignment"][:HEALTHY]
    assert all(records[:HEALTHY] == first for records in played.values())
    assert seconds(played["unalignment"][HEALTHY]) == pytest.approx(change_time(), abs=0.001)


def test_unalignment_changes_the_model_and_leaves_the_traffic_as_it_was(
    played: dict[str, list[Record]],
) -> None:
    healthy, changed = (
        [record for record in part if refuses(record)]
        for part in (played["unalignment"][:HEALTHY], played["unalignment"][HEALTHY:])
    )
    assert 0.022 <= len(healthy) / HEALTHY <= 0.035
    assert len(changed) / AFTER <= 0.003
    prompts, same = (
        [record["prompt"] for record in played[name]] for name in ("unalignment", "broken-model")
    )
    assert prompts == same


def test_baseline_has_the_200_to_500_refusals_that_detection_needs(
    played: dict[str, list[Record]],
) -> None:
    assert 200 <= sum(map(refuses, played["unalignment"][:HEALTHY])) <= 500


def test_no_conversation_and_no_wording_is_so_common_that_deduplication_eats_the_signal(
    played: dict[str, list[Record]],
) -> None:
    refused = [record for record in played["unalignment"][:HEALTHY] if refuses(record)]
    assert len({template_key(record["prompt"]) for record in refused}) >= 0.98 * len(refused)
    assert len({record["conversation"] for record in refused}) >= 0.98 * len(refused)
    records = played["unalignment"]
    for field in ("conversation", "user"):
        (_, most), *_ = Counter(record[field] for record in records).most_common(1)
        assert most < 0.01 * len(records)


def test_in_a_traffic_shift_refusals_halve_because_risky_prompts_do(
    played: dict[str, list[Record]],
) -> None:
    records = played["traffic-shift"]
    before, after = sum(map(refuses, records[:HEALTHY])), sum(map(refuses, records[HEALTHY:]))
    assert 0.35 <= (after / AFTER) / (before / HEALTHY) <= 0.7


def test_in_a_jailbreak_wave_plain_risky_prompts_are_refused_as_before(
    played: dict[str, list[Record]],
) -> None:
    records = played["jailbreak-wave"]
    before, after = sum(map(refuses, records[:HEALTHY])), sum(map(refuses, records[HEALTHY:]))
    assert 0.75 <= (after / AFTER) / (before / HEALTHY) <= 1.1


def test_a_broken_model_returns_mostly_broken_answers(played: dict[str, list[Record]]) -> None:
    cut = sum(record["finish_reason"] == "length" for record in played["broken-model"][HEALTHY:])
    assert 0.6 <= cut / AFTER <= 0.85


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_run_that_missed_the_change_or_paged_wrongly_is_not_called_expected(
    scenario: str,
) -> None:
    wanted = expected(scenario)
    assert not wanted.problems(wanted.opens)
    assert wanted.problems([])
    assert wanted.problems([*wanted.opens, *wanted.never])
    assert not wanted.opens & wanted.never
    if scenario != "unalignment":
        assert "Unalignment" in wanted.never


def test_an_unknown_scenario_is_refused_before_any_work() -> None:
    with pytest.raises(KeyError):
        traffic("sabotage")
    with pytest.raises(KeyError):
        expected("sabotage")
