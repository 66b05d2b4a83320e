"""The tables of the doors: questions asked, members' notices and appeals, keys, events taken in, messages sent out."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, Table, Text

from membergate.store.tables import METADATA, UtcInstant

_NUMBER = BigInteger().with_variant(Integer, "sqlite")

QUESTIONS = Table(
    "questions",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("decision_id", Text, nullable=False),
    Column("asked_at", UtcInstant, nullable=False),
    Index("questions_by_decision", "decision_id"),
)
"""What was asked under which idempotency key, and the decision that answers it. A row never changes."""

NOTICES = Table(
    "notices",
    METADATA,
    Column("notice_id", Text, primary_key=True),
    Column("decision_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sentences", Text, nullable=False),
    Column("created_at", UtcInstant, nullable=False),
    Index("notices_by_account", "account_id", "created_at"),
)
"""What members are told. A row never changes."""

APPEALS = Table(
    "appeals",
    METADATA,
    Column("appeal_id", Text, primary_key=True),
    Column("decision_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("opened_at", UtcInstant, nullable=False),
    Column("statement", Text, nullable=False),
    Index("appeals_by_decision", "decision_id", unique=True),
)
"""What was held against a decision: one appeal a decision."""

APPEAL_DECISIONS = Table(
    "appeal_decisions",
    METADATA,
    Column("appeal_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("decided_at", UtcInstant, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("note", Text, nullable=False),
)
"""What a person decided of an appeal: once."""

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_digest", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("rate_per_s", Double, nullable=False),
    Column("created_at", UtcInstant, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", UtcInstant),
    Column("revoked_at", UtcInstant),
    Column("revoked_by", Text),
)
"""Keys of programs: what they may do, and the digest of a secret that is nowhere kept."""

EVENT_INBOX = Table(
    "event_inbox",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("received_at", UtcInstant, nullable=False),
    Column("taken_at", UtcInstant),
    Index("event_inbox_once", "source", "event_id", unique=True),
    Index("event_inbox_by_taken", "taken_at", "number"),
)
"""Events as they came, each (source, id) once, until the warehouse has taken them; after that only their names."""

WEBHOOKS = Table(
    "webhooks",
    METADATA,
    Column("webhook_id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("created_at", UtcInstant, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("removed_at", UtcInstant),
)
"""Who is told of what. The secret signs, so it is kept as it is."""

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("delivery_id", Text, nullable=False),
    Column("webhook_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", UtcInstant, nullable=False),
    Column("due_at", UtcInstant, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("delivered_at", UtcInstant),
    Column("given_up_at", UtcInstant),
    Column("last_error", Text, nullable=False),
    Index("outbox_once", "delivery_id", unique=True),
    Index("outbox_by_due", "delivered_at", "given_up_at", "due_at"),
)
"""Messages until they are delivered."""
