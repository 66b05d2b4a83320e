"""Decisions: the contract's record, one row each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from membergate.store.migrations.columns import instant

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table and the index by which an account's decisions are found."""
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.Text, primary_key=True),
        sa.Column("checkpoint", sa.Text, nullable=False),
        sa.Column("application_id", sa.Text),
        sa.Column("order_id", sa.Text),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("operator_id", sa.Text, nullable=False),
        sa.Column("decided_at", instant(), nullable=False),
        sa.Column("as_of", instant(), nullable=False),
        sa.Column("disposition", sa.Text, nullable=False),
        sa.Column("merchant_probability", sa.Double),
        sa.Column("risk_score", sa.Double),
        sa.Column("reason_codes", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("counterfactual", sa.Text),
        sa.Column("caps", sa.Text),
        sa.Column("policy_version", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("promotion_id", sa.Text),
        sa.Column("degraded", sa.Boolean, nullable=False),
        sa.Column("explore", sa.Boolean, nullable=False),
        sa.Column("propensity", sa.Double),
        sa.Column("contributions", sa.Text, nullable=False),
    )
    op.create_index("decisions_by_account", "decisions", ["account_id", "as_of"])


def downgrade() -> None:
    """Drop the table, and every decision with it."""
    op.drop_index("decisions_by_account", "decisions")
    op.drop_table("decisions")
