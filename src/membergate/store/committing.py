"""Group commit: what several threads write at the same time becomes one transaction, and one wait for the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, RowMapping, Table

from membergate.domain.errors import WorkspaceError
from membergate.store.chain import Tail, digest_before_writing, hold_lock
from membergate.store.errors import readable_database_errors
from membergate.store.tables import TERMS
from membergate.store.terms import Terms

_T = TypeVar("_T")
MOST_TOGETHER = 256
"""Works that share a transaction, at most."""


class Writing:
    """What a piece of work may do: execute statements, and insert rows that the chain covers.

    Parameters
    ----------
    connection
        Inside a transaction that holds the lock.
    terms
        The record's dictionary, up to date.
    tail
        Numbers the rows; looked up where None.
    """

    def __init__(self, connection: Connection, terms: Terms, tail: Tail | None = None) -> None:
        self.connection = connection
        self.terms = terms
        self.written: dict[str, list[int]] = {}
        self.digests: dict[tuple[str, int], bytes] = {}
        self._tail = tail or Tail()

    def insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows under the next numbers, which the chain will cover; gives the first number."""
        first = self._tail.take(self.connection, table, len(rows))
        if rows:
            self._write(table, [{**row, "number": first + place} for place, row in enumerate(rows)])
        return first

    def insert_terms(self) -> None:
        """Write the terms that were entered."""
        pending = self.terms.take_pending()
        if pending:
            self._write(TERMS, [{"number": number, "content": content} for number, content in pending])

    def _write(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        self.connection.execute(table.insert(), rows)
        self.written.setdefault(table.name, []).extend(row["number"] for row in rows)
        for row in rows:
            digest = digest_before_writing(table, row["number"], row)
            if digest is not None:
                self.digests[table.name, row["number"]] = digest


class _Ticket(Generic[_T]):
    def __init__(self, work: Callable[[Writing], _T]) -> None:
        self.work = work
        self.is_done = False
        self.error: BaseException | None = None
        self.answer: _T | None = None


class Committer:
    """Runs pieces of work, each all or none, together where they come together; when one returns, it is on disk.

    Parameters
    ----------
    engine
        A connection pool on a database of the newest schema.
    origin
        The database, as it may be shown.
    """

    def __init__(self, engine: Engine, origin: str) -> None:
        self.terms = Terms()
        self._tail = Tail()
        self._origin = origin
        self._engine = engine.execution_options(is_writing=True, preserve_rowcount=True)
        self._waiting: list[_Ticket[Any]] = []
        self._queue = Lock()
        self._turn = Lock()

    def run(self, work: Callable[[Writing], _T]) -> _T:
        """Do a piece of work, and give its answer once it is on disk.

        Raises
        ------
        MembergateError
            Whatever the work raises; nothing of it was written then.
        WorkspaceError
            If the database cannot be written.
        """
        ticket = _Ticket(work)
        with self._queue:
            self._waiting.append(ticket)
        with self._turn:
            while not ticket.is_done:  # whoever came before may have done it
                self._commit_next()
        if ticket.error is not None:
            with readable_database_errors(self._origin):
                raise ticket.error
        answer: Any = ticket.answer
        return answer  # type: ignore[no-any-return]  # a ticket without an error has the work's answer

    def reading(self, connection: Connection, read: Callable[[RowMapping, Terms], _T], row: RowMapping) -> _T:
        """Read a row by the dictionary, and look up what others entered if it lacks anything.

        Raises
        ------
        WorkspaceError
            If the row cannot be read.
        """
        try:
            return read(row, self.terms)
        except WorkspaceError:
            with self._turn:
                self.terms.follow(connection)
            return read(row, self.terms)

    def _commit_next(self) -> None:
        with self._queue:
            batch, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
        known = len(self.terms)
        try:
            self._commit(batch)
        except BaseException as error:  # noqa: BLE001 - each waiting thread raises it as its own
            self.terms.forget(min(known, len(self.terms)))
            for ticket in batch:
                ticket.error = ticket.error or error
        for ticket in batch:
            ticket.is_done = True

    def _commit(self, batch: Sequence[_Ticket[Any]]) -> None:
        whole: list[Writing] = []
        with self._engine.begin() as connection:
            hold_lock(connection)
            if not self._tail.follow(connection):
                self.terms.follow(connection)
            for ticket in batch:
                known, taken = len(self.terms), self._tail.taken()
                writing = Writing(connection, self.terms, self._tail)
                savepoint = connection.begin_nested() if len(batch) > 1 else None
                try:
                    ticket.answer = ticket.work(writing)
                    writing.insert_terms()
                except Exception as error:
                    if savepoint is None:
                        raise
                    savepoint.rollback()
                    self.terms.forget(known)
                    self._tail.give_back(taken)
                    ticket.error = error
                    continue
                if savepoint is not None:
                    savepoint.commit()
                whole.append(writing)
            self._seal(connection, whole)
        self._tail.keep()

    def _seal(self, connection: Connection, whole: Sequence[Writing]) -> None:
        written: dict[str, list[int]] = {}
        digests: dict[tuple[str, int], bytes] = {}
        for writing in whole:
            digests |= writing.digests
            for kind, numbers in writing.written.items():
                written.setdefault(kind, []).extend(numbers)
        self._tail.seal(connection, written, digests)
