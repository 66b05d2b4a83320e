"""Risk lists: entries, their changes, and the decisions that they touched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from membergate.store.migrations.columns import instant, number

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables, and the indexes by which a subject's entries and an entry's changes are found."""
    op.create_table(
        "list_entries",
        sa.Column("entry_id", sa.Text, primary_key=True),
        sa.Column("risk_list", sa.Text, nullable=False),
        sa.Column("subject_type", sa.Text, nullable=False),
        sa.Column("subject_key", sa.Text, nullable=False),
        sa.Column("reason_code", sa.Text, nullable=False),
        sa.Column("grade", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("is_manual", sa.Boolean, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("recorded_at", instant(), nullable=False),
        sa.Column("starts_at", instant(), nullable=False),
        sa.Column("expires_at", instant(), nullable=False),
        sa.Column("source_version", sa.Text, nullable=False),
        sa.Column("review_at", instant()),
        sa.Column("half_life_days", sa.Double),
        sa.Column("decision_id", sa.Text, nullable=False),
    )
    op.create_index("list_entries_by_subject", "list_entries", ["subject_type", "subject_key"])
    op.create_table(
        "list_changes",
        number(),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("changed_at", instant(), nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("list_changes_once", "list_changes", ["entry_id", "change"], unique=True)
    op.create_table(
        "decision_entries",
        sa.Column("entry_id", sa.Text, primary_key=True),
        sa.Column("decision_id", sa.Text, primary_key=True),
    )


def downgrade() -> None:
    """Drop the lists; decisions stay."""
    op.drop_table("decision_entries")
    op.drop_index("list_changes_once", "list_changes")
    op.drop_table("list_changes")
    op.drop_index("list_entries_by_subject", "list_entries")
    op.drop_table("list_entries")
