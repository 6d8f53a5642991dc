"""Whoever names a wrong store reads one line that says what to do, and no password."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from monitor.store import Commit, StoreError, open_store
from tests.services.process import free_port


def problem(url: str, *, create: bool = True) -> str:
    with pytest.raises(StoreError) as caught:
        open_store(url, create=create).close()
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.__cause__ is None
    return message


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Root may write anywhere; be somebody else for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_a_path_and_a_url_name_the_same_store(tmp_path: Path, form: str) -> None:
    path = tmp_path / "store.db"
    with closing(open_store(form.format(path))) as store:
        store.commit(Commit(states={"a": b"1"}), now=1.0)
    with closing(open_store(str(path), create=False)) as store:
        assert store.states() == {"a": b"1"}


def test_a_relative_path_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("a.db").close()
    open_store("sqlite:///b.db").close()
    assert {path.name for path in tmp_path.iterdir()} == {"a.db", "b.db"}


@pytest.mark.parametrize("url", [":memory:", "sqlite://", "sqlite:///:memory:"])
def test_a_store_in_memory_leaves_nothing_behind(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with closing(open_store(url)) as store, closing(open_store(url)) as other:
        store.lock()
        other.lock()
        store.commit(Commit(states={"a": b"1"}), now=1.0)
        assert other.states() == {}
    assert list(tmp_path.iterdir()) == []


def test_nobody_else_can_read_the_store(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(open_store(str(tmp_path / "store.db"))) as store:
            store.lock()
            store.secret("privacy", b"key")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    names = ("store.db", "store.db-wal", "store.db-shm", "store.db.lock")
    assert modes == dict.fromkeys(names, 0o600)


def test_two_names_of_one_file_share_one_lock(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "store.db")
    with (
        closing(open_store(str(tmp_path / "store.db"))) as one,
        closing(open_store(str(tmp_path / "link.db"))) as two,
    ):
        one.lock()
        with pytest.raises(StoreError, match="another process"):
            two.lock()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert f"no directory {tmp_path / 'no'}; create it" in problem(str(tmp_path / "no" / "s.db"))


def test_a_directory_is_not_a_store(tmp_path: Path) -> None:
    assert f"is a directory; name a file in it, {tmp_path}/" in problem(str(tmp_path))


def test_a_missing_store_is_not_made_by_a_look(tmp_path: Path) -> None:
    message = problem(str(tmp_path / "s.db"), create=False)
    assert "there is no store" in message
    assert "backslide run" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [True, False])
def test_another_file_is_refused_and_left_as_it_is(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "outputs.jsonl"
    text = '{"id": 1}\n' * 2000
    path.write_text(text)
    assert "file is not a database; it is some other file" in problem(str(path), create=create)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url text)")
    before = path.read_bytes()
    assert "belongs to another program (it has a table 'bookmarks')" in problem(str(path))
    assert path.read_bytes() == before


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_store(str(path)).close()
    body = bytearray(path.read_bytes())
    body[4096:] = b"\xff" * len(body[4096:])
    path.write_bytes(body)
    assert "restore the file from a backup" in problem(str(path))


def test_a_place_without_permission_is_named() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "store.db"
        open_store(str(path)).close()
        path.chmod(0o400)
        folder.chmod(0o500)
        with unprivileged(folder):
            writable = "make the file and its folder writable for this user"
            assert writable in problem(str(path))
            assert writable in problem(str(folder / "new.db"))
        folder.chmod(0o700)


@pytest.mark.parametrize(
    "url", ["mysql://u:s3cret@h/db", "http://u:s3cret@h", "redis+x://:s3cret@h", "://s3cret"]
)
def test_an_unknown_kind_of_store_lists_the_known_ones(url: str) -> None:
    message = problem(url)
    assert "sqlite:///PATH or postgresql://USER@HOST/DATABASE" in message
    assert "s3cret" not in message


@pytest.mark.parametrize("url", ["sqlite://host/x.db", "sqlite:///x.db?mode=ro", ""])
def test_a_sqlite_url_with_more_than_a_path_is_refused(url: str) -> None:
    problem(url)


PASSWORDS = ["s3cret", "s3cret@s3cret", "s3cret:s3cret", "s3cret/s3cret", "s3cret?s3cret#s3cret"]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("kind", ["postgresql", "postgres", "postgresql+psycopg"])
def test_an_unreachable_server_is_named_without_the_password(kind: str, password: str) -> None:
    message = problem(f"{kind}://ana:{password}@127.0.0.1:{free_port()}/db")
    assert "s3cret" not in message
    if password == "s3cret":
        assert re.search(r"database db at 127.0.0.1:\d+: .*check that the server runs", message)


@pytest.mark.parametrize("port", ["nan", "99999999", "s3cret"])
def test_a_url_that_cannot_be_read_keeps_the_password(port: str) -> None:
    assert "s3cret" not in problem(f"postgresql://ana:s3cret@127.0.0.1:{port}/db")


def test_a_wrong_option_of_the_url_is_an_error_of_the_store() -> None:
    message = problem("postgresql://ana:s3cret@127.0.0.1/db?sslmode=nonsense")
    assert "sslmode" in message
    assert "s3cret" not in message
