"""The cap ledger: how much of each limit is used up. However many ask at once, no limit is ever overshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, Engine, func, select, text, update

from membergate.domain.limits import Ask
from membergate.store.errors import readable_database_errors
from membergate.store.tables import CAP_USES


class CapLedger:
    """Uses of limits on SQLite or PostgreSQL; `OperationalRecord.caps` is one. Threads may share it.

    SQLite lets one writer in at a time. On PostgreSQL an advisory lock for each limit lets one order at a time see and
    change its sum; locks are taken in order, so that two orders never wait for each other.

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
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            _lock(connection, asks)
            return {ask.use_id: _draw(connection, ask, at) for ask in asks}

    def release(self, use_ids: Sequence[str], *, at: datetime) -> int:
        """Give back what uses took, for an order that was cancelled; gives how many uses of limits were given back.

        Raises
        ------
        WorkspaceError
            If the database cannot be written. Nothing was given back.
        """
        is_held = CAP_USES.c.use_id.in_(list(use_ids)) & CAP_USES.c.released_at.is_(None)
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            return connection.execute(update(CAP_USES).where(is_held).values(released_at=at)).rowcount

    def used(self, key: str, since: datetime) -> int:
        """Give how much of a limit was used from an instant on.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            return _used(connection, key, since)


def _draw(connection: Connection, ask: Ask, at: datetime) -> int:
    query = select(CAP_USES.c.units, CAP_USES.c.released_at).where(CAP_USES.c.use_id == ask.use_id)
    known = connection.execute(query).first()
    if known is not None:
        return 0 if known.released_at is not None else int(known.units)
    used: dict[str, int] = {}
    for limit in ask.limits:
        used[limit.key] = max(used.get(limit.key, 0), _used(connection, limit.key, limit.since))
    units = ask.fitting(used)
    rows = {
        limit.key: {
            "use_id": ask.use_id,
            "key": limit.key,
            "units": units,
            "amount": units * limit.weight,
            "used_at": at,
            "released_at": None,
        }
        for limit in ask.limits
    }
    if rows:
        connection.execute(CAP_USES.insert(), list(rows.values()))
    return units


def _used(connection: Connection, key: str, since: datetime) -> int:
    total = select(func.coalesce(func.sum(CAP_USES.c.amount), 0))
    is_counted = (CAP_USES.c.key == key) & (CAP_USES.c.used_at >= since) & CAP_USES.c.released_at.is_(None)
    return int(connection.execute(total.where(is_counted)).scalar_one())


def _lock(connection: Connection, asks: Sequence[Ask]) -> None:
    if connection.dialect.name != "postgresql":
        return
    keys = {limit.key for ask in asks for limit in ask.limits} | {ask.use_id for ask in asks}
    locks = sorted({int.from_bytes(sha256(key.encode()).digest()[:8], signed=True) for key in keys})
    for lock in locks:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
