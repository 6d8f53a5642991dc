"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_progress()
    _create_counts()
    _create_baselines()
    _create_alerts()
    _create_operations()


def _create_progress() -> None:
    op.create_table(
        "offsets",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("partition", sa.BigInteger, nullable=False),
        sa.Column("next", sa.BigInteger, nullable=False),
        sa.Column("cursor", sa.Text, nullable=False),
        sa.Column("committed_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("source", "partition", name="pk_offsets"),
    )
    op.create_table(
        "states",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_states"),
    )
    op.create_table(
        "outputs",
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_outputs"),
    )


def _create_counts() -> None:
    op.create_table(
        "seen",
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("day", sa.BigInteger, nullable=False),
        sa.Column("key", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("deployment", "day", "key", name="pk_seen"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "totals",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", "label", name="pk_totals"),
    )
    op.create_table(
        "ledger",
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("minute", sa.BigInteger, nullable=False),
        sa.Column("judged", sa.BigInteger, nullable=False),
        sa.Column("refused", sa.BigInteger, nullable=False),
        sa.Column("answered_risky", sa.BigInteger, nullable=False),
        sa.Column("degenerate", sa.BigInteger, nullable=False),
        sa.Column("blocked", sa.BigInteger, nullable=False),
        sa.Column("unjudged", sa.BigInteger, nullable=False),
        sa.Column("evidence_refused", sa.Double),
        sa.Column("evidence_answered", sa.Double),
        sa.PrimaryKeyConstraint("deployment", "artifact", "minute", name="pk_ledger"),
    )
    op.create_index("ix_ledger_minute", "ledger", ["deployment", "minute"])


def _create_baselines() -> None:
    op.create_table(
        "windows",
        sa.Column("id", _Number, nullable=False, autoincrement=True),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_windows"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_windows_deployment", "windows", ["deployment"])
    op.create_table(
        "baselines",
        sa.Column("number", _Number, nullable=False, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_baselines"),
        sa.UniqueConstraint("id", name="uq_baselines_id"),
        sqlite_autoincrement=True,
    )


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("dedup_key", sa.Text, nullable=False),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("group", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("incident", sa.BigInteger, nullable=False),
        sa.Column("updates", sa.BigInteger, nullable=False),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("muted_until", sa.Double),
        sa.Column("line", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("dedup_key", name="pk_alerts"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", _Number, nullable=False, autoincrement=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("dedup_key", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("closed_at", sa.Double),
        sa.Column("delivered", sa.Boolean, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_outbox_pending",
        "outbox",
        ["channel", "dedup_key", "id"],
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )


def _create_operations() -> None:
    op.create_table(
        "events",
        sa.Column("id", _Number, nullable=False, autoincrement=True),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "operator_actions",
        sa.Column("id", _Number, nullable=False, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("args", sa.Text, nullable=False),
        sa.Column("applied_at", sa.Double),
        sa.Column("result", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_operator_actions"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )
