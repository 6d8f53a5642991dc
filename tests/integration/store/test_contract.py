"""The contract on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from tests.integration.store.contract import StoreContract


class TestStore(StoreContract):
    """Runs once for each database that the `url` fixture offers."""
