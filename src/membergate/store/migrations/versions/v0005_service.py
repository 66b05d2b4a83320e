"""The doors' tables: questions, notices, appeals, keys, events taken in, webhooks and their messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from membergate.store.migrations.columns import instant, number

revision = "0005"
down_revision = "0004"


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _instants(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, instant(), nullable=nullable) for name in names]


def _key(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, primary_key=True) for name in names]


def upgrade() -> None:
    """Create the tables and the indexes by which they are asked."""
    _upgrade_members()
    op.create_table(
        "api_keys",
        *_key("key_id"),
        *_texts("name", "secret_digest", "scopes"),
        sa.Column("rate_per_s", sa.Double, nullable=False),
        *_instants("created_at"),
        *_texts("created_by"),
        *_instants("expires_at", "revoked_at", nullable=True),
        sa.Column("revoked_by", sa.Text),
    )
    op.create_table(
        "event_inbox",
        number(),
        *_texts("source", "event_id", "event_type", "body"),
        *_instants("received_at"),
        *_instants("taken_at", nullable=True),
    )
    op.create_index("event_inbox_once", "event_inbox", ["source", "event_id"], unique=True)
    op.create_index("event_inbox_by_taken", "event_inbox", ["taken_at", "number"])
    op.create_table(
        "webhooks",
        *_key("webhook_id"),
        *_texts("url", "secret", "events"),
        *_instants("created_at"),
        *_texts("created_by"),
        *_instants("removed_at", nullable=True),
    )
    op.create_table(
        "outbox",
        number(),
        *_texts("delivery_id", "webhook_id", "event_type", "body"),
        *_instants("created_at", "due_at"),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        *_instants("delivered_at", "given_up_at", nullable=True),
        *_texts("last_error"),
    )
    op.create_index("outbox_once", "outbox", ["delivery_id"], unique=True)
    op.create_index("outbox_by_due", "outbox", ["delivered_at", "given_up_at", "due_at"])


def _upgrade_members() -> None:
    op.create_table(
        "questions", *_key("scope", "key"), *_texts("digest", "body", "decision_id"), *_instants("asked_at")
    )
    op.create_index("questions_by_decision", "questions", ["decision_id"])
    told = _texts("decision_id", "account_id", "kind", "sentences")
    op.create_table("notices", *_key("notice_id"), *told, *_instants("created_at"))
    op.create_index("notices_by_account", "notices", ["account_id", "created_at"])
    op.create_table(
        "appeals",
        *_key("appeal_id"),
        *_texts("decision_id", "account_id"),
        *_instants("opened_at"),
        *_texts("statement"),
    )
    op.create_index("appeals_by_decision", "appeals", ["decision_id"], unique=True)
    op.create_table(
        "appeal_decisions",
        *_key("appeal_id"),
        *_texts("state"),
        *_instants("decided_at"),
        *_texts("decided_by", "note"),
    )


def downgrade() -> None:
    """Drop them; decisions stay."""
    for table in (
        "outbox",
        "webhooks",
        "event_inbox",
        "api_keys",
        "appeal_decisions",
        "appeals",
        "notices",
        "questions",
    ):
        op.drop_table(table)
