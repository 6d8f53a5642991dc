"""Configuration files for tests, and the exact form of a problem."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from monitor.config import Config, ConfigError, Flag, load

LINE = re.compile(r"(?:\S+:\d+|env BACKSLIDE_\w*|--[a-z-]+): [^:;]+: [^;]+; [^\n]+")
"""``file:line: field: problem; fix`` and its two variants."""


def write(folder: Path, text: str, name: str = "backslide.yaml") -> str:
    """The path of a new file that holds `text`."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def problems(
    file: str | None = None, environ: Mapping[str, str] | None = None, **flags: Any
) -> list[str]:
    """The lines of everything wrong, without the folder of `file`."""
    given = [Flag(f"--{name}", tuple(name.split("__")), value) for name, value in flags.items()]
    with pytest.raises(ConfigError) as caught:
        load(file, environ=environ, flags=given)
    folder = f"{Path(file).parent}/" if file else "\0"
    return [line.replace(folder, "") for line in str(caught.value).splitlines()]


def config(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    """What `text` configures."""
    return load(write(folder, text), environ=environ)
