"""Columns that migrations make again and again. Their meaning never changes: what was migrated stays as it is."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


def instant() -> sa.types.TypeEngine[int]:
    """Whole microseconds since 1970 on SQLite, a `timestamptz` on PostgreSQL."""
    return sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def number(name: str = "number") -> sa.Column[Any]:
    """Give a primary key that counts up."""
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True)
