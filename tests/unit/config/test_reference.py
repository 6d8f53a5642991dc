"""The committed reference says what the models say, and its example works."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from monitor.config import load
from monitor.config.fields import settings, variables
from monitor.config.reference import json_schema, markdown, to_yaml
from tests.unit.config.files import write

COMMITTED = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_committed_reference_is_the_generated_one() -> None:
    """Update it with: backslide config schema --output markdown > docs/configuration.md"""
    assert COMMITTED.read_text(encoding="utf-8") == markdown()


def test_every_setting_has_a_meaning() -> None:
    assert [path for path, info in settings() if not info.description] == []


def test_the_example_of_the_reference_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", markdown(), re.S)
    for name in ("kafka-password", "pagerduty"):
        (tmp_path / name).write_text("hush")
    loaded = load(write(tmp_path, example.replace("/run/secrets", str(tmp_path))))
    assert loaded.exclude[1].attributes["job"].matches("load-test-7")


def test_a_variable_that_the_reference_promises_is_read() -> None:
    assert "BACKSLIDE_SOURCE__KAFKA__SASL_PASSWORD_FILE" in variables()
    assert not any("*" in name for name in variables())


def test_settings_in_force_can_be_loaded_again(tmp_path: Path) -> None:
    environ = {"BACKSLIDE_BASELINE__WINDOW": "20000", "BACKSLIDE_PIPELINE__IDLE_TICK": "90s"}
    loaded = load(environ=environ)
    assert load(write(tmp_path, to_yaml(loaded))) == loaded


def test_the_schema_names_every_section_and_refuses_others() -> None:
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {str(path[0]) for path, _ in settings() if len(path) == 1}
    duration = schema["$defs"]["Pipeline"]["properties"]["idle_tick"]
    assert "string" in duration["type"]
    assert os.linesep.join(schema["$defs"])
