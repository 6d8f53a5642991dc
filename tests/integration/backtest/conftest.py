"""A past with a loss of refusals, in one file and in two."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from monitor.demo.scenarios import HEALTHY, traffic

WINDOW = "10000"
READ = HEALTHY + 4_000
CUT = HEALTHY + 500


def write(path: Path, scenario: str, first: int = 0, last: int = READ) -> Path:
    with path.open("w") as file:
        for i, record in enumerate(traffic(scenario)):
            if first <= i < last:
                file.write(json.dumps(record) + "\n")
    return path


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("past") / "past.jsonl", "unalignment")


@pytest.fixture(scope="session")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("halves")
    return (
        write(folder / "old.jsonl", "unalignment", last=CUT),
        write(folder / "new.jsonl", "unalignment", first=CUT),
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory without variables of ours."""
    for name in [name for name in os.environ if name.startswith("BACKSLIDE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path
