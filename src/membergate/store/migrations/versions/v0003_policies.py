"""Policies: immutable versions, and the states that they went through."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _instant() -> sa.types.TypeEngine[int]:
    """Whole microseconds since 1970 on SQLite, a `timestamptz` on PostgreSQL."""
    return sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


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
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("at", _instant(), nullable=False),
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
