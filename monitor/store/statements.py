"""The INSERT of the connected database, which knows ON CONFLICT."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

Insert = sqlite.Insert | postgresql.Insert


def insert(connection: sa.Connection, table: sa.Table) -> Insert:
    return (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)
