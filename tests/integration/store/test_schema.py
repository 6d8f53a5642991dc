"""Migrations lead to the declared tables, and a store of another version is never touched."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import monitor.store
from monitor.store import SqlStore, StoreError, StoreLocked, open_store
from monitor.store.schema import REVISION, VERSION_TABLE, metadata


def scripts() -> ScriptDirectory:
    config = Config()
    folder = Path(monitor.store.__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder))
    return ScriptDirectory.from_config(config)


def conditions(index: Any) -> list[Any]:
    return list(index.get("dialect_options", {}).values())


def shape(connection: sa.Connection) -> dict[str, Any]:
    """What a database says its tables are."""
    inspector = sa.inspect(connection)
    tables = {
        table: {
            "columns": [
                (c["name"], repr(c["type"]), c["nullable"], c["default"], c.get("autoincrement"))
                for c in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table),
            "unique": inspector.get_unique_constraints(table),
            "indexes": [
                (i["name"], i["column_names"], i["unique"], list(map(str, conditions(i))))
                for i in inspector.get_indexes(table)
            ],
            "options": inspector.get_table_options(table),
        }
        for table in inspector.get_table_names()
        if table != VERSION_TABLE
    }
    if connection.dialect.name == "sqlite":
        # Only the text tells about WITHOUT ROWID and AUTOINCREMENT.
        for table, text in connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
        ):
            if table in tables:
                tables[table]["text"] = (" AUTOINCREMENT" in text, " WITHOUT ROWID" in text)
    return tables


def test_migrations_make_exactly_the_declared_tables(store: SqlStore) -> None:
    with store._engine.begin() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
        migrated = shape(connection)
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert shape(connection) == migrated
    assert set(migrated) == set(metadata.tables)


def test_the_declared_revision_is_the_newest_migration() -> None:
    assert scripts().get_heads() == [REVISION]
    assert scripts().get_bases() == ["0001"]


def set_revision(store: SqlStore, revision: str) -> None:
    with store._engine.begin() as connection:
        version = sa.table(VERSION_TABLE, sa.column("version_num"))
        connection.execute(sa.update(version).values(version_num=revision))


def test_a_store_of_a_newer_version_is_refused(store: SqlStore, url: str) -> None:
    set_revision(store, "9999")
    with pytest.raises(StoreError, match=r"newer version of Backslide \(schema 9999.*upgrade"):
        open_store(url)


def test_a_store_in_use_by_an_older_version_is_not_changed_under_it(
    store: SqlStore, url: str
) -> None:
    set_revision(store, "0000")
    store.lock()
    with pytest.raises(StoreLocked):
        open_store(url)


def test_a_command_that_only_looks_makes_no_tables(url: str) -> None:
    with pytest.raises(StoreError, match="no store"):
        open_store(url, create=False)
    with closing(open_store(url)):
        pass
    with closing(open_store(url, create=False)) as store:
        assert store.states() == {}


def test_tables_of_another_program_are_left_alone(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alerts (theirs int)")
        connection.exec_driver_sql("INSERT INTO alerts VALUES (1)")
        before = shape(connection)
    with pytest.raises(StoreError, match=r"belongs to another program.*'alerts'"):
        open_store(url)
    with engine.connect() as connection:
        assert shape(connection) == before
        assert connection.exec_driver_sql("SELECT theirs FROM alerts").scalar_one() == 1
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "delete"
    engine.dispose()
