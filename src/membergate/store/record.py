"""The operational record: what was decided about whom. What was acknowledged stays; nothing is overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, Row, Select, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from membergate.domain.decision import Decision
from membergate.domain.disposition import HOLDERS, Checkpoint
from membergate.domain.errors import UnknownSubjectError
from membergate.domain.listing import entries_behind
from membergate.store.caps import CapLedger
from membergate.store.codec import COLUMNS, Record, decision_from_record, decision_to_record, is_storable_id
from membergate.store.errors import RecordConflictError, readable_database_errors
from membergate.store.inbox import EventInbox
from membergate.store.keys import ApiKeyRecord
from membergate.store.listing import RiskListRecord
from membergate.store.memberships import MembershipRecord
from membergate.store.outbox import Outbox
from membergate.store.policies import PolicyRecord
from membergate.store.questions import QuestionRecord
from membergate.store.tables import DECISION_ENTRIES, DECISIONS
from membergate.store.velocity import VelocityLog

_T = TypeVar("_T")

_IDS_A_QUERY = 5_000  # backends bound the parameters of one statement: 32,766 on SQLite, 65,535 on PostgreSQL
_ROWS_A_SCAN = 20_000
_CONTENT = tuple(column for column in COLUMNS if column != "decided_at")
_ROWS = select(*(DECISIONS.c[column] for column in COLUMNS))
_BY_ID = _ROWS.where(DECISIONS.c.decision_id == bindparam("decision_id"))
_BY_ACCOUNT = _ROWS.where(DECISIONS.c.account_id == bindparam("account_id"))
_TOUCHED = _ROWS.join(DECISION_ENTRIES, DECISION_ENTRIES.c.decision_id == DECISIONS.c.decision_id).where(
    DECISION_ENTRIES.c.entry_id == bindparam("entry_id")
)
_ADMITTED = (
    select(DECISIONS.c.account_id)
    .distinct()
    .where(DECISIONS.c.account_id.in_(bindparam("account_ids", expanding=True)))
    .where(DECISIONS.c.as_of < bindparam("before"))
    .where(DECISIONS.c.checkpoint == Checkpoint.ADMISSION.value)
    .where(DECISIONS.c.disposition.in_(sorted(disposition.value for disposition in HOLDERS)))
)

_LET_IN = (
    select(DECISIONS.c.account_id)
    .distinct()
    .where(DECISIONS.c.as_of <= bindparam("at"))
    .where(DECISIONS.c.checkpoint == Checkpoint.ADMISSION.value)
    .where(DECISIONS.c.disposition.in_(sorted(disposition.value for disposition in HOLDERS)))
)


class OperationalRecord:
    """Decisions on record, on SQLite or PostgreSQL. Threads may share one; processes open their own.

    Parameters
    ----------
    engine
        A connection pool on a database of the newest schema; `open_store` makes it.
    origin
        The database, as it may be shown.
    """

    def __init__(self, engine: Engine, origin: str) -> None:
        self.origin = origin
        self._engine = engine
        self._writing = engine.execution_options(is_writing=True, preserve_rowcount=True)
        insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
        self._insert = insert(DECISIONS).on_conflict_do_nothing(index_elements=["decision_id"])
        self._link = insert(DECISION_ENTRIES).on_conflict_do_nothing(index_elements=["entry_id", "decision_id"])
        self.lists = RiskListRecord(engine, origin)
        self.policies = PolicyRecord(engine, origin)
        self.caps = CapLedger(engine, origin)
        self.questions = QuestionRecord(engine, origin)
        self.outbox = Outbox(engine, origin)
        self.memberships = MembershipRecord(engine, origin, self.outbox)
        self.inbox = EventInbox(engine, origin)
        self.velocity = VelocityLog(engine, origin)
        self.keys = ApiKeyRecord(engine, origin)

    def record(self, decisions: Sequence[Decision]) -> int:
        """Put decisions on record, all or none; when it returns, they are safe on disk.

        A decision that is on record already is left as it is. The instant at which it was decided is no part of its
        content: the same question, asked again under the same versions, keeps its first record.

        Parameters
        ----------
        decisions
            Any number of decisions.

        Returns
        -------
        int
            How many of them were new.

        Raises
        ------
        RecordConflictError
            If an id is on record, or comes twice, with different content. Nothing was recorded.
        BadInputError
            If a decision cannot be written without loss. Nothing was recorded.
        WorkspaceError
            If the database cannot be written. Nothing was recorded.
        """
        rows = _distinct(map(decision_to_record, decisions))
        if not rows:
            return 0
        links = [
            {"entry_id": entry_id, "decision_id": decision.decision_id}
            for decision in decisions
            for witnessed in decision.evidence
            for entry_id in entries_behind(witnessed)
        ]
        with readable_database_errors(self.origin), self._writing.begin() as connection:
            inserted = connection.execute(self._insert, rows).rowcount
            if links:
                connection.execute(self._link, links)
            self.outbox.tell_of_decisions(connection, decisions)
            if inserted != len(rows):
                _hold_recorded(connection, rows)
        return inserted

    def decision(self, decision_id: str) -> Decision:
        """Give one decision.

        Raises
        ------
        UnknownSubjectError
            If no decision has this id.
        WorkspaceError
            If the database cannot be read.
        """
        found = self._decisions(_BY_ID, {"decision_id": decision_id}) if is_storable_id(decision_id) else ()
        if not found:
            raise UnknownSubjectError("no decision has this id", where=f"decision {decision_id[:80]!r}")
        return found[0]

    def decisions_of(self, account_id: str) -> tuple[Decision, ...]:
        """Give an account's decisions, earliest `as_of` first; none for an account that nobody decided about.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        return _in_time(self._decisions(_BY_ACCOUNT, {"account_id": account_id}) if is_storable_id(account_id) else ())

    def decisions_touched(self, entry_id: str) -> tuple[Decision, ...]:
        """Give the decisions whose evidence a list entry made true, earliest `as_of` first.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        return _in_time(self._decisions(_TOUCHED, {"entry_id": entry_id}))

    def latest_of(self, account_id: str, checkpoint: Checkpoint = Checkpoint.ADMISSION) -> Decision | None:
        """Give an account's decision with the latest `as_of` at a checkpoint; None where there is none.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        decisions = [decision for decision in self.decisions_of(account_id) if decision.checkpoint is checkpoint]
        return decisions[-1] if decisions else None

    def admitted_accounts(self, account_ids: Iterable[str], before: datetime) -> set[str]:
        """Tell which accounts were let in, in full, capped or on trial, by decisions as of an earlier instant.

        Parameters
        ----------
        account_ids
            The accounts asked about, usually one operator's.
        before
            Only decisions whose `as_of` is earlier count; aware.

        Returns
        -------
        set of str
            Those of the accounts that were.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        asked = [account_id for account_id in account_ids if is_storable_id(account_id)]
        admitted: set[str] = set()
        with readable_database_errors(self.origin), self._engine.connect() as connection:
            for some in _slices(asked):
                admitted.update(connection.execute(_ADMITTED, {"account_ids": some, "before": before}).scalars())
        return admitted

    def accounts_let_in(self, at: datetime) -> set[str]:
        """Name every account that a decision as of an instant, or before it, let in.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        with readable_database_errors(self.origin), self._engine.connect() as connection:
            return set(connection.execute(_LET_IN, {"at": at}).scalars())

    def scan(
        self, checkpoint: Checkpoint, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[list[Record]]:
        """Read the decisions of a checkpoint as flat records, some at a time, in no particular order.

        Parameters
        ----------
        checkpoint
            Where they were asked.
        since, until
            Only decisions whose `as_of` lies in [since, until); open where None.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        query = _ROWS.where(DECISIONS.c.checkpoint == checkpoint.value)
        query = query if since is None else query.where(DECISIONS.c.as_of >= since)
        query = query if until is None else query.where(DECISIONS.c.as_of < until)
        with readable_database_errors(self.origin), self._engine.connect() as connection:
            for rows in connection.execute(query.execution_options(yield_per=_ROWS_A_SCAN)).partitions():
                yield [_record(row) for row in rows]

    def check(self) -> None:
        """See that the database answers.

        Raises
        ------
        WorkspaceError
            If it does not.
        """
        with readable_database_errors(self.origin), self._engine.connect() as connection:
            connection.execute(select(DECISIONS.c.decision_id).limit(1)).first()

    def close(self) -> None:
        """Give back every connection. Closing twice does no harm."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _decisions(self, query: Select[Any], parameters: Mapping[str, str]) -> tuple[Decision, ...]:
        with readable_database_errors(self.origin), self._engine.connect() as connection:
            rows = connection.execute(query, parameters).all()
        return tuple(decision_from_record(_record(row)) for row in rows)


def _in_time(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    return tuple(sorted(decisions, key=lambda decision: (decision.as_of, decision.decided_at, decision.decision_id)))


def _distinct(records: Iterable[Record]) -> list[Record]:
    """Leave out records that come twice with equal content."""
    distinct: dict[str, Record] = {}
    for record in records:
        _hold_equal(distinct.setdefault(record["decision_id"], record), record)
    return list(distinct.values())


def _hold_recorded(connection: Connection, records: Sequence[Record]) -> None:
    """Hold the records equal to what the database has under their ids."""
    for some in _slices(records):
        is_asked = DECISIONS.c.decision_id.in_([record["decision_id"] for record in some])
        stored = {row.decision_id: _record(row) for row in connection.execute(_ROWS.where(is_asked))}
        for record in some:
            _hold_equal(stored[record["decision_id"]], record)


def _hold_equal(stored: Mapping[str, Any], record: Record) -> None:
    differing = [column for column in _CONTENT if stored[column] != record[column]]
    if differing:
        raise RecordConflictError(
            f"a decision with this id is on record with another {', '.join(differing)}",
            where=f"decision {record['decision_id']!r}",
            next_step="what was visible as of that instant has changed since: decide under a new model version",
        )


def _record(row: Row[Any]) -> Record:
    return dict(zip(COLUMNS, row, strict=True))


def _slices(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _IDS_A_QUERY):
        yield items[start : start + _IDS_A_QUERY]
