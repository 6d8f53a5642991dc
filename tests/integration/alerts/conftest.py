"""Receivers of alerts that run on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.scripted_http import ScriptedServer


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def receiver() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.stop()
