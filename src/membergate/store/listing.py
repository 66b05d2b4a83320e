"""Risk lists on record: entries are added and retracted, never changed, and every change says who made it and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from membergate.domain.errors import BadInputError, UnknownSubjectError, WorkspaceError
from membergate.domain.labels import LabelGrade
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType
from membergate.store.committing import Committer, Writing
from membergate.store.errors import readable_database_errors
from membergate.store.tables import LIST_CHANGES, LIST_ENTRIES

_ADDED, _RETRACTED = "added", "retracted"
_IS_RETRACTION = and_(LIST_CHANGES.c.entry_id == LIST_ENTRIES.c.entry_id, LIST_CHANGES.c.change == _RETRACTED)
_ROWS = select(*LIST_ENTRIES.c, LIST_CHANGES.c.changed_at.label("withdrawn_at")).select_from(
    LIST_ENTRIES.outerjoin(LIST_CHANGES, _IS_RETRACTION)
)
_BY_ID = _ROWS.where(LIST_ENTRIES.c.entry_id == bindparam("entry_id"))
_CHANGED = _ROWS.where(
    LIST_ENTRIES.c.entry_id.in_(select(LIST_CHANGES.c.entry_id).where(LIST_CHANGES.c.number > bindparam("number")))
)
_LATEST = select(func.coalesce(func.max(LIST_CHANGES.c.number), 0))


class RiskListRecord:
    """Risk lists on SQLite or PostgreSQL; `OperationalRecord.lists` is one. Threads may share it.

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
        insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
        self._add = insert(LIST_ENTRIES).on_conflict_do_nothing(index_elements=["entry_id"])

    def change(
        self,
        add: Sequence[ListEntry] = (),
        retract: Sequence[str] = (),
        *,
        at: datetime,
        by: str,
        reason: str = "",
    ) -> int:
        """Add and retract entries, all or none; when it returns, the change is safe on disk and visible to everyone.

        Parameters
        ----------
        add
            New entries. One whose id is on record already is left as it is.
        retract
            Ids of entries to withdraw, from `at` on.
        at, by, reason
            When, by whom and why, for the audit.

        Returns
        -------
        int
            How many of the entries were new.

        Raises
        ------
        UnknownSubjectError
            If an entry to retract is not on record. Nothing was changed.
        BadInputError
            If an entry to retract was retracted before, or nobody is named. Nothing was changed.
        WorkspaceError
            If the database cannot be written. Nothing was changed.
        """
        if not by.strip() or not by.isprintable():
            raise BadInputError("a change of a list needs somebody who made it", allowed="--by NAME, printable")
        if not add and not retract:
            return 0
        told = {"changed_at": at, "changed_by": by, "reason": reason}
        return self._committer.run(lambda writing: self._change(writing, add, retract, told))

    def _change(
        self, writing: Writing, add: Sequence[ListEntry], retract: Sequence[str], told: Mapping[str, object]
    ) -> int:
        connection = writing.connection
        added = [entry.entry_id for entry in add if connection.execute(self._add, _row(entry)).rowcount]
        for entry_id in retract:
            _hold_retractable(connection, entry_id)
        rows = [{"entry_id": entry_id, "change": _ADDED, **told} for entry_id in added]
        rows += [{"entry_id": entry_id, "change": _RETRACTED, **told} for entry_id in retract]
        writing.insert(LIST_CHANGES, rows)
        return len(added)

    def entry(self, entry_id: str) -> ListEntry:
        """Give one entry.

        Raises
        ------
        UnknownSubjectError
            If no entry has this id.
        """
        found = self._entries(_BY_ID, entry_id=entry_id)
        if not found:
            raise _unknown(entry_id)
        return found[0]

    def entries(self) -> tuple[ListEntry, ...]:
        """Give every entry that was ever added, the withdrawn and expired too, in order of recording."""
        return self._entries(_ROWS)

    def changed_since(self, number: int) -> tuple[tuple[ListEntry, ...], int]:
        """Give the entries that were added or retracted after a change, and the number of the latest change.

        A reader that keeps the number and asks again is never further behind than its last question.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            latest = int(connection.execute(_LATEST).scalar_one())
            if latest == number:
                return (), number
            rows = connection.execute(_CHANGED, {"number": number}).all()
        return tuple(_entry(row) for row in rows), latest

    def changes_of(self, entry_id: str) -> tuple[tuple[str, datetime, str, str], ...]:
        """Give what became of an entry: (change, when, by whom, why), oldest first."""
        columns = (LIST_CHANGES.c.change, LIST_CHANGES.c.changed_at, LIST_CHANGES.c.changed_by, LIST_CHANGES.c.reason)
        query = select(*columns).where(LIST_CHANGES.c.entry_id == entry_id).order_by(LIST_CHANGES.c.number)
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            return tuple((str(row[0]), row[1], str(row[2]), str(row[3])) for row in connection.execute(query))

    def _entries(self, query: Select[Any], **parameters: str) -> tuple[ListEntry, ...]:
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            rows = connection.execute(query, parameters).all()
        return tuple(sorted(map(_entry, rows), key=lambda entry: (entry.recorded_at, entry.entry_id)))


def _hold_retractable(connection: Connection, entry_id: str) -> None:
    row = connection.execute(_BY_ID, {"entry_id": entry_id}).first()
    if row is None:
        raise _unknown(entry_id)
    if row.withdrawn_at is not None:
        raise BadInputError("this entry was retracted before", where=f"list entry {entry_id[:128]}")


def _unknown(entry_id: str) -> UnknownSubjectError:
    return UnknownSubjectError(
        "no list entry has this id", where=f"list entry {entry_id[:128]!r}", next_step="membergate list show"
    )


def _row(entry: ListEntry) -> dict[str, Any]:
    return {
        "entry_id": entry.entry_id,
        "risk_list": entry.risk_list.value,
        "subject_type": entry.subject.subject_type.value,
        "subject_key": entry.subject.key,
        "reason_code": entry.reason_code,
        "grade": entry.grade.value,
        "source": entry.source,
        "is_manual": entry.is_manual,
        "confidence": entry.confidence,
        "recorded_at": entry.recorded_at,
        "starts_at": entry.starts_at,
        "expires_at": entry.expires_at,
        "source_version": entry.source_version,
        "review_at": entry.review_at,
        "half_life_days": entry.half_life_days,
        "decision_id": entry.decision_id,
    }


def _entry(row: Any) -> ListEntry:  # a Row; its type lists every column
    told = dict(row._mapping)  # noqa: SLF001 (SQLAlchemy's public name for a row as a mapping)
    try:
        subject = Subject(SubjectType(told.pop("subject_type")), told.pop("subject_key"))
        risk_list, grade = RiskList(told.pop("risk_list")), LabelGrade(told.pop("grade"))
        return ListEntry(risk_list=risk_list, subject=subject, grade=grade, **told)
    except (ValueError, TypeError, BadInputError) as error:
        raise WorkspaceError(
            f"a stored list entry cannot be read back: {error}",
            where=f"list entry {told.get('entry_id')!r}",
            next_step="restore the record from a backup; it was changed by something else than membergate",
        ) from error
