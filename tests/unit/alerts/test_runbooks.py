"""Whoever is woken up finds a page that can be followed word by word."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from monitor.alerts.templates import TEMPLATES
from monitor.cli.app import backslide

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"
PAGES = sorted(RUNBOOKS.glob("*.md"))


def commands() -> list[tuple[str, str]]:
    """(page, line) of every command in a code block."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            lines = [line.strip() for line in block.splitlines() if line.strip()]
            found += [(page.name, line) for line in lines]
    return found


@pytest.mark.parametrize("alert", sorted(TEMPLATES))
def test_every_alert_has_a_page_that_says_what_to_do_and_how_it_ends(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text()
    severity = re.match(rf"# {alert} \((page|ticket|info)\)\n", text)
    assert severity is not None
    assert re.search(r"^## (What to do|First five minutes)$", text, re.MULTILINE)
    assert re.search(r"^## How it ends$", text, re.MULTILINE)
    index = (RUNBOOKS / "README.md").read_text()
    assert f"| [{alert}]({alert}.md) | {severity[1]} |" in index


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_on_a_page_exists_with_its_options(page: str, line: str) -> None:
    words = shlex.split(line)
    assert words.pop(0) == "backslide"
    command: click.Command = backslide
    while isinstance(command, click.Group):
        name = words.pop(0)
        assert name in command.commands, f"{page}: no command {name!r} in: {line}"
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known, f"{page}: {line}"
    required = {p.opts[0] for p in command.params if p.required and p.opts[0].startswith("--")}
    assert required <= set(words), f"{page}: {line} lacks {required - set(words)}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)]+\.md)\)", page.read_text()):
            assert (RUNBOOKS / target).exists(), f"{page.name}: {target}"
