"""A real PostgreSQL for tests: its own data, a free port, no durability, gone afterwards."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.services.process import Service, ServiceError, find_program, user_options

USER = "postgres"
"""Both the role inside and, when the tests run as root, the account of the server."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # Socket paths longer than 107 bytes fail, and temporary folders can be long: TCP only.
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "50",
    "shared_buffers": "32MB",
}
_names = itertools.count(1)


@contextmanager
def running_postgres() -> Iterator[str]:
    """SQLAlchemy URL of a new server, without a database name's worth of data in it.

    Raises:
        ServiceError: not installed (names the package) or it does not start.
    """
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    initdb = find_program("initdb", "postgresql", folders)
    server = find_program("postgres", "postgresql", folders)
    home = Path(tempfile.mkdtemp(prefix="backslide-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(home, USER, USER)
        data = home / "data"
        _initialise(initdb, data)
        service, port = _start(server, data, home / "log")
        try:
            yield f"postgresql+psycopg://{USER}@127.0.0.1:{port}/postgres"
        finally:
            service.stop(signal.SIGINT)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _initialise(initdb: str, data: Path) -> None:
    command = [initdb, "--pgdata", str(data), "--username", USER, "--auth=trust"]
    command += ["--no-sync", "--encoding=UTF8", "--locale=C"]
    drop_root = user_options(USER)
    if drop_root:
        command = [find_program("setpriv", "util-linux"), *drop_root, *command]
    made = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if made.returncode:
        raise ServiceError(f"initdb failed: {made.stderr.strip()}")


def _start(server: str, data: Path, log: Path) -> tuple[Service, int]:
    options = [f"-c{key}={value}" for key, value in _SETTINGS.items()]
    return Service.on_free_port(
        lambda port: [server, "-D", str(data), "-p", str(port), *options],
        log,
        lambda text: "ready to accept connections" in text,
        user=USER,
        cwd=Path("/"),
    )


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a PostgreSQL server that lives as long as the test session."""
    with running_postgres() as url:
        yield url


@pytest.fixture
def postgres_database(postgres_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a fresh, empty database; dropped after the test, whoever is still connected."""
    label = re.sub(r"\W+", "_", request.node.name.lower())[:40]
    name = f"test_{next(_names)}_{label}"
    server = postgres_url.replace("+psycopg", "")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield postgres_url.rsplit("/", 1)[0] + f"/{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
