"""What Alembic runs around the revisions: in the transaction that it is handed, and in no other."""

from __future__ import annotations

from alembic import context

from membergate.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite cannot alter most things in place: revisions that try are written as copies of the table
    render_as_batch=True,
)
context.run_migrations()
