"""The outbox: who is told of what, and the messages that wait to be delivered, at least once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, and_, func, select, update

from membergate.domain.decision import Decision
from membergate.domain.errors import UnknownSubjectError
from membergate.domain.instants import format_instant
from membergate.domain.membership import Notice
from membergate.store.errors import readable_database_errors
from membergate.store.questions import insert_of
from membergate.store.service_tables import OUTBOX, WEBHOOKS

DECISION, NOTICE = "membergate.decision.v1", "membergate.notice.v1"
TOLD = (DECISION, NOTICE)
"""What a webhook may be told of."""
MOST_ATTEMPTS = 24
_LONGEST_WAIT = timedelta(hours=1)
_LEASE = timedelta(seconds=60)
_WEBHOOKS = select(WEBHOOKS).order_by(WEBHOOKS.c.created_at, WEBHOOKS.c.webhook_id)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Somebody who is told.

    Parameters
    ----------
    webhook_id, url
        Which, and where.
    secret
        Signs the messages.
    events
        What it is told of.
    created_at, created_by
        When and by whom it was entered.
    removed_at
        When it was removed; None where it was not.
    """

    webhook_id: str
    url: str
    secret: str
    events: tuple[str, ...]
    created_at: datetime
    created_by: str
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message that waits.

    Parameters
    ----------
    number, delivery_id
        Which; the receiver sees the latter, the same at every attempt.
    webhook_id
        For whom.
    body
        A CloudEvent as JSON.
    attempts
        How often it was tried before.
    """

    number: int
    delivery_id: str
    webhook_id: str
    body: str
    attempts: int


class Outbox:
    """Webhooks and their messages on SQLite or PostgreSQL. Threads and processes may share it.

    Parameters
    ----------
    engine
        A connection pool on a database of the newest schema.
    origin
        The database, as it may be shown.
    """

    def __init__(self, engine: Engine, origin: str) -> None:
        self._origin = origin
        self._engine = engine
        self._writing = engine.execution_options(is_writing=True)
        self._insert = insert_of(engine)(OUTBOX).on_conflict_do_nothing(index_elements=["delivery_id"])
        self._add = insert_of(engine)(WEBHOOKS)

    def add(self, webhook: Webhook) -> None:
        """Tell somebody from now on.

        Raises
        ------
        WorkspaceError
            If the database cannot be written.
        """
        row = asdict(webhook) | {"events": " ".join(webhook.events)}
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            connection.execute(self._add, row)

    def webhooks(self) -> tuple[Webhook, ...]:
        """Give everybody who was ever told, oldest first.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            return _webhooks(connection)

    def remove(self, webhook_id: str, *, at: datetime) -> None:
        """Tell somebody no longer; what still waits for them is given up.

        Raises
        ------
        UnknownSubjectError
            If there is no such webhook.
        WorkspaceError
            If the database cannot be written.
        """
        is_meant = (WEBHOOKS.c.webhook_id == webhook_id) & WEBHOOKS.c.removed_at.is_(None)
        waits = (OUTBOX.c.webhook_id == webhook_id) & OUTBOX.c.delivered_at.is_(None) & OUTBOX.c.given_up_at.is_(None)
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            if connection.execute(select(WEBHOOKS.c.webhook_id).where(is_meant)).first() is None:
                raise UnknownSubjectError("no webhook has this id", where=f"webhook {webhook_id[:80]!r}")
            connection.execute(update(WEBHOOKS).where(is_meant).values(removed_at=at))
            connection.execute(update(OUTBOX).where(waits).values(given_up_at=at, last_error="webhook removed"))

    def tell_of_decisions(self, connection: Connection, decisions: Sequence[Decision]) -> None:
        """Put messages about decisions into the outbox, in the transaction that puts the decisions on record."""
        self._tell(connection, DECISION, lambda: [(d.decision_id, d.decided_at, _about_decision(d)) for d in decisions])

    def tell_of_notices(self, connection: Connection, notices: Sequence[Notice]) -> None:
        """Put messages about notices into the outbox, in the transaction that puts the notices on record."""
        self._tell(
            connection,
            NOTICE,
            lambda: [
                (one.notice_id, one.created_at, asdict(one) | {"created_at": format_instant(one.created_at)})
                for one in notices
            ],
        )

    def due(self, now: datetime, most: int = 50) -> tuple[Message, ...]:
        """Take messages that are due, for a minute: nobody else gets them meanwhile, and after it somebody will.

        Raises
        ------
        WorkspaceError
            If the database cannot be written.
        """
        is_due = and_(OUTBOX.c.delivered_at.is_(None), OUTBOX.c.given_up_at.is_(None), OUTBOX.c.due_at <= now)
        columns = [OUTBOX.c[name] for name in Message.__slots__]
        query = select(*columns).where(is_due).order_by(OUTBOX.c.number).limit(most).with_for_update(skip_locked=True)
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            if connection.execute(select(OUTBOX.c.number).where(is_due).limit(1)).first() is None:
                return ()  # most looks find nothing, and need no lock
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            found = tuple(Message(*row) for row in connection.execute(query))
            numbers = [message.number for message in found]
            connection.execute(update(OUTBOX).where(OUTBOX.c.number.in_(numbers)).values(due_at=now + _LEASE))
        return found

    def delivered(self, message: Message, *, at: datetime) -> None:
        """Note that a message was taken.

        Raises
        ------
        WorkspaceError
            If the database cannot be written.
        """
        self._note(message, delivered_at=at, attempts=message.attempts + 1, last_error="")

    def failed(self, message: Message, *, at: datetime, error: str) -> None:
        """Note that a message was not taken: it waits twice as long as before, an hour at most, and in the end no more.

        Raises
        ------
        WorkspaceError
            If the database cannot be written.
        """
        attempts = message.attempts + 1
        wait = min(_LONGEST_WAIT, timedelta(seconds=2 ** min(message.attempts, 20)))
        given_up = at if attempts >= MOST_ATTEMPTS else None
        self._note(message, attempts=attempts, due_at=at + wait, given_up_at=given_up, last_error=error[:500])

    def count_waiting(self) -> int:
        """Give how many messages wait.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        is_waiting = OUTBOX.c.delivered_at.is_(None) & OUTBOX.c.given_up_at.is_(None)
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(OUTBOX).where(is_waiting)).scalar_one())

    def _note(self, message: Message, **values: Any) -> None:
        row = update(OUTBOX).where(OUTBOX.c.number == message.number)
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            connection.execute(row.values(**values))

    def _tell(
        self, connection: Connection, event_type: str, tell: Callable[[], Sequence[tuple[str, datetime, Any]]]
    ) -> None:
        listening = [hook for hook in _webhooks(connection) if hook.removed_at is None and event_type in hook.events]
        told = tell() if listening else ()
        rows = [
            {
                "delivery_id": f"{hook.webhook_id}.{subject}",
                "webhook_id": hook.webhook_id,
                "event_type": event_type,
                "body": _event(event_type, subject, at, data),
                "created_at": at,
                "due_at": at,
                "attempts": 0,
                "last_error": "",
            }
            for hook in listening
            for subject, at, data in told
        ]
        if rows:
            connection.execute(self._insert, rows)


def _webhooks(connection: Connection) -> tuple[Webhook, ...]:
    rows = connection.execute(_WEBHOOKS).mappings()
    return tuple(Webhook(**{**row, "events": tuple(row["events"].split())}) for row in rows)


def _event(event_type: str, subject: str, at: datetime, data: Any) -> str:
    envelope = {"specversion": "1.0", "id": subject, "source": "membergate", "type": event_type}
    envelope |= {"time": format_instant(at), "datacontenttype": "application/json", "data": data}
    return msgspec.json.encode(envelope).decode()


def _about_decision(decision: Decision) -> dict[str, Any]:
    """Say what came of it, without the evidence: who needs that may read it with a key."""
    return {
        "decision_id": decision.decision_id,
        "checkpoint": decision.checkpoint.value,
        "account_id": decision.account_id,
        "application_id": decision.application_id,
        "order_id": decision.order_id,
        "disposition": decision.disposition.value,
        "reason_codes": decision.reason_codes,
        "degraded": decision.degraded,
        "decided_at": format_instant(decision.decided_at),
    }
