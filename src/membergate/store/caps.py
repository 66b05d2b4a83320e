"""The cap ledger: how much of each limit is used up. However many ask at once, no limit is ever overshot."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, bindparam, func, select, text

from membergate.domain.limits import Ask
from membergate.store.committing import Committer, Writing
from membergate.store.errors import readable_database_errors
from membergate.store.tables import CAP_USES, UtcInstant

_OF_USES = (
    select(*CAP_USES.c).where(CAP_USES.c.use_id.in_(bindparam("use_ids", expanding=True))).order_by(CAP_USES.c.number)
)
_SUM = select(func.coalesce(func.sum(CAP_USES.c.amount), 0)).where(
    CAP_USES.c.key == bindparam("key"), CAP_USES.c.used_at >= bindparam("since")
)
_SUMS_A_QUERY = 256


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
        return self._committer.run(lambda writing: _draw(writing, asks, at)) if asks else {}

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


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was granted to wishes, and the rows of the ledger that say so.

    Parameters
    ----------
    units
        Units granted, by use.
    rows
        What is to be charged.
    """

    units: dict[str, int]
    rows: tuple[dict[str, Any], ...]


class Draws:
    """The ledger inside one transaction: read at once for many wishes, and charged as one after the other is granted.

    Parameters
    ----------
    connection
        Inside a transaction that holds the lock.
    asks
        Every wish that may be drawn.
    repeated
        Uses that may be on record already.
    """

    def __init__(self, connection: Connection, asks: Sequence[Ask], repeated: Collection[str]) -> None:
        self._before = _granted_before(connection, repeated)
        self._used = _sums(connection, sorted({(limit.key, limit.since) for ask in asks for limit in ask.limits}))
        self._charged: dict[str, list[tuple[datetime, int]]] = {}
        self.rows: list[dict[str, Any]] = []

    def draw(self, asks: Sequence[Ask], at: datetime) -> Drawn:
        """Grant as many units of each wish as its limits leave, an earlier wish before a later one; charges nothing."""
        units: dict[str, int] = {}
        rows: list[dict[str, Any]] = []
        for ask in asks:
            if ask.use_id in self._before or ask.use_id in units:
                units.setdefault(ask.use_id, self._before.get(ask.use_id, 0))
                continue
            used: dict[str, int] = {}
            for limit in ask.limits:
                used[limit.key] = max(used.get(limit.key, 0), self._used_of(limit.key, limit.since, rows))
            granted = units[ask.use_id] = ask.fitting(used)
            limits = {limit.key: limit for limit in ask.limits}.values()
            rows += [_row(ask.use_id, limit.key, granted, granted * limit.weight, at) for limit in limits]
        return Drawn(units, tuple(rows))

    def charge(self, drawn: Drawn, *, unused: Collection[str] = ()) -> None:
        """Charge what was granted, but for uses that nothing came of."""
        for row in drawn.rows:
            if row["use_id"] not in unused:
                self.rows.append(row)
                self._charged.setdefault(row["key"], []).append((row["used_at"], row["amount"]))
        self._before |= drawn.units

    def _used_of(self, key: str, since: datetime, rows: Sequence[dict[str, Any]]) -> int:
        charged = sum(amount for at, amount in self._charged.get(key, ()) if at >= since)
        drawn: int = sum(row["amount"] for row in rows if row["key"] == key and row["used_at"] >= since)
        return self._used[key, since] + charged + drawn


def _draw(writing: Writing, asks: Sequence[Ask], at: datetime) -> dict[str, int]:
    draws = Draws(writing.connection, asks, [ask.use_id for ask in asks])
    drawn = draws.draw(asks, at)
    draws.charge(drawn)
    writing.insert(CAP_USES, draws.rows)
    return drawn.units


def _granted_before(connection: Connection, use_ids: Collection[str]) -> dict[str, int]:
    """Give what uses on record were granted; nothing once they were released."""
    if not use_ids:
        return {}
    before: dict[str, int] = {}
    for row in connection.execute(_OF_USES, {"use_ids": list(use_ids)}):
        before[row.use_id] = 0 if row.released_at is not None else before.get(row.use_id, int(row.units))
    return before


def _sums(connection: Connection, asked: Sequence[tuple[str, datetime]]) -> dict[tuple[str, datetime], int]:
    """Give how much of each limit was used from its instant on."""
    sums: dict[tuple[str, datetime], int] = {}
    for start in range(0, len(asked), _SUMS_A_QUERY):
        some = asked[start : start + _SUMS_A_QUERY]
        size = 1 << (len(some) - 1).bit_length()  # few sizes, few statements; what is asked twice does no harm
        values: dict[str, Any] = {}
        for place in range(size):
            values[f"key_{place}"], values[f"since_{place}"] = some[min(place, len(some) - 1)]
        for place, used in connection.execute(_sums_of(size), values):
            sums[some[min(place, len(some) - 1)]] = int(used)
    return sums


@lru_cache
def _sums_of(size: int) -> TextClause:
    asked = ", ".join(f"({place}, :key_{place}, :since_{place})" for place in range(size))
    statement = text(
        f"WITH asked(place, key, since) AS (VALUES {asked}) SELECT place, (SELECT coalesce(sum(amount), 0) "
        "FROM cap_uses WHERE cap_uses.key = asked.key AND cap_uses.used_at >= asked.since) FROM asked"
    )
    return statement.bindparams(*(bindparam(f"since_{place}", type_=UtcInstant()) for place in range(size)))


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
