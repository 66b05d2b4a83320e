"""Verifying the chain: whether every row is what was written, and which is the first that is not."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, select

from membergate.domain.errors import BadInputError
from membergate.store.chain import DIGEST_BYTES, GENESIS, KINDS, Kind, digest_of, hash_of, head_of
from membergate.store.errors import readable_database_errors
from membergate.store.tables import (
    AUDIT,
    DECISIONS,
    ERASURES,
    LIST_CHANGES,
    LIST_ENTRIES,
    POLICY_EVENTS,
    POLICY_VERSIONS,
)

_ENTRIES_AT_ONCE = 2_000
_LONGEST_NUMBER = 18
_UNREADABLE = (TypeError, ValueError, AttributeError, OverflowError)
"""What reading a value raises that is not of its column's kind: SQLite keeps whatever somebody writes."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain, to be kept elsewhere: whoever cuts off the newest rows cannot make this hash again.

    Parameters
    ----------
    number
        How many entries the chain has.
    hash
        The hash of the last one, in hexadecimal digits.
    """

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read what `str` gave.

        Raises
        ------
        BadInputError
            If the text is no head.
        """
        number, _, digits = text.strip().partition(":")
        if (
            not number.isdecimal()
            or len(number) > _LONGEST_NUMBER
            or len(digits) != 2 * len(GENESIS)
            or digits.strip("0123456789abcdef")
        ):
            raise BadInputError("this is no head of an audit chain", where=text[:80], allowed="NUMBER:64 HEX DIGITS")
        return cls(int(number), digits)


@dataclass(frozen=True, slots=True)
class Audited:
    """What verifying found.

    Parameters
    ----------
    head
        The end of the chain as it is.
    rows
        How many rows were compared.
    erased
        How many of them were erased because their time was over; their digests still hold the chain together.
    fault
        The first thing that is not as it was written, naming table and number; empty where everything is.
    """

    head: Head
    rows: int
    erased: int
    fault: str = ""


class AuditRecord:
    """The chain on SQLite or PostgreSQL; `OperationalRecord.audit` is one.

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
        self._steady = engine.execution_options(isolation_level="REPEATABLE READ") if _is_server(engine) else engine

    def head(self) -> Head:
        """Give the end of the chain, to be kept elsewhere.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            number, last = head_of(connection)
        return Head(number, last.hex())

    def verify(self, earlier: Head | None = None) -> Audited:
        """Compare every row with the chain, as of one instant; writers may go on.

        Parameters
        ----------
        earlier
            A head that was kept elsewhere: the chain must still contain it.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        with readable_database_errors(self._origin), self._steady.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            return _verify(connection, earlier)


def _is_server(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"


def _verify(connection: Connection, earlier: Head | None) -> Audited:
    number, last = head_of(connection)
    head = Head(number, last.hex())
    covered: dict[str, list[tuple[int, int, bytes]]] = {name: [] for name in KINDS}
    try:
        fault = _walk(connection, covered, earlier)
    except _UNREADABLE:
        fault = f"audit: an entry after {max((e[1] for c in covered.values() for e in c), default=0)} cannot be read"
    rows = erased = 0
    if not fault:
        for kind in KINDS.values():
            try:
                fault, compared, gone = _compare(connection, kind, covered[kind.name])
            except _UNREADABLE:
                fault, compared, gone = f"{kind.name}: a row holds what was not written", 0, 0
            rows, erased = rows + compared, erased + gone
            if fault:
                break
    return Audited(head, rows, erased, fault or _stray(connection))


def _walk(connection: Connection, covered: dict[str, list[tuple[int, int, bytes]]], earlier: Head | None) -> str:
    """Follow the hashes from the first entry to the last, and note what they cover."""
    before, number = GENESIS, 0
    if earlier is not None and earlier.number == 0 and earlier.hash != GENESIS.hex():
        return "the head given is of another record"
    query = select(AUDIT).order_by(AUDIT.c.number).execution_options(yield_per=_ENTRIES_AT_ONCE)
    with connection.execute(query) as rows:
        for row in rows:
            number += 1
            if row.number != number:
                return (
                    f"audit: entry {number} is missing"
                    if row.number > number
                    else f"audit: entry {row.number} is added"
                )
            before = hash_of(before, number, row.kind, row.first, bytes(row.digests))
            if before != bytes(row.hash) or row.kind not in KINDS or not row.digests or len(row.digests) % DIGEST_BYTES:
                return f"audit: entry {number} is not what was written"
            if earlier is not None and earlier.number == number and earlier.hash != before.hex():
                return f"audit: entry {number} is not the one whose head was kept: the chain was written anew"
            covered[row.kind].append((row.first, number, bytes(row.digests)))
    if earlier is not None and earlier.number > number:
        return f"audit: entries {number + 1} to {earlier.number} are missing: the end was cut off"
    return ""


def _compare(connection: Connection, kind: Kind, covered: list[tuple[int, int, bytes]]) -> tuple[str, int, int]:
    """Compare the rows of a kind with what is covered: (fault, rows compared, rows erased)."""
    erased, expected = _erased(connection, kind.name), _expected(covered)
    query = kind.query.order_by(kind.table.c.number).execution_options(yield_per=5_000)
    compared = gone = 0
    awaited = next(expected, None)
    with connection.execute(query) as rows:
        for row in rows:
            while awaited is not None and awaited[0] < row[0] and awaited[0] in erased:
                gone += 1
                awaited = next(expected, None)
            fault = _fault(kind, row, awaited, erased)
            if fault:
                return fault, compared, gone
            compared += 1
            gone += row[0] in erased
            awaited = next(expected, None)
    while awaited is not None:
        if awaited[0] not in erased:
            return f"{kind.name}: row {awaited[0]} is missing", compared, gone
        gone += 1
        awaited = next(expected, None)
    return "", compared, gone


def _fault(kind: Kind, row: Row[Any], awaited: tuple[int, bytes] | None, erased: _Ranges) -> str:
    """Say what is wrong with a row, given which row should come; nothing where nothing is."""
    if awaited is not None and awaited[0] < row[0]:
        return f"{kind.name}: row {awaited[0]} is missing"
    if awaited is None or awaited[0] > row[0]:
        return f"{kind.name}: row {row[0]} was added by something else than membergate"
    if row[0] in erased:
        return "" if _is_tombstone(kind, row) else f"{kind.name}: row {row[0]} is back, though it was erased"
    return "" if digest_of(kind.name, row) == awaited[1] else f"{kind.name}: row {row[0]} is not what was written"


def _expected(covered: list[tuple[int, int, bytes]]) -> Iterator[tuple[int, bytes]]:
    for first, _, digests in sorted(covered):
        for place in range(0, len(digests), DIGEST_BYTES):
            yield first + place // DIGEST_BYTES, digests[place : place + DIGEST_BYTES]


class _Ranges:
    """Numbers, by the ranges that they lie in."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        ordered = sorted(ranges)
        self._firsts = [first for first, _ in ordered]
        self._lasts = list(accumulate((last for _, last in ordered), max))

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._firsts, number)
        return place > 0 and number <= self._lasts[place - 1]


def _erased(connection: Connection, kind: str) -> _Ranges:
    query = select(ERASURES.c.first, ERASURES.c.last).where(ERASURES.c.kind == kind)
    return _Ranges([(row.first, row.last) for row in connection.execute(query)])


def _is_tombstone(kind: Kind, row: Row[Any]) -> bool:
    """Tell whether only what may remain of an erased row is there: a decision's number, a change of a list."""
    content = getattr(row, "content", None)
    return kind.table is LIST_CHANGES or (kind.table is DECISIONS and not content)


def _stray(connection: Connection) -> str:
    """Find what the chain covers through another row, where that row is missing."""
    is_added = and_(LIST_CHANGES.c.entry_id == LIST_ENTRIES.c.entry_id, LIST_CHANGES.c.change == "added")
    is_draft = and_(POLICY_EVENTS.c.digest == POLICY_VERSIONS.c.digest, POLICY_EVENTS.c.state == "draft")
    for column, owner, link in (
        (LIST_ENTRIES.c.entry_id, LIST_CHANGES, is_added),
        (POLICY_VERSIONS.c.digest, POLICY_EVENTS, is_draft),
    ):
        query = select(column).select_from(column.table.outerjoin(owner, link)).where(owner.c.number.is_(None))
        found = connection.execute(query.order_by(column).limit(1)).scalar()
        if found is not None:
            return f"{column.table.name}: {found!r} was added by something else than membergate"
    return ""
