"""Alembic's entry: `Database.migrate` hands over a connection inside a transaction, which stays whole or is undone."""

from __future__ import annotations

from alembic import context

from modwright.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite's, too, since transactions begin where the database says so
)
with context.begin_transaction():
    context.run_migrations()
