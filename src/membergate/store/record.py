"""The operational record: what was decided about whom. What was acknowledged stays; nothing is overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Engine, Select, bindparam, select

from membergate.domain.decision import Decision
from membergate.domain.disposition import HOLDERS, Checkpoint, Disposition
from membergate.domain.errors import UnknownSubjectError
from membergate.store.auditing import AuditRecord
from membergate.store.caps import CapLedger
from membergate.store.codec import Record, decision_to_record, is_storable_id
from membergate.store.columns import EvidenceColumns
from membergate.store.committing import Committer, Writing
from membergate.store.errors import readable_database_errors
from membergate.store.inbox import EventInbox
from membergate.store.keys import ApiKeyRecord
from membergate.store.let_in import LetIn
from membergate.store.listing import RiskListRecord
from membergate.store.memberships import MembershipRecord
from membergate.store.ordering import OrderRecord
from membergate.store.outbox import Outbox
from membergate.store.packing import CHECKPOINTS, DISPOSITIONS, account_of, key_of, pack, unpack
from membergate.store.policies import PolicyRecord
from membergate.store.questions import QuestionRecord
from membergate.store.recording import Recorder
from membergate.store.retention import Retention
from membergate.store.tables import DECISION_ENTRIES, DECISIONS
from membergate.store.velocity import VelocityLog
from membergate.store.writing import BY_KEY, ROWS, differences, insert_decisions, known_decisions, slices

_ROWS_A_SCAN = 20_000
_OLDEST_REVIEW = timedelta(days=92)
_HOLDERS = [DISPOSITIONS.index(disposition) for disposition in sorted(HOLDERS)]
_BY_ACCOUNT = ROWS.where(DECISIONS.c.account_key.in_(bindparam("keys", expanding=True)))
_TOUCHED = ROWS.where(
    DECISIONS.c.number.in_(
        select(DECISION_ENTRIES.c.decision_number).where(DECISION_ENTRIES.c.entry_id == bindparam("entry_id"))
    )
)
_LET_IN = ROWS.where(
    DECISIONS.c.checkpoint == CHECKPOINTS.index(Checkpoint.ADMISSION), DECISIONS.c.disposition.in_(_HOLDERS)
)
_ADMITTED = _LET_IN.where(
    DECISIONS.c.account_key.in_(bindparam("keys", expanding=True)), DECISIONS.c.as_of < bindparam("before")
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
        self._committer = Committer(engine, origin)
        self.audit = AuditRecord(engine, origin)
        self.retention = Retention(self._committer)
        self.lists = RiskListRecord(engine, origin, self._committer)
        self.policies = PolicyRecord(engine, origin, self._committer)
        self.caps = CapLedger(engine, origin, self._committer)
        self.questions = QuestionRecord(engine, origin)
        self.outbox = Outbox(engine, origin)
        self.orders = OrderRecord(self._committer, self.outbox)
        self.soon = Recorder(self._committer, self.outbox)
        self.memberships = MembershipRecord(engine, origin, self.outbox)
        self.let_in = LetIn(engine, origin)
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
        asked: dict[str, Decision] = {}
        for decision in decisions:
            _hold_equal(asked.setdefault(decision.decision_id, decision), decision)
        return self._committer.run(lambda writing: self._record(writing, asked)) if asked else 0

    def _record(self, writing: Writing, asked: Mapping[str, Decision]) -> int:
        written = _record(writing, asked)
        self.outbox.tell_of_decisions(writing.connection, tuple(asked.values()))
        return written

    def decision(self, decision_id: str) -> Decision:
        """Give one decision.

        Raises
        ------
        UnknownSubjectError
            If no decision has this id.
        WorkspaceError
            If the database cannot be read.
        """
        found = self._decisions(BY_KEY, {"keys": [key_of(decision_id)]}) if is_storable_id(decision_id) else ()
        for decision in found:
            if decision.decision_id == decision_id:
                return decision
        raise UnknownSubjectError("no decision has this id", where=f"decision {decision_id[:80]!r}")

    def decisions_of(self, account_id: str) -> tuple[Decision, ...]:
        """Give an account's decisions, earliest `as_of` first; none for an account that nobody decided about.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        found = self._decisions(_BY_ACCOUNT, {"keys": [key_of(account_id)]}) if is_storable_id(account_id) else ()
        return _in_time(decision for decision in found if decision.account_id == account_id)

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

    def recorded_last(self, most: int) -> tuple[Decision, ...]:
        """Give the decisions that were put on record last, at most so many, earliest `as_of` first.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        return _in_time(self._decisions(ROWS.order_by(DECISIONS.c.number.desc()).limit(most), {}))

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
        asked = {account_id for account_id in account_ids if is_storable_id(account_id)}
        keys = sorted({key_of(account_id) for account_id in asked})
        admitted: set[str] = set()
        for some in slices(keys):
            admitted |= self._accounts(_ADMITTED, {"keys": some, "before": before})
        return admitted & asked

    def has(self, decision_id: str) -> bool:
        """Tell whether a decision is on record.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        found = self._decisions(BY_KEY, {"keys": [key_of(decision_id)]}) if is_storable_id(decision_id) else ()
        return any(decision.decision_id == decision_id for decision in found)

    def reviews_since(self, since: datetime) -> set[str]:
        """Name the admission decisions from an instant on that sent somebody to a review.

        Applications older than a quarter of a year are not looked at: nobody decides those today.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        query = ROWS.where(
            DECISIONS.c.checkpoint == CHECKPOINTS.index(Checkpoint.ADMISSION),
            DECISIONS.c.disposition == DISPOSITIONS.index(Disposition.REVIEW),
            DECISIONS.c.as_of >= since - _OLDEST_REVIEW,
        )
        return {one.decision_id for one in self._decisions(query, {}) if one.decided_at >= since}

    def accounts_let_in(self, at: datetime) -> set[str]:
        """Name every account that a decision as of an instant, or before it, let in.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        return self._accounts(_LET_IN.where(DECISIONS.c.as_of <= at), {})

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
        query = _at(checkpoint, since, until)
        with readable_database_errors(self.origin), self._engine.connect() as connection:
            for rows in connection.execute(query.execution_options(yield_per=_ROWS_A_SCAN)).mappings().partitions():
                with self._engine.connect() as other:
                    yield [decision_to_record(self._committer.reading(other, unpack, row)) for row in rows]

    def scan_evidence(
        self,
        checkpoint: Checkpoint,
        names: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[EvidenceColumns]:
        """Read who was asked about and what some witnesses said, column by column, some decisions at a time.

        Parameters
        ----------
        checkpoint, since, until
            As for `scan`.
        names
            The evidence to read.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        query = _at(checkpoint, since, until)
        with readable_database_errors(self.origin), self._engine.connect() as connection:
            for rows in connection.execute(query.execution_options(yield_per=_ROWS_A_SCAN)).mappings().partitions():
                found = EvidenceColumns(tuple(names))
                with self._engine.connect() as other:
                    for row in rows:
                        self._committer.reading(other, found.add, row)
                yield found

    def check(self) -> None:
        """See that the database answers.

        Raises
        ------
        WorkspaceError
            If it does not.
        """
        with readable_database_errors(self.origin), self._engine.connect() as connection:
            connection.execute(select(DECISIONS.c.number).limit(1)).first()

    def close(self) -> None:
        """Put on record what was taken, and give back every connection. Closing twice does no harm."""
        self.soon.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _decisions(self, query: Select[Any], parameters: Mapping[str, Any]) -> tuple[Decision, ...]:
        with readable_database_errors(self.origin), self._engine.connect() as connection:
            rows = connection.execute(query, parameters).mappings().all()
            return tuple(self._committer.reading(connection, unpack, row) for row in rows)

    def _accounts(self, query: Select[Any], parameters: Mapping[str, Any]) -> set[str]:
        with readable_database_errors(self.origin), self._engine.connect() as connection:
            rows = connection.execute(query, parameters).mappings().all()
            return {self._committer.reading(connection, account_of, row) for row in rows}


def _at(checkpoint: Checkpoint, since: datetime | None, until: datetime | None) -> Select[Any]:
    query = ROWS.where(DECISIONS.c.checkpoint == CHECKPOINTS.index(checkpoint))
    query = query if since is None else query.where(DECISIONS.c.as_of >= since)
    return query if until is None else query.where(DECISIONS.c.as_of < until)


def _in_time(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    return tuple(sorted(decisions, key=lambda decision: (decision.as_of, decision.decided_at, decision.decision_id)))


def _record(writing: Writing, asked: Mapping[str, Decision]) -> int:
    """Write the decisions that are not on record, and hold the others equal to what is there."""
    known = known_decisions(writing, list(asked))
    new = []
    for decision_id, decision in asked.items():
        if decision_id in known:
            _hold_equal(known[decision_id], decision)
        else:
            new.append(decision)
    insert_decisions(writing, new, [pack(decision, writing.terms) for decision in new])
    return len(new)


def _hold_equal(kept: Decision, asked: Decision) -> None:
    conflict = differences(kept, asked)
    if conflict is not None:
        raise conflict
