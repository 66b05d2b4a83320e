"""The cap ledger: how much of each limit is used up. However many ask at once, no limit is ever overshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, select

from membergate.domain.limits import Ask
from membergate.store.committing import Committer, Writing
from membergate.store.errors import readable_database_errors
from membergate.store.tables import CAP_USES

_OF_USES = (
    select(*CAP_USES.c).where(CAP_USES.c.use_id.in_(bindparam("use_ids", expanding=True))).order_by(CAP_USES.c.number)
)
_SUM = select(func.coalesce(func.sum(CAP_USES.c.amount), 0)).where(
    CAP_USES.c.key == bindparam("key"), CAP_USES.c.used_at >= bindparam("since")
)


class CapLedger:
    """Uses of limits on SQLite or PostgreSQL; `OperationalRecord.caps` is one. Threads may share it.

    One transaction at a time draws, on SQLite and on PostgreSQL, and wishes that come together share one; so nobody
    sees a sum that somebody else is about to change.

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

    def draw(self, asks: Sequence[Ask], *, at: datetime) -> dict[str, int]:
        """Grant as many units of each wish as its limits leave, and put them on record, all at one stroke.

        Parameters
        ----------
        asks
            The wishes; an earlier one counts for a later one.
        at
            The instant of use, in event time.

        Returns
        -------
        dict
            Units granted, by use. A use that is on record already gets its first answer, and 0 once it was released.

        Raises
        ------
        WorkspaceError
            If the database cannot be written. Nothing was granted.
        """
        if not asks:
            return {}
        return self._committer.run(lambda writing: {ask.use_id: _draw(writing, ask, at) for ask in asks})

    def release(self, use_ids: Sequence[str], *, at: datetime) -> int:
        """Give back what uses took, for an order that was cancelled; gives how many uses of limits were given back.

        Raises
        ------
        WorkspaceError
            If the database cannot be written. Nothing was given back.
        """
        return self._committer.run(lambda writing: _release(writing, list(use_ids), at))

    def used(self, key: str, since: datetime) -> int:
        """Give how much of a limit was used from an instant on.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            return _used(connection, key, since)


def _draw(writing: Writing, ask: Ask, at: datetime) -> int:
    connection = writing.connection
    known = connection.execute(_OF_USES, {"use_ids": [ask.use_id]}).all()
    if known:
        return 0 if any(row.released_at is not None for row in known) else int(known[0].units)
    used: dict[str, int] = {}
    for limit in ask.limits:
        used[limit.key] = max(used.get(limit.key, 0), _used(connection, limit.key, limit.since))
    units = ask.fitting(used)
    rows = {limit.key: _row(ask.use_id, limit.key, units, units * limit.weight, at) for limit in ask.limits}
    writing.insert(CAP_USES, list(rows.values()))
    return units


def _release(writing: Writing, use_ids: list[str], at: datetime) -> int:
    """Take back what is held, by rows of the opposite sign at the same instant of use."""
    rows = writing.connection.execute(_OF_USES, {"use_ids": use_ids}).all()
    released = {row.use_id for row in rows if row.released_at is not None}
    held = [row for row in rows if row.use_id not in released]
    back = [{**_row(row.use_id, row.key, -row.units, -row.amount, row.used_at), "released_at": at} for row in held]
    writing.insert(CAP_USES, back)
    return len(held)


def _row(use_id: str, key: str, units: int, amount: int, used_at: datetime) -> dict[str, Any]:
    told = {"use_id": use_id, "key": key, "units": units, "amount": amount}
    return {**told, "used_at": used_at, "released_at": None}


def _used(connection: Connection, key: str, since: datetime) -> int:
    return int(connection.execute(_SUM, {"key": key, "since": since}).scalar_one())
