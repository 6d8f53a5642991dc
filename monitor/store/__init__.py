"""Everything Backslide must not forget, in SQLite (default) or PostgreSQL."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from monitor.store.base import (
    Action,
    AlertRow,
    BaselineRow,
    Commit,
    FailedDelivery,
    LedgerEntry,
    ModelEventRow,
    OffsetMove,
    OutboxEntry,
    PendingDelivery,
    Retention,
    StateConflict,
    Store,
    StoreError,
    StoreLocked,
)
from monitor.store.database import (
    Address,
    create_file,
    parse,
    postgres_engine,
    sqlite_engine,
    store_errors,
)
from monitor.store.locks import AdvisoryLock, FileLock, Lock
from monitor.store.sql import SqlStore
from monitor.store.upgrade import upgrade

__all__ = [
    "Action",
    "AlertRow",
    "BaselineRow",
    "Commit",
    "FailedDelivery",
    "LedgerEntry",
    "ModelEventRow",
    "OffsetMove",
    "OutboxEntry",
    "PendingDelivery",
    "Retention",
    "SqlStore",
    "StateConflict",
    "Store",
    "StoreError",
    "StoreLocked",
    "open_store",
    "store_path",
]

_TEMPORARY: Final = (":memory:", "sqlite://", "sqlite:///:memory:")


def open_store(url: str, *, create: bool = True) -> SqlStore:
    """Open the store at `url` and bring its tables up to date.

    Args:
        url: a file path, ``sqlite:///path``, ``postgresql://user@host/database``, or
            ``:memory:`` for a store that is gone when it is closed.
        create: make the store if there is none; commands that only look pass False.

    Raises:
        StoreError: it cannot be opened; one line that names the fix and holds no password.
    """
    if url in _TEMPORARY:
        folder = Path(tempfile.mkdtemp(prefix="backslide-store-"))
        return _open(parse(str(folder / "store.db")), create=True, folder=folder)
    return _open(parse(url), create=create)


def store_path(url: str) -> Path | None:
    """The file of the store at `url`; ``None`` for a server and for a store without a place.

    Raises:
        StoreError: it is no address of a store.
    """
    return None if url in _TEMPORARY else parse(url).path


def _open(address: Address, *, create: bool, folder: Path | None = None) -> SqlStore:
    lock: Lock
    if address.path is not None:
        create_file(address.path, create=create)
        engine = sqlite_engine(address, durable=folder is None)
        lock = FileLock(address.path)
    else:
        engine = postgres_engine(address)
        lock = AdvisoryLock(engine, address.title)
    store = SqlStore(engine, lock, address.title, folder)
    try:
        with store_errors(address.title):
            upgrade(engine, address.title, lock, create=create)
    except BaseException:
        store.close()
        raise
    return store
