"""The tables of the operational record, as SQLAlchemy Core sees them. Migrations make them; a test holds both equal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)
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


def _number() -> Column[int]:
    """Give the column that numbers rows in the order in which they came."""
    return Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


def _numbered() -> Column[int]:
    """Give the column of numbers that are assigned under the lock, without gaps."""
    return Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False)


DECISIONS = Table(
    "decisions",
    METADATA,
    _numbered(),
    Column("decision_key", BigInteger, nullable=False),
    Column("account_key", BigInteger, nullable=False),
    Column("as_of", UtcInstant, nullable=False),
    Column("checkpoint", SmallInteger, nullable=False),
    Column("disposition", SmallInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("decisions_by_key", "decision_key"),
    Index("decisions_by_account", "account_key"),
)
"""One row a decision, as `packing` writes it; the content of one that was erased is empty."""

TERMS = Table(
    "terms",
    METADATA,
    _numbered(),
    Column("content", LargeBinary, nullable=False),
)
"""The dictionary of the packed decisions; a row never changes."""

AUDIT = Table(
    "audit",
    METADATA,
    _numbered(),
    Column("kind", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("digests", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)
"""The chain: which rows were written together, their digests, and a hash over those and the hash before."""

ERASURES = Table(
    "erasures",
    METADATA,
    _numbered(),
    Column("kind", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("erased_at", UtcInstant, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Tombstones: which rows were erased because their time was over. The chain keeps their digests."""

LIST_ENTRIES = Table(
    "list_entries",
    METADATA,
    Column("entry_id", Text, primary_key=True),
    Column("risk_list", Text, nullable=False),
    Column("subject_type", Text, nullable=False),
    Column("subject_key", Text, nullable=False),
    Column("reason_code", Text, nullable=False),
    Column("grade", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("is_manual", Boolean, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("recorded_at", UtcInstant, nullable=False),
    Column("starts_at", UtcInstant, nullable=False),
    Column("expires_at", UtcInstant, nullable=False),
    Column("source_version", Text, nullable=False),
    Column("review_at", UtcInstant),
    Column("half_life_days", Double),
    Column("decision_id", Text, nullable=False),
    Index("list_entries_by_subject", "subject_type", "subject_key"),
)
"""One row an entry; a row never changes."""

LIST_CHANGES = Table(
    "list_changes",
    METADATA,
    _number(),
    Column("entry_id", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("changed_at", UtcInstant, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("list_changes_once", "entry_id", "change", unique=True),
)
"""Who added or retracted an entry, when and why, in the order in which it happened."""

DECISION_ENTRIES = Table(
    "decision_entries",
    METADATA,
    _numbered(),
    Column("entry_id", Text, nullable=False),
    Column("decision_number", BigInteger, nullable=False),
    Index("decision_entries_by_entry", "entry_id"),
    Index("decision_entries_by_decision", "decision_number"),
)
"""Which list entries made a decision's evidence true."""

POLICY_VERSIONS = Table(
    "policy_versions",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index("policy_versions_by_name", "name", "version", unique=True),
)
"""One row a policy version, immutable: a name and version has one text for ever."""

POLICY_EVENTS = Table(
    "policy_events",
    METADATA,
    _number(),
    Column("digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", UtcInstant, nullable=False),
    Column("by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Index("policy_events_by_policy", "digest", "number"),
)
"""Into which state a policy version came, when, by whom, and why. Its state is that of its last row."""

CAP_USES = Table(
    "cap_uses",
    METADATA,
    _numbered(),
    Column("use_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("used_at", UtcInstant, nullable=False),
    Column("released_at", UtcInstant),
    Index("cap_uses_by_use", "use_id"),
    Index("cap_uses_by_key", "key", "used_at", "amount"),
)
"""What was used up of a limit: one row a use and limit, and one that takes it back where it was released."""

VELOCITY_EVENTS = Table(
    "velocity_events",
    METADATA,
    _number(),
    Column("event_id", Text, nullable=False),
    Column("at", UtcInstant, nullable=False),
    Column("known_at", UtcInstant, nullable=False),
    Column("charges", Text, nullable=False),
    Index("velocity_events_once", "event_id", unique=True),
)
"""What velocity counts, each event once, for as long as a window reaches it."""

VELOCITY_SNAPSHOTS = Table(
    "velocity_snapshots",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("taken_at", UtcInstant, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
"""The counters as they were after the event of that number; one row."""
