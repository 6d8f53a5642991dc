"""Bring a database to the schema of this version, or refuse it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from monitor.store.base import StoreError
from monitor.store.database import BUSY_SECONDS, LOCKED, NO_TRANSACTION, WRITER
from monitor.store.locks import Lock
from monitor.store.schema import REVISION, VERSION_TABLE, metadata

_SCRIPTS: Final = Path(__file__).with_name("migrations")
_PAUSE: Final = 0.02
_MIGRATION_LOCK: Final = 0x6261636B_736C6964


def upgrade(engine: sa.Engine, title: str, lock: Lock, *, create: bool) -> None:
    """Create or upgrade the tables, in one transaction.

    Raises:
        StoreError: the database is not a store, belongs to a newer version, is empty and not
            to be created, or a process of the old version runs on it.
    """
    with engine.connect() as connection:
        revision = _revision(connection, title)
    if revision == REVISION:
        return
    if revision is None:
        if not create:
            raise StoreError(f"{title} holds no store yet; `backslide run` makes one")
        if engine.dialect.name == "sqlite":
            _write_ahead(engine)
        _migrate(engine)
        return
    if revision > REVISION:
        raise StoreError(
            f"store {title} was written by a newer version of Backslide (schema {revision}, "
            f"this version knows {REVISION}); upgrade Backslide or use another store"
        )
    # The process that runs on it does not know the new tables.
    lock.acquire()
    try:
        _migrate(engine)
    finally:
        lock.release()


def _revision(connection: sa.Connection, title: str) -> str | None:
    """Schema revision, or ``None`` for a database in which a store can be made."""
    tables = set(sa.inspect(connection).get_table_names())
    if VERSION_TABLE in tables:
        version = sa.table(VERSION_TABLE, sa.column("version_num", sa.Text))
        return connection.scalar(sa.select(version.c.version_num))
    # A PostgreSQL database may be shared; a file has one owner.
    foreign = tables if connection.dialect.name == "sqlite" else tables & set(metadata.tables)
    if foreign:
        raise StoreError(
            f"{title} belongs to another program (it has a table {min(foreign)!r}); "
            "give the store a path or database of its own"
        )
    return None


def _write_ahead(engine: sa.Engine) -> None:
    """Let readers go on while somebody writes. The file remembers it.

    Of all statements this one is told "database is locked" at once where another process makes
    the same file, however long it is willing to wait.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with engine.execution_options(**NO_TRANSACTION).connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            return
        except sa.exc.OperationalError as error:
            if LOCKED not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)


def _migrate(engine: sa.Engine) -> None:
    # Alembic takes a while to import and most starts do not need it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    with engine.execution_options(**WRITER).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
