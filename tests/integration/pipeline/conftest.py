"""Stores that have learned a healthy model, made once and copied for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.pipeline.places import Place, healthy

LEARNED = 10_500
"""Healthy records read before any test begins."""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BACKSLIDE_")]:
        monkeypatch.delenv(name)


def _learn(folder: Path, *more: str) -> Path:
    place = Place(folder)
    place.write("healthy.jsonl", healthy(0, LEARNED))
    place.run("healthy.jsonl", *more)
    return folder


@pytest.fixture(scope="session")
def armed_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _learn(tmp_path_factory.mktemp("armed"))


@pytest.fixture(scope="session")
def candidate_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _learn(tmp_path_factory.mktemp("candidate"), "--no-auto-approve")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Place]:
    """A folder without a store."""
    place = Place(tmp_path)
    yield place
    place.close()


@pytest.fixture
def armed(armed_store: Path, empty: Place) -> Place:
    """A store with an approved, armed baseline of demo-chat."""
    shutil.copy(armed_store / "store.db", empty.folder)
    return empty


@pytest.fixture
def candidate(candidate_store: Path, empty: Place) -> Place:
    """A store whose baseline nobody has approved."""
    shutil.copy(candidate_store / "store.db", empty.folder)
    return empty
