"""Questions by their idempotency keys: the same key always means the same question, and leads to the same decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from membergate.domain.errors import MembergateError
from membergate.domain.instants import format_instant
from membergate.store.codec import is_storable_id
from membergate.store.errors import readable_database_errors
from membergate.store.service_tables import QUESTIONS

_UNDER_KEYS = select(QUESTIONS).where(
    QUESTIONS.c.scope.in_(bindparam("scopes", expanding=True)), QUESTIONS.c.key.in_(bindparam("keys", expanding=True))
)
_ADD = QUESTIONS.insert()


class KeyReusedError(MembergateError):
    """An idempotency key that was used before for another question. Nothing was decided."""

    code = "key_reused"


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked.

    Parameters
    ----------
    scope, key
        The idempotency key, and among which keys it is unique.
    digest, body
        The question, and its digest by which repeats are compared.
    decision_id
        The decision that answers it.
    asked_at
        When it was first asked.
    """

    scope: str
    key: str
    digest: str
    body: str
    decision_id: str
    asked_at: datetime


def insert_of(engine: Engine) -> Callable[..., Any]:
    """Give the backend's own INSERT, which can leave a row alone that is there already."""
    return sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert


class QuestionRecord:
    """Questions on SQLite or PostgreSQL. Threads may share it.

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
        self._insert = insert_of(engine)(QUESTIONS).on_conflict_do_nothing(index_elements=["scope", "key"])

    def find(self, scope: str, key: str, digest: str) -> Question | None:
        """Give what was asked under a key; None where it is new.

        Raises
        ------
        KeyReusedError
            If the key stands for another question.
        WorkspaceError
            If the database cannot be read.
        """
        known = self.of_key(scope, key)
        if known is not None and known.digest != digest:
            raise reused(known)
        return known

    def of_key(self, scope: str, key: str) -> Question | None:
        """Give what was asked under a key; None where it is new.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        return self._first((QUESTIONS.c.scope == scope) & (QUESTIONS.c.key == key)) if is_storable_id(key) else None

    def keep(self, question: Question) -> Question:
        """Put a question on record; gives the one that stands there, which may have come first.

        Raises
        ------
        KeyReusedError
            If the key stands for another question.
        WorkspaceError
            If the database cannot be written.
        """
        values = {name: getattr(question, name) for name in Question.__slots__}
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            connection.execute(self._insert, values)
        return self.find(question.scope, question.key, question.digest) or question

    def of_decision(self, decision_id: str) -> Question | None:
        """Give the question that a decision answers; None where it was asked without a key.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        return self._first(QUESTIONS.c.decision_id == decision_id)

    def _first(self, condition: ColumnElement[bool]) -> Question | None:
        query = select(QUESTIONS).where(condition).limit(1)
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else Question(**row)


def reused(known: Question) -> KeyReusedError:
    """Say that a key stands for another question."""
    return KeyReusedError(
        "this key stands for another question",
        where=f"{known.scope} {known.key[:80]!r}, asked at {format_instant(known.asked_at)}",
        allowed="the same question again, or another key",
    )


def known_questions(connection: Connection, asked: Sequence[Question]) -> dict[tuple[str, str], Question]:
    """Give the questions that stand on record under the keys of some, by scope and key; a few hundred at a time."""
    keys = sorted({one.key for one in asked if is_storable_id(one.key)})
    if not keys:
        return {}
    scopes = sorted({one.scope for one in asked})
    found = (Question(**row) for row in connection.execute(_UNDER_KEYS, {"scopes": scopes, "keys": keys}).mappings())
    return {(one.scope, one.key): one for one in found}


def keep_questions(connection: Connection, asked: Sequence[Question]) -> None:
    """Put new questions on record."""
    if asked:
        connection.execute(_ADD, [{name: getattr(q, name) for name in Question.__slots__} for q in asked])
