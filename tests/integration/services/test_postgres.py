"""The PostgreSQL fixture is a real server with a fresh database per test."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.services import process
from tests.services.postgres import running_postgres


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_starts_with_an_empty_database(postgres_database: str, turn: int) -> None:
    engine = sa.create_engine(postgres_database)
    with engine.begin() as connection:
        assert not sa.inspect(connection).get_table_names()
        connection.execute(sa.text("CREATE TABLE leftover (n int)"))
        assert connection.execute(sa.text("SHOW server_version_num")).scalar_one() >= "140000"
    engine.dispose()


def test_a_missing_postgres_fails_and_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.shutil, "which", lambda *_, **__: None)
    missing = pytest.raises(process.ServiceError, match="apt-get install postgresql")
    with missing, running_postgres():
        pass
