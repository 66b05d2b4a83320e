"""The cap ledger: what orders used up of the limits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _instant() -> sa.types.TypeEngine[int]:
    """Whole microseconds since 1970 on SQLite, a `timestamptz` on PostgreSQL."""
    return sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    """Create the table, and the index by which the uses of a limit are summed."""
    op.create_table(
        "cap_uses",
        sa.Column("use_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("units", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("used_at", _instant(), nullable=False),
        sa.Column("released_at", _instant()),
    )
    op.create_index("cap_uses_by_key", "cap_uses", ["key", "used_at"])


def downgrade() -> None:
    """Drop the ledger; decisions stay."""
    op.drop_index("cap_uses_by_key", "cap_uses")
    op.drop_table("cap_uses")
