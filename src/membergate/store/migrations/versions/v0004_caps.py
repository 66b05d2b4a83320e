"""The cap ledger: what orders used up of the limits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from membergate.store.migrations.columns import instant

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table, and the index by which the uses of a limit are summed."""
    op.create_table(
        "cap_uses",
        sa.Column("use_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("units", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("used_at", instant(), nullable=False),
        sa.Column("released_at", instant()),
    )
    op.create_index("cap_uses_by_key", "cap_uses", ["key", "used_at"])


def downgrade() -> None:
    """Drop the ledger; decisions stay."""
    op.drop_index("cap_uses_by_key", "cap_uses")
    op.drop_table("cap_uses")
