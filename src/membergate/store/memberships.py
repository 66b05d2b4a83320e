"""Notices to members and appeals by them, on record: nothing is overwritten, and an appeal is decided once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Engine, RowMapping, Select, select

from membergate.domain.errors import RefusedError, UnknownSubjectError
from membergate.domain.membership import Appeal, AppealState, Notice
from membergate.store.codec import is_storable_id
from membergate.store.errors import readable_database_errors
from membergate.store.outbox import Outbox
from membergate.store.questions import insert_of
from membergate.store.service_tables import APPEAL_DECISIONS, APPEALS, NOTICES

_APPEALS = select(
    APPEALS,
    APPEAL_DECISIONS.c.state,
    APPEAL_DECISIONS.c.decided_at,
    APPEAL_DECISIONS.c.decided_by,
    APPEAL_DECISIONS.c.note,
).select_from(APPEALS.outerjoin(APPEAL_DECISIONS, APPEALS.c.appeal_id == APPEAL_DECISIONS.c.appeal_id))


class MembershipRecord:
    """Notices and appeals on SQLite or PostgreSQL. Threads may share it.

    Parameters
    ----------
    engine
        A connection pool on a database of the newest schema.
    origin
        The database, as it may be shown.
    outbox
        Tells of notices.
    """

    def __init__(self, engine: Engine, origin: str, outbox: Outbox) -> None:
        self._outbox = outbox
        self._origin = origin
        self._engine = engine
        self._writing = engine.execution_options(is_writing=True)
        self._insert = insert_of(engine)

    def tell(self, notices: Sequence[Notice]) -> None:
        """Put notices on record; those that are there already are left as they are.

        Raises
        ------
        WorkspaceError
            If the database cannot be written. Nothing was told.
        """
        rows = [asdict(notice) | {"sentences": _json(notice.sentences)} for notice in notices]
        if rows:
            statement = self._insert(NOTICES).on_conflict_do_nothing(index_elements=["notice_id"])
            with readable_database_errors(self._origin), self._writing.begin() as connection:
                connection.execute(statement, rows)
                self._outbox.tell_of_notices(connection, notices)

    def notices(self, account_id: str | None = None, since: datetime | None = None) -> tuple[Notice, ...]:
        """Give notices, oldest first: of one account or of all, from an instant on or ever.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        query = select(NOTICES).order_by(NOTICES.c.created_at, NOTICES.c.notice_id)
        query = query if account_id is None else query.where(NOTICES.c.account_id == account_id)
        query = query if since is None else query.where(NOTICES.c.created_at >= since)
        if account_id is not None and not is_storable_id(account_id):
            return ()
        rows = self._rows(query)
        return tuple(Notice(**{**row, "sentences": tuple(msgspec.json.decode(row["sentences"]))}) for row in rows)

    def open_appeal(self, appeal: Appeal) -> Appeal:
        """Put an appeal on record; gives the one that stands there, since a decision has one appeal.

        Raises
        ------
        WorkspaceError
            If the database cannot be written.
        """
        names = ("appeal_id", "decision_id", "account_id", "opened_at", "statement")
        statement = self._insert(APPEALS).on_conflict_do_nothing()
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            connection.execute(statement, {name: getattr(appeal, name) for name in names})
        return self.appeal(appeal.appeal_id)

    def appeal(self, appeal_id: str) -> Appeal:
        """Give one appeal.

        Raises
        ------
        UnknownSubjectError
            If there is none with this id.
        WorkspaceError
            If the database cannot be read.
        """
        rows = self._rows(_APPEALS.where(APPEALS.c.appeal_id == appeal_id)) if is_storable_id(appeal_id) else ()
        if not rows:
            raise UnknownSubjectError(
                "no appeal has this id", where=f"appeal {appeal_id[:80]!r}", next_step="membergate appeals list"
            )
        return _appeal(rows[0])

    def appeals(self, state: AppealState | None = None) -> tuple[Appeal, ...]:
        """Give the appeals, oldest first; those of a state, or all.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        found = map(_appeal, self._rows(_APPEALS.order_by(APPEALS.c.opened_at, APPEALS.c.appeal_id)))
        return tuple(appeal for appeal in found if state is None or appeal.state is state)

    def decide_appeal(self, appeal_id: str, state: AppealState, *, at: datetime, by: str, note: str) -> Appeal:
        """Put on record what a person decided of an appeal; the same again does no harm.

        Parameters
        ----------
        appeal_id
            Which.
        state
            Upheld or rejected.
        at, by, note
            When, by whom and why it was decided.

        Raises
        ------
        UnknownSubjectError
            If there is none with this id.
        RefusedError
            If it was decided otherwise before.
        WorkspaceError
            If the database cannot be written.
        """
        self.appeal(appeal_id)
        row = {"appeal_id": appeal_id, "state": state.value, "decided_at": at, "decided_by": by, "note": note}
        statement = self._insert(APPEAL_DECISIONS).on_conflict_do_nothing(index_elements=["appeal_id"])
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            connection.execute(statement, row)
        stands = self.appeal(appeal_id)
        if stands.state is not state:
            raise RefusedError(
                f"this appeal was {stands.state.value} by {stands.decided_by} already",
                where=f"appeal {appeal_id}",
                next_step="membergate sweep reinstate, if the decision was wrong",
            )
        return stands

    def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            return connection.execute(query).mappings().all()


def _appeal(row: RowMapping) -> Appeal:
    told = {name: value for name, value in row.items() if value is not None}
    return Appeal(**{**told, "state": AppealState(told.get("state", AppealState.OPEN))})


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
