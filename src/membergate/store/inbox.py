"""The inbox: events as they came, each once whoever repeats it, until the warehouse has taken them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Engine, func, select, update

from membergate.store.errors import readable_database_errors
from membergate.store.questions import insert_of
from membergate.store.service_tables import EVENT_INBOX

_EVENTS_A_STATEMENT = 500


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """One event.

    Parameters
    ----------
    source, event_id
        Its name: what comes twice under it came once.
    event_type
        Its type, `membergate.TABLE.v1`.
    body
        Its row as a JSON object.
    received_at
        When it came.
    """

    source: str
    event_id: str
    event_type: str
    body: str
    received_at: datetime


class EventInbox:
    """Events on SQLite or PostgreSQL. Threads may share it.

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
        self._insert = insert_of(engine)(EVENT_INBOX).on_conflict_do_nothing(index_elements=["source", "event_id"])

    def add(self, events: Sequence[InboxEvent]) -> list[bool]:
        """Put events on record, all or none; gives for each whether it is new.

        Raises
        ------
        WorkspaceError
            If the database cannot be written. None was taken.
        """
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            return [connection.execute(self._insert, asdict(event)).rowcount == 1 for event in events]

    def waiting(self, after: int = 0, most: int = 100_000) -> tuple[tuple[int, InboxEvent], ...]:
        """Give the events that the warehouse has not taken, with their numbers, in the order in which they came.

        Parameters
        ----------
        after
            A number; the events with higher ones are given.
        most
            How many at a time.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        columns = [EVENT_INBOX.c[name] for name in ("number", *InboxEvent.__slots__)]
        is_meant = EVENT_INBOX.c.taken_at.is_(None) & (EVENT_INBOX.c.number > after)
        query = select(*columns).where(is_meant).order_by(EVENT_INBOX.c.number).limit(most)
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            return tuple((row[0], InboxEvent(*row[1:])) for row in connection.execute(query))

    def count_waiting(self) -> int:
        """Give how many events the warehouse has not taken.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        query = select(func.count()).select_from(EVENT_INBOX).where(EVENT_INBOX.c.taken_at.is_(None))
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def mark_taken(self, numbers: Sequence[int], *, at: datetime) -> None:
        """Note that the warehouse has taken events; their names stay, so that repeats are known, their content goes.

        Raises
        ------
        WorkspaceError
            If the database cannot be written.
        """
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            for start in range(0, len(numbers), _EVENTS_A_STATEMENT):
                some = list(numbers[start : start + _EVENTS_A_STATEMENT])
                rows = update(EVENT_INBOX).where(EVENT_INBOX.c.number.in_(some))
                connection.execute(rows.values(taken_at=at, body=""))
