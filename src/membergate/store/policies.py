"""Policies on record: immutable versions, and the states that they went through, with who and when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, select

from membergate.domain.errors import BadInputError, RefusedError, UnknownSubjectError
from membergate.store.committing import Committer, Writing
from membergate.store.errors import RecordConflictError, readable_database_errors
from membergate.store.tables import POLICY_EVENTS, POLICY_VERSIONS

_HISTORY = select(*POLICY_EVENTS.c, POLICY_VERSIONS.c.name, POLICY_VERSIONS.c.version).join(
    POLICY_VERSIONS, POLICY_VERSIONS.c.digest == POLICY_EVENTS.c.digest
)


class PolicyState(StrEnum):
    """Where a policy version stands."""

    DRAFT = "draft"
    APPROVED = "approved"
    SHADOW = "shadow"
    LIVE = "live"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class PolicyEvent:
    """A policy version came into a state.

    Parameters
    ----------
    digest, name, version
        Which one.
    state
        The state.
    at, by, note
        When, by whom, and why.
    """

    digest: str
    name: str
    version: str
    state: PolicyState
    at: datetime
    by: str
    note: str


class PolicyRecord:
    """Policies on SQLite or PostgreSQL; `OperationalRecord.policies` is one. Threads may share it.

    Parameters
    ----------
    engine
        A connection pool on a database of the newest schema.
    origin
        The database, as it may be shown.
    committer
        Writes.
    """

    def __init__(self, engine: Engine, origin: str, committer: Committer) -> None:
        self._origin = origin
        self._engine = engine
        self._committer = committer

    def submit(self, name: str, version: str, digest: str, policy_text: str, *, at: datetime, by: str) -> bool:
        """Keep a version as a draft; what is kept already is left as it is.

        Parameters
        ----------
        name, version, digest, policy_text
            The policy.
        at, by
            When and by whom.

        Returns
        -------
        bool
            Whether it is new.

        Raises
        ------
        RecordConflictError
            If this name and version has another text.
        BadInputError
            If nobody is named.
        """
        _hold_named(by)
        row = {"digest": digest, "name": name, "version": version, "text": policy_text}
        return self._committer.run(lambda writing: _submit(writing, row, at, by))

    def advance(
        self,
        digest: str,
        to: PolicyState,
        *,
        allowed_from: Collection[PolicyState],
        at: datetime,
        by: str,
        note: str = "",
        by_another: bool = False,
    ) -> None:
        """Bring a version into a state; going live retires what was live, in one step.

        Parameters
        ----------
        digest
            Which version.
        to
            The state.
        allowed_from
            The states that it may come from.
        at, by, note
            When, by whom and why.
        by_another
            Whether it must be somebody else than who submitted it.

        Raises
        ------
        UnknownSubjectError
            If there is no such version.
        RefusedError
            If it is in another state, or the same person would approve what they submitted. Nothing was changed.
        BadInputError
            If nobody is named.
        """
        _hold_named(by)

        def advance(writing: Writing) -> None:
            events = _events_of(writing.connection, digest)
            if not events:
                raise UnknownSubjectError("no policy of this digest was submitted", where=digest[:12])
            if events[-1].state not in allowed_from:
                raise RefusedError(
                    f"policy {events[-1].name}-{events[-1].version} is {events[-1].state}",
                    allowed=f"to become {to} it must be {' or '.join(sorted(allowed_from))}",
                )
            author = next(event.by for event in events if event.state is PolicyState.DRAFT)
            if by_another and author.strip().casefold() == by.strip().casefold():
                raise RefusedError(f"{by} submitted this policy", allowed="approval by a second person")
            if to is PolicyState.LIVE:
                for event in _live(writing.connection):
                    if event.digest != digest:
                        _note(writing, event.digest, PolicyState.RETIRED, at, by, f"replaced by {events[-1].name}")
            _note(writing, digest, to, at, by, note)

        self._committer.run(advance)

    def history(self) -> tuple[PolicyEvent, ...]:
        """Give every event of every policy, oldest first."""
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            return tuple(_event(row) for row in connection.execute(_HISTORY.order_by(POLICY_EVENTS.c.number)))

    def state_of(self, digest: str) -> PolicyState | None:
        """Give where a version stands; None for one that was never submitted."""
        states = [event.state for event in self.history() if event.digest == digest]
        return states[-1] if states else None

    def text_of(self, digest: str) -> str:
        """Give the text of a version.

        Raises
        ------
        UnknownSubjectError
            If there is no such version.
        """
        query = select(POLICY_VERSIONS.c.text).where(POLICY_VERSIONS.c.digest == digest)
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            found = connection.execute(query).scalar()
        if found is None:
            raise UnknownSubjectError("no policy of this digest was submitted", where=digest[:12])
        return str(found)


def _submit(writing: Writing, row: dict[str, str], at: datetime, by: str) -> bool:
    is_named = (POLICY_VERSIONS.c.name == row["name"]) & (POLICY_VERSIONS.c.version == row["version"])
    kept = writing.connection.execute(select(POLICY_VERSIONS.c.digest).where(is_named)).scalar()
    if kept == row["digest"]:
        return False
    if kept is not None:
        raise RecordConflictError(
            f"policy {row['name']} has a version {row['version']} with another text, and versions never change",
            next_step="give the draft a version of its own",
        )
    writing.connection.execute(POLICY_VERSIONS.insert(), row)
    _note(writing, row["digest"], PolicyState.DRAFT, at, by, "")
    return True


def _hold_named(by: str) -> None:
    if not by.strip() or not by.isprintable():
        raise BadInputError("a change of policies needs somebody who makes it", allowed="--by NAME")


def _events_of(connection: Connection, digest: str) -> list[PolicyEvent]:
    query = _HISTORY.where(POLICY_EVENTS.c.digest == digest).order_by(POLICY_EVENTS.c.number)
    return [_event(row) for row in connection.execute(query)]


def _live(connection: Connection) -> list[PolicyEvent]:
    last = {event.digest: event for event in map(_event, connection.execute(_HISTORY.order_by(POLICY_EVENTS.c.number)))}
    return [event for event in last.values() if event.state is PolicyState.LIVE]


def _note(writing: Writing, digest: str, state: PolicyState, at: datetime, by: str, note: str) -> None:
    row = {"digest": digest, "state": state.value, "at": at, "by": by, "note": note}
    writing.insert(POLICY_EVENTS, [row])


def _event(row: Any) -> PolicyEvent:  # a Row; its type lists every column
    return PolicyEvent(row.digest, row.name, row.version, PolicyState(row.state), row.at, row.by, row.note)
