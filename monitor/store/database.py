"""Where a store is and how to connect to it: SQLite files and PostgreSQL databases.

Errors never hold the URL (it may hold a password) nor the values of a statement.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from monitor.store.base import StoreError

BUSY_SECONDS: Final = 30
"""How long a writer waits for another process that writes to the same SQLite file."""

_KINDS: Final = "use a file path, sqlite:///PATH or postgresql://USER@HOST/DATABASE"

LOCKED: Final = "database is locked"
_FIXES: Final = {
    "file is not a database": "it is some other file; give the store a new path",
    "readonly database": "make the file and its folder writable for this user",
    "unable to open database file": "make the file and its folder writable for this user",
    "disk is full": "free space on its disk",
    LOCKED: "another process is writing to it all the time; stop that process",
    "malformed": "restore the file from a backup or start a new store",
    "disk image": "restore the file from a backup or start a new store",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed store URL. `path` is set for SQLite, else it is PostgreSQL."""

    url: sa.URL
    path: Path | None
    title: str
    """How messages call the store; without user, password and options."""


def parse(text: str) -> Address:
    """Read a path, ``sqlite:///path`` or ``postgresql://...``.

    Raises:
        StoreError: it is none of these.
    """
    if "://" not in text:
        return _sqlite(text)
    kind = text.partition("://")[0].partition("+")[0]
    if kind not in ("sqlite", "postgresql", "postgres"):
        raise StoreError(f"unknown kind of store {kind!r}; {_KINDS}")
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        # The original message may quote pieces of the password.
        raise StoreError(
            f"the {kind} URL of the store cannot be read; percent-encode special characters in "
            f"user and password, and {_KINDS}"
        ) from None
    if kind == "sqlite":
        if url.host or url.query:
            raise StoreError(
                "the sqlite URL of the store has a host or options; "
                "use sqlite:///relative/path or sqlite:////absolute/path"
            )
        return _sqlite(url.database or "")
    return _postgres(url)


def _sqlite(path: str) -> Address:
    if path in ("", ":memory:"):
        raise StoreError("the store needs a file name")
    # Resolved, so that two names of one file share one lock.
    file = Path(os.path.realpath(Path(path).expanduser()))
    return Address(sa.URL.create("sqlite", database=str(file)), file, str(file))


def _postgres(url: sa.URL) -> Address:
    if "@" in (url.host or ""):
        raise StoreError(
            "the postgresql URL of the store has two '@'; write the one in the password as %40"
        )
    place = f" at {url.host}:{url.port or 5432}" if url.host else ""
    title = f"PostgreSQL database {url.database or '(default)'}{place}"
    return Address(url.set(drivername="postgresql+psycopg"), None, title)


def create_file(path: Path, *, create: bool) -> None:
    """Make sure that `path` can be a store: an existing file, or (`create`) a new one with
    mode 0600, because a store may hold the key that hides who wrote what.

    Raises:
        StoreError: it cannot; the message names the fix.
    """
    if path.is_dir():
        raise StoreError(f"store {path} is a directory; name a file in it, {path / 'backslide.db'}")
    if not path.parent.is_dir():
        raise StoreError(f"store {path}: there is no directory {path.parent}; create it first")
    if not create and not path.exists():
        raise StoreError(f"there is no store {path}; `backslide run --store {path}` makes one")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"store {path}: {error.strerror}; {_file_fix(error)}") from None


def _file_fix(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "make the file and its folder writable for this user"
    if error.errno == errno.ENOSPC:
        return "free space on its disk"
    return "name another path"


def sqlite_engine(address: Address, *, durable: bool) -> sa.Engine:
    """Engine whose transactions begin deferred, or at once for writers (`WRITER`).

    A writer that began deferred would fail with "database is locked" when another one has
    written since its first read; one that begins IMMEDIATE waits for its turn instead.
    `durable`: every commit reaches the disk before it returns, so that what an alert channel
    was told is still known after a power cut.
    """
    synchronous = "FULL" if durable else "OFF"
    engine = sa.create_engine(
        address.url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own idea of transactions leaves out reads and table definitions.
        connection.isolation_level = None
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        if mode:
            connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


WRITER: Final = {"sqlite_begin": "IMMEDIATE"}
"""Execution options of an engine that writes; PostgreSQL ignores them."""

NO_TRANSACTION: Final = {"sqlite_begin": ""}
"""For the few statements that SQLite refuses inside a transaction."""


def postgres_engine(address: Address) -> sa.Engine:
    """Engine that notices a dead server within a minute, also when nothing answers at all."""
    defaults: dict[str, Any] = {
        "connect_timeout": 10,
        "application_name": "backslide",
        "keepalives_idle": 20,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "tcp_user_timeout": 40_000,
    }
    options = {key: value for key, value in defaults.items() if key not in address.url.query}
    return sa.create_engine(
        address.url, connect_args=options, hide_parameters=True, pool_pre_ping=True
    )


@contextmanager
def store_errors(title: str) -> Iterator[None]:
    """Turn what the database raises into a `StoreError` of one line.

    The original error is not chained: it holds the statement, and a driver's detail lines
    quote values.
    """
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(f"store {title}: {_reason(error)}") from None
    except (UnicodeError, OverflowError) as error:
        problem = f"{type(error).__name__}, a value does not fit into a column"
        raise StoreError(f"store {title}: {problem}") from None


def _reason(error: sa.exc.SQLAlchemyError) -> str:
    original = getattr(error, "orig", None)
    if original is None:
        return f"{type(error).__name__}; try again"
    line = next(iter(str(original).splitlines()), type(original).__name__)
    for symptom, fix in _FIXES.items():
        if symptom in line:
            return f"{line}; {fix}"
    if isinstance(error, sa.exc.OperationalError) and not isinstance(
        original, sqlite3.OperationalError
    ):
        return f"{line}; check that the server runs and that the URL of the store is right"
    return line
