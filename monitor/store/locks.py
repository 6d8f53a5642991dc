"""One detector to a store: locks of the operating system and of the database server.

Both are free again the moment their holder dies, so there is nothing to clean up.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

import psycopg
import sqlalchemy as sa

from monitor.store.base import StoreError, StoreLocked
from monitor.store.database import store_errors

PATIENCE_SECONDS: Final = 3
"""A server takes a moment to notice that a client was killed; a restart waits that long."""


class Lock(Protocol):
    def acquire(self) -> None:
        """Raises StoreLocked if somebody else holds it; does nothing if this object does."""
        ...

    def begin(self, engine: sa.Engine) -> AbstractContextManager[sa.Connection]:
        """A transaction that cannot commit once the lock is lost; any one while it was never
        acquired."""
        ...

    def release(self) -> None: ...


class FileLock:
    """flock on a file beside the store. The file stays: removing it would let two in."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._path = store.with_name(store.name + ".lock")
        self._file: int | None = None

    def acquire(self) -> None:
        if self._file is not None:
            return
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"lock {self._path}: {error.strerror}; make it and its folder writable"
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise _locked(str(self._store)) from None
            raise StoreError(
                f"lock {self._path}: {error.strerror}; put the store on a local disk"
            ) from None
        self._file = file

    @contextmanager
    def begin(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        with engine.begin() as connection:
            yield connection

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class AdvisoryLock:
    """PostgreSQL advisory lock of one session, in which every commit then runs as well.

    So there is no moment between "is the lock still mine?" and the commit: if the session is
    gone, the commit fails with it. It needs real sessions: behind a pooler, use session mode.
    """

    def __init__(self, engine: sa.Engine, title: str) -> None:
        self._engine = engine
        self._title = title
        self._session: sa.Connection | None = None

    def acquire(self) -> None:
        """As `Lock.acquire`; once the session broke, again in a new one, if it is still free."""
        if self._session is not None and not self._session.invalidated:
            return
        self.release()
        with store_errors(self._title):
            session = self._engine.connect()
            try:
                with session.begin():
                    _wait_for_lock(session)
            except BaseException as error:
                # Not back to the pool: it might hold the lock by now.
                session.invalidate()
                session.close()
                original = getattr(error, "orig", None)
                if isinstance(original, psycopg.errors.LockNotAvailable):
                    raise _locked(self._title) from None
                raise
        self._session = session

    @contextmanager
    def begin(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        if self._session is None:
            with engine.begin() as connection:
                yield connection
            return
        # SQLAlchemy would quietly open a new session, which does not hold the lock.
        if self._session.invalidated:
            raise StoreError(
                f"store {self._title}: the session that held the lock broke, another detector "
                "may have taken over; start again"
            )
        with self._session.begin():
            yield self._session

    def release(self) -> None:
        if self._session is not None:
            # Ends the session, and with it the lock, instead of handing it to the pool.
            self._session.invalidate()
            self._session.close()
            self._session = None


def _locked(title: str) -> StoreLocked:
    return StoreLocked(
        f"another process runs on store {title}; stop it, or give this one another --store"
    )


def _wait_for_lock(session: sa.Connection) -> None:
    # Advisory locks know databases, but not schemas.
    schema = session.scalar(sa.select(sa.func.current_schema()))
    digest = hashlib.sha256(f"backslide store {schema}".encode()).digest()
    number = sa.cast(int.from_bytes(digest[:8], signed=True), sa.BigInteger)
    session.execute(sa.select(sa.func.set_config("lock_timeout", f"{PATIENCE_SECONDS}s", True)))
    session.execute(sa.select(sa.func.pg_advisory_lock(number)))
