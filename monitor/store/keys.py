"""Deduplication keys by the thousand: unsigned outside, signed inside, one parameter a query."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from monitor.store.schema import seen
from monitor.store.statements import insert


def add(connection: sa.Connection, deployment: str, day: int, keys: Sequence[int]) -> None:
    """Remember unsigned 64-bit `keys`; those known already stay."""
    name, date = sa.literal(deployment, sa.Text), sa.literal(day, sa.BigInteger)
    # Without a WHERE, SQLite would read ON CONFLICT as the condition of a join.
    rows = sa.select(name, date, _rows(connection, sorted(keys))).where(sa.text("true"))
    statement = insert(connection, seen).from_select(["deployment", "day", "key"], rows)
    connection.execute(statement.on_conflict_do_nothing())


def find(connection: sa.Connection, deployment: str, day: int, keys: Sequence[int]) -> set[int]:
    """Those of `keys` that are known."""
    column = seen.c.key
    # Each database looks up one key after the other only when asked in its own way.
    wanted = (
        column.in_(sa.select(_rows(connection, keys)))
        if connection.dialect.name == "sqlite"
        else column == sa.any_(_array(keys))
    )
    query = sa.select(column).where(seen.c.deployment == deployment, seen.c.day == day, wanted)
    return set(unsigned(connection.scalars(query).all()))


def signed(keys: Sequence[int]) -> list[int]:
    """Unsigned 64-bit keys as the signed numbers that databases hold."""
    numbers: list[int] = np.asarray(keys, dtype=np.uint64).view(np.int64).tolist()
    return numbers


def unsigned(keys: Sequence[int]) -> list[int]:
    """Undo `signed`."""
    numbers: list[int] = np.asarray(keys, dtype=np.int64).view(np.uint64).tolist()
    return numbers


def _array(keys: Sequence[int]) -> sa.BindParameter[list[int]]:
    return sa.literal(signed(keys), ARRAY(sa.BigInteger))


def _rows(connection: sa.Connection, keys: Sequence[int]) -> sa.ColumnElement[int]:
    """`keys` as the column of a table."""
    column = sa.column("value", sa.BigInteger)
    if connection.dialect.name == "sqlite":
        return sa.func.json_each(json.dumps(signed(keys))).table_valued(column).c.value
    return sa.func.unnest(_array(keys)).table_valued(column).render_derived().c.value
