"""Fixtures that every test may use: the real services."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.services.events_v2 import certificate, events_v2
from tests.services.kafka import kafka, secure_kafka
from tests.services.postgres import postgres_database, postgres_url

__all__ = [
    "certificate", "events_v2", "kafka", "postgres_database", "postgres_url", "secure_kafka",
]  # fmt: skip

_BROKERS = {"kafka", "secure_kafka"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let kafka-python, and only it, leave sockets to the garbage collector.

    It does not close a socket that could not connect, nor one with unsent bytes.
    """
    ignored = "ignore:Exception ignored in. <(socket|ssl):pytest.PytestUnraisableExceptionWarning"
    for item in items:
        if _BROKERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.filterwarnings(ignored))


@pytest.fixture(autouse=True)
def _collect_sockets_of_kafka_python(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect them where they were left, not in a later test that must not leave any."""
    yield
    if _BROKERS & set(request.fixturenames):
        gc.collect()
