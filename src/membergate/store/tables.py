"""The tables of the operational record, as SQLAlchemy Core sees them. Migrations make them; a test holds both equal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Dialect, Double, Index, MetaData, Table, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcInstant(TypeDecorator[datetime]):
    """An aware UTC instant, exact to the microsecond on every backend.

    PostgreSQL keeps its own `timestamptz`. SQLite has no type for instants and keeps whole microseconds since 1970,
    which sort, compare and index as numbers.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime] | TypeEngine[int]:
        """Choose the backend's own type."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | int | None:
        """Turn an instant into what the backend keeps."""
        if value is None or dialect.name != "sqlite":
            return value
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: datetime | int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # the protocol names it
        """Turn what the backend keeps into an instant."""
        if isinstance(value, int):
            return _EPOCH + value * _MICROSECOND
        return None if value is None else value.astimezone(UTC)


METADATA = MetaData()
"""Every table of the record."""

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("decision_id", Text, primary_key=True),
    Column("checkpoint", Text, nullable=False),
    Column("application_id", Text),
    Column("order_id", Text),
    Column("account_id", Text, nullable=False),
    Column("operator_id", Text, nullable=False),
    Column("decided_at", UtcInstant, nullable=False),
    Column("as_of", UtcInstant, nullable=False),
    Column("disposition", Text, nullable=False),
    Column("merchant_probability", Double),
    Column("risk_score", Double),
    Column("reason_codes", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("counterfactual", Text),
    Column("caps", Text),
    Column("policy_version", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("promotion_id", Text),
    Column("degraded", Boolean, nullable=False),
    Column("explore", Boolean, nullable=False),
    Column("propensity", Double),
    Column("contributions", Text, nullable=False),
    Index("decisions_by_account", "account_id", "as_of"),
)
"""One row a decision. Documents are canonical JSON in text: PostgreSQL's jsonb would reorder and renumber them."""
