"""The log of what velocity counts: durable, each event once, read by every process; counters are rebuilt from it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, delete, select, text
from sqlalchemy.dialects import postgresql, sqlite

from membergate.deciding.velocity import (
    WINDOWS,
    Activity,
    Counts,
    Happening,
    Meter,
    Scope,
    Velocity,
    VelocityCounters,
)
from membergate.deciding.velocity.meters import microseconds
from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.store.codec import is_storable_id
from membergate.store.errors import readable_database_errors
from membergate.store.tables import VELOCITY_EVENTS, VELOCITY_SNAPSHOTS

_LOCK = 0x6D67_7665_6C6F  # "mgvelo": events are numbered in the order in which they become visible
_HORIZON = timedelta(days=30)
_IDS_A_QUERY = 5_000
_Charge = tuple[str, str, str, int]
_CHARGES = msgspec.json.Decoder(tuple[_Charge, ...])
_StoredMeter = tuple[str, str, str, int, bytes, bytes]


class _State(msgspec.Struct, array_like=True):
    since: int
    meters: list[_StoredMeter]


_STATE = msgspec.msgpack.Decoder(_State)
_TAIL = select(VELOCITY_EVENTS).order_by(VELOCITY_EVENTS.c.number)


class VelocityLog:
    """Velocity over a log in the operational record (`OperationalRecord.velocity`). Threads may share it.

    Happenings are on disk before they count, each id once; what other processes on the same database log counts here
    from the next `add` or `follow`. A process that starts reads the last snapshot and the log behind it.

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
        self._writing = engine.execution_options(is_writing=True, preserve_rowcount=True)
        insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
        self._insert = insert(VELOCITY_EVENTS).on_conflict_do_nothing(index_elements=["event_id"])
        self._counters: VelocityCounters | None = None
        self._number = 0
        self._lock = Lock()
        self._shared: Velocity | None = None

    def share(self, velocity: Velocity) -> None:
        """Count in shared counters as well, and ask them from now on; the log stays what is durable.

        Parameters
        ----------
        velocity
            Such as `RedisVelocity`. It is told of every happening that is logged here, also of a repeat.
        """
        self._shared = velocity

    @property
    def is_shared(self) -> bool:
        """Whether shared counters are asked, which may have to be waited for."""
        return self._shared is not None

    @property
    def has_counts(self) -> bool:
        """Whether anything was ever logged, as far as this process has looked."""
        return self._shared is not None or self._counters is not None

    def begin(self, since: datetime) -> bool:
        """Say from when on everything is logged, if it was not said before; otherwise the first `add` or look says so.

        Parameters
        ----------
        since
            The present; or, for who logs what happened before as well, the beginning of that.

        Returns
        -------
        bool
            Whether it was not said before.

        Raises
        ------
        WorkspaceError
            If the database cannot be written.
        """
        content = _packed(microseconds(since), ())
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            if connection.execute(select(VELOCITY_SNAPSHOTS.c.number)).first() is not None:
                return False
            connection.execute(VELOCITY_SNAPSHOTS.insert(), {"number": 0, "taken_at": since, "content": content})
            return True

    def add(self, happenings: Sequence[Happening], now: datetime) -> int:
        """Log happenings and count them; those whose id was logged before are left out.

        Parameters
        ----------
        happenings
            Any number, in any order of event time.
        now
            The present; aware. Nothing may come later than it by more than the door's tolerance.

        Returns
        -------
        int
            How many were new.

        Raises
        ------
        BadInputError
            If an id is no id. Nothing was logged.
        WorkspaceError
            If the database cannot be written. Nothing was logged. Or if the shared counters cannot be: all is logged
            then, and they count it when it is added again.
        """
        if self._counters is None and self._shared is None:
            self.follow(now)
        rows = [_row(happening, now) for happening in {one.event_id: one for one in happenings}.values()]
        new = 0
        if rows:
            with readable_database_errors(self._origin), self._writing.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                new = connection.execute(self._insert, rows).rowcount
        if self._shared is None:
            self.follow(now)
        else:
            self._shared.add(happenings, now)
        return new

    def known(self, event_ids: Sequence[str]) -> dict[str, Happening]:
        """Give those of some happenings that are in the log, by id.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        found: dict[str, Happening] = {}
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            for start in range(0, len(event_ids), _IDS_A_QUERY):
                some = VELOCITY_EVENTS.c.event_id.in_(event_ids[start : start + _IDS_A_QUERY])
                rows = connection.execute(select(VELOCITY_EVENTS).where(some))
                found |= {row.event_id: _happening(row) for row in rows}
        return found

    def counts(self, meters: Sequence[Meter], as_of: datetime) -> list[Counts]:
        """Give each meter's counts in (as_of - window, as_of]; None for a window that is not wholly known.

        Where nothing was ever logged, nothing is known.
        """
        if self._shared is not None:
            return self._shared.counts(meters, as_of)
        if self._counters is None and not self.look():
            return [(None,) * len(WINDOWS) for _ in meters]
        with self._lock:
            return _held(self._counters).counts(meters, as_of)

    def look(self) -> bool:
        """Count what other processes logged, if anything was ever logged; gives whether it was.

        Raises
        ------
        WorkspaceError
            If the database cannot be read, or the snapshot is damaged.
        """
        if self._shared is not None:
            return True
        with self._lock, readable_database_errors(self._origin), self._engine.connect() as connection:
            if self._counters is None and connection.execute(select(VELOCITY_SNAPSHOTS.c.number)).first() is None:
                return False
            self._catch_up(connection)
            return True

    def follow(self, now: datetime) -> None:
        """Count what was logged since the last time, by whichever process.

        Raises
        ------
        WorkspaceError
            If the database cannot be read, or the snapshot is damaged.
        """
        if self._counters is None:
            self.begin(now)
        with self._lock, readable_database_errors(self._origin), self._engine.connect() as connection:
            self._catch_up(connection)

    def _catch_up(self, connection: Connection) -> None:
        if self._counters is None:
            self._counters, self._number = _restored(connection)
        for row in connection.execute(_TAIL.where(VELOCITY_EVENTS.c.number > self._number)).all():
            self._counters.add([_happening(row)], row.known_at)
            self._number = row.number

    def snapshot(self, now: datetime) -> int:
        """Keep the counters as they are, and drop from the log what no window reaches; gives how many events went.

        Whoever restarts then reads only what was logged later. An event that was dropped from the log is not recognised
        when it comes again, but it is too old to count.

        Raises
        ------
        WorkspaceError
            If the database cannot be written.
        """
        self.follow(now)
        with self._lock:
            since, meters = _held(self._counters).state()
            row = {"number": self._number, "taken_at": now, "content": _packed(since, meters)}
        is_old = (VELOCITY_EVENTS.c.at <= now - _HORIZON) & (VELOCITY_EVENTS.c.number <= row["number"])
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            connection.execute(delete(VELOCITY_SNAPSHOTS))
            connection.execute(VELOCITY_SNAPSHOTS.insert(), row)
            return connection.execute(delete(VELOCITY_EVENTS).where(is_old)).rowcount


def _restored(connection: Connection) -> tuple[VelocityCounters, int]:
    """Give the counters of the last snapshot, and the number of the last event in it."""
    found = connection.execute(select(VELOCITY_SNAPSHOTS)).one()
    counters = VelocityCounters(found.taken_at)
    try:
        state = _STATE.decode(zlib.decompress(found.content))
        counters.restore(state.since, _meters(state.meters))
    except (zlib.error, msgspec.DecodeError, ValueError) as error:
        raise WorkspaceError(
            f"the snapshot of the velocity counters cannot be read: {error}",
            where="velocity_snapshots",
            next_step="delete its row: counting begins anew with what the log still has",
        ) from error
    return counters, int(found.number)


def _packed(since: int, meters: Iterable[tuple[Meter, int, bytes, bytes]]) -> bytes:
    stored = [(m.activity.value, m.scope.value, m.key, known, times, weights) for m, known, times, weights in meters]
    return zlib.compress(msgspec.msgpack.encode(_State(since, stored)), 1)


def _held(counters: VelocityCounters | None) -> VelocityCounters:
    if counters is None:
        raise AssertionError("counters are restored before they are asked")
    return counters


def _meters(stored: Iterable[_StoredMeter]) -> Iterator[tuple[Meter, int, bytes, bytes]]:
    for activity, scope, key, since, times, weights in stored:
        yield Meter(Activity(activity), Scope(scope), key), since, times, weights


def _row(happening: Happening, now: datetime) -> dict[str, Any]:
    if not is_storable_id(happening.event_id):
        raise BadInputError("this is no id of an event", where=f"event {happening.event_id[:80]!r}")
    charges = [(meter.activity, meter.scope, meter.key, weight) for meter, weight in happening.charges]
    return {
        "event_id": happening.event_id,
        "at": happening.at,
        "known_at": now,
        "charges": msgspec.json.encode(charges).decode(),
    }


def _happening(row: Any) -> Happening:  # a Row; its type lists every column
    charges = tuple((Meter(Activity(a), Scope(s), key), weight) for a, s, key, weight in _CHARGES.decode(row.charges))
    return Happening(row.event_id, row.at, charges)
