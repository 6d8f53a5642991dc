"""Entry point of Alembic: runs the migrations on the connection that the store hands over."""

from __future__ import annotations

from alembic import context

from monitor.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # SQLite cannot alter most of a table in place.
    render_as_batch=True,
)
context.run_migrations()
