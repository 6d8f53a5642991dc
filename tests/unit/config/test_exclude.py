"""Which records are left out."""

from __future__ import annotations

from pathlib import Path

from monitor.config import ExcludeRule
from monitor.records import Interaction
from tests.unit.config.files import config, problems, write


def rules(folder: Path, text: str) -> tuple[ExcludeRule, ...]:
    return config(folder, f"exclude:\n{text}").exclude


def test_a_rule_excludes_when_all_its_fields_match_as_a_whole(tmp_path: Path) -> None:
    (rule,) = rules(tmp_path, "  - {user: red-team, model: {regex: 'llama.*'}}\n")
    assert rule.matches(Interaction(id="1", user="red-team", model="llama-3"))
    assert not rule.matches(Interaction(id="1", user="red-team", model="my-llama"))
    assert not rule.matches(Interaction(id="1", user="red-team-2", model="llama-3"))
    assert not rule.matches(Interaction(id="1", model="llama-3"))


def test_attributes_match_by_name(tmp_path: Path) -> None:
    (rule,) = rules(tmp_path, "  - attributes: {job: {regex: 'load-.*'}, team: qa}\n")
    assert rule.matches(Interaction(id="1", attributes={"job": "load-7", "team": "qa"}))
    assert not rule.matches(Interaction(id="1", attributes={"job": "load-7"}))
    assert not rule.matches(Interaction(id="1"))


def test_an_exact_value_is_not_a_pattern(tmp_path: Path) -> None:
    (rule,) = rules(tmp_path, "  - {user: 'a.c'}\n")
    assert rule.matches(Interaction(id="1", user="a.c"))
    assert not rule.matches(Interaction(id="1", user="abc"))


def test_no_rule_excludes_everything() -> None:
    assert not ExcludeRule().matches(Interaction(id="1"))


def test_text_of_prompts_is_no_field_to_match(tmp_path: Path) -> None:
    assert "is not a setting" in problems(write(tmp_path, "exclude: [{prompt: x}]\n"))[0]
    wrong = problems(write(tmp_path, "exclude: [{user: 5}, {user: {rgx: a}}, {user: {regex: 5}}]"))
    assert [line.partition("; ")[0] for line in wrong] == [
        "backslide.yaml:1: exclude[0].user: is neither text nor a regex",
        "backslide.yaml:1: exclude[1].user: is neither text nor a regex",
        "backslide.yaml:1: exclude[2].user: the regex must be text",
    ]
