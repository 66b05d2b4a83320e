"""The log of what velocity counts, and its snapshot."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from membergate.store.migrations.columns import instant, number

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables, and the index that lets an event count once."""
    op.create_table(
        "velocity_events",
        number(),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("at", instant(), nullable=False),
        sa.Column("known_at", instant(), nullable=False),
        sa.Column("charges", sa.Text, nullable=False),
    )
    op.create_index("velocity_events_once", "velocity_events", ["event_id"], unique=True)
    op.create_table(
        "velocity_snapshots",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("taken_at", instant(), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the log; counters begin anew."""
    op.drop_table("velocity_snapshots")
    op.drop_index("velocity_events_once", "velocity_events")
    op.drop_table("velocity_events")
