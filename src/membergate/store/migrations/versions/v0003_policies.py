"""Policies: immutable versions, and the states that they went through."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from membergate.store.migrations.columns import instant, number

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables, and the index that gives a name and version one text."""
    op.create_table(
        "policy_versions",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("policy_versions_by_name", "policy_versions", ["name", "version"], unique=True)
    op.create_table(
        "policy_events",
        number(),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("at", instant(), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("policy_events_by_policy", "policy_events", ["digest", "number"])


def downgrade() -> None:
    """Drop the policies and their history; decisions stay."""
    op.drop_index("policy_events_by_policy", "policy_events")
    op.drop_table("policy_events")
    op.drop_index("policy_versions_by_name", "policy_versions")
    op.drop_table("policy_versions")
