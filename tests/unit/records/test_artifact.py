"""Which weights and settings answered."""

from __future__ import annotations

import re
import time

import msgspec
import pytest

from monitor.records import artifact
from monitor.records.artifact import artifact_id
from monitor.records.interaction import Interaction

KEY = b"secret"


def named(**fields: object) -> str:
    return artifact_id(msgspec.convert({"id": "1", **fields}, Interaction), KEY)


def test_the_name_can_be_read() -> None:
    assert named(model="m") == "m"
    assert named(model="org/m", revision="a1") == "org/m@a1"
    assert named(model="m", revision="a1", adapters=["law", "tone"]) == "m@a1+law+tone"
    assert named(model="m", adapters=["tone"]) == "m+tone"


def test_what_is_not_known_is_left_out_and_nothing_at_all_has_a_name_too() -> None:
    assert named() == "unknown"
    assert named(revision="a1") == "unknown@a1"
    assert re.fullmatch(r"unknown#[0-9a-f]{12}", named(system_prompt="Be kind."))
    assert re.fullmatch(r"m#[0-9a-f]{12}", named(model="m", chat_template="{{ x }}"))


def test_a_changed_system_prompt_or_template_or_adapter_is_another_artifact() -> None:
    names = [
        named(model="m"),
        named(model="m", system_prompt="Be kind."),
        named(model="m", system_prompt="Be rude."),
        named(model="m", chat_template="Be kind."),
        named(model="m", system_prompt="Be kind.", chat_template="x"),
        named(model="m", adapters=["a"]),
        named(model="m", adapters=["b"]),
        named(model="m", revision="a"),
    ]
    assert len(set(names)) == len(names)


def test_the_order_of_adapters_does_not_make_a_new_artifact() -> None:
    assert named(model="m", adapters=["a", "b"]) == named(model="m", adapters=["b", "a", "b"])


@pytest.mark.parametrize(
    "today",
    [
        "Monday, 3 November 2025", "Tuesday, 25 December 2026", "2025-11-03", "2026-12-25T08:30Z",
        "Nov 3rd", "Fri Jan 2", "9:05 am", "11:45 PM", "may 4",
        "1f0c9a2e-77aa-4b1b-9f6f-0a1b2c3d4e5f",
    ],
)  # fmt: skip
def test_the_date_in_a_system_prompt_does_not_make_a_new_artifact_each_day(today: str) -> None:
    other = " ".join("2031-01-01" for _ in today.split())
    prompt = "You are a helpful assistant. Current date: {}. Be brief."
    assert named(system_prompt=prompt.format(today)) == named(system_prompt=prompt.format(other))


def test_without_masking_each_day_would_be_a_new_artifact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "_VARIABLE", re.compile(r"(?!)"))
    assert named(system_prompt="It is day 1.!") != named(system_prompt="It is day 2.!")


def test_the_system_prompt_cannot_be_guessed_from_the_name_without_the_key() -> None:
    interaction = Interaction(id="1", system_prompt="The password is fern.")
    name = artifact_id(interaction, KEY)
    assert "fern" not in name
    assert name != artifact_id(interaction, b"other")
    assert artifact_id(interaction, b"k" * 200) != artifact_id(interaction, b"k" * 201)


def test_the_operator_chooses_what_makes_an_artifact() -> None:
    interaction = Interaction(id="1", model="m", revision="a", system_prompt="Hello Ann.")
    assert artifact_id(interaction, KEY, ("model", "revision")) == "m@a"
    assert artifact_id(interaction, KEY, ("model",)) == "m"


def test_names_are_bounded() -> None:
    long = ["x" * 200 + str(i) for i in range(16)]
    assert len(named(model="m" * 200, adapters=long, system_prompt="x")) <= 213
    assert named(model="m", adapters=long) != named(model="m", adapters=long[:-1])


def test_the_cache_is_bounded() -> None:
    for i in range(2000):
        named(model=f"m{i}")
    info = artifact._artifact_id.cache_info()
    assert info.currsize <= (info.maxsize or 0) <= 4096


def test_masking_takes_linear_time_on_hostile_system_prompts() -> None:
    for unit in ("a", "-", "a-", "é", "1", "mon", "january-", "_"):
        begun = time.process_time()
        named(system_prompt=unit * (65_536 // len(unit)))
        assert time.process_time() - begun < 2
