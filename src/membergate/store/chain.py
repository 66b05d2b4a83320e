"""The hash chain over what is written: a row that is changed, removed, added or moved later is found, and named.

An entry of the chain covers rows of one kind that were written together, by their consecutive numbers. It keeps ten
bytes of each row's SHA-256 digest, and a SHA-256 over the entry before, its own number, kind, first row and digests.
Ten bytes tell which row differs, and outlive the row when its time is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any

import msgspec
from sqlalchemy import Connection, FromClause, Select, Table, and_, func, select, text

from membergate.domain.instants import utc
from membergate.store.tables import (
    AUDIT,
    CAP_USES,
    DECISION_ENTRIES,
    DECISIONS,
    ERASURES,
    LIST_CHANGES,
    LIST_ENTRIES,
    POLICY_EVENTS,
    POLICY_VERSIONS,
    TERMS,
)

DIGEST_BYTES = 10
"""What the chain keeps of a row's digest: 80 bits."""
GENESIS = sha256(b"membergate record").digest()
"""The hash before the first entry."""
WRITING = 0x6D67_7772_6974  # "mgwrit"
"""The advisory lock under which PostgreSQL numbers and chains rows, one transaction at a time."""
_ENCODE = msgspec.msgpack.Encoder(order="deterministic").encode
_LAST = select(AUDIT.c.number, AUDIT.c.hash).order_by(AUDIT.c.number.desc()).limit(1)
_EPOCH = utc(1970, 1, 1)
_MICROSECOND = _EPOCH.resolution


@dataclass(frozen=True)
class Kind:
    """Rows that the chain covers.

    Parameters
    ----------
    name
        The table whose numbers they have.
    table
        That table.
    query
        Gives the number first, then everything that the digest covers.
    """

    name: str
    table: Table
    query: Select[Any]


def _whole(table: Table, *more: Any, joined: FromClause | None = None) -> Select[Any]:
    columns = [column for column in table.c if column.name != "number"]
    return select(table.c.number, *columns, *more).select_from(table if joined is None else joined)


_IS_ADDED = and_(LIST_CHANGES.c.change == "added", LIST_ENTRIES.c.entry_id == LIST_CHANGES.c.entry_id)
_IS_DRAFT = and_(POLICY_EVENTS.c.state == "draft", POLICY_VERSIONS.c.digest == POLICY_EVENTS.c.digest)
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("terms", TERMS, _whole(TERMS)),
        Kind("decisions", DECISIONS, _whole(DECISIONS)),
        Kind(
            "list_changes",
            LIST_CHANGES,
            _whole(LIST_CHANGES, *LIST_ENTRIES.c, joined=LIST_CHANGES.outerjoin(LIST_ENTRIES, _IS_ADDED)),
        ),
        Kind(
            "policy_events",
            POLICY_EVENTS,
            _whole(POLICY_EVENTS, *POLICY_VERSIONS.c, joined=POLICY_EVENTS.outerjoin(POLICY_VERSIONS, _IS_DRAFT)),
        ),
        Kind("cap_uses", CAP_USES, _whole(CAP_USES)),
        Kind("decision_entries", DECISION_ENTRIES, _whole(DECISION_ENTRIES)),
        Kind("erasures", ERASURES, _whole(ERASURES)),
    )
}
"""Every kind of row that the chain covers. An entry of a list belongs to the change that added it, a policy's text to
the event that made it a draft."""
_PLAIN = {
    table.name: [column.name for column in table.c if column.name != "number"]
    for table in (TERMS, DECISIONS, CAP_USES, DECISION_ENTRIES, ERASURES)
}
_ADD = AUDIT.insert()


def digest_of(kind: str, row: Sequence[Any]) -> bytes:
    """Give what the chain keeps of a row: the number, then the columns of its kind's query."""
    told = [(value - _EPOCH) // _MICROSECOND if hasattr(value, "tzinfo") else _plain(value) for value in row]
    return sha256(_ENCODE([kind, *told])).digest()[:DIGEST_BYTES]


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def hash_of(before: bytes, number: int, kind: str, first: int, digests: bytes) -> bytes:
    """Give the hash of an entry of the chain."""
    return sha256(before + _ENCODE([number, kind, first, digests])).digest()


def hold_lock(connection: Connection) -> None:
    """Let one transaction at a time number and chain rows; on SQLite the transaction has the file's lock already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": WRITING})


def head_of(connection: Connection) -> tuple[int, bytes]:
    """Give the number and the hash of the last entry."""
    last = connection.execute(_LAST).first()
    return (0, GENESIS) if last is None else (int(last.number), bytes(last.hash))


class Tail:
    """The end of the chain and the numbers that come next, as this process left them.

    Whoever writes rows that the chain covers lengthens the chain. So while its end is where we left it nobody else did,
    and nothing need be read again. One thread at a time may use it: the one that holds the lock.
    """

    def __init__(self) -> None:
        self._left: tuple[int, bytes] | None = None
        self._head = (0, GENESIS)
        self._numbers: dict[str, int] = {}

    def follow(self, connection: Connection) -> bool:
        """Look at the end of the chain; gives whether nobody else wrote since `keep`."""
        self._head, before = head_of(connection), self._left
        self._left = None
        if self._head != before:
            self._numbers.clear()
        return self._head == before

    def take(self, connection: Connection, table: Table, size: int) -> int:
        """Take so many numbers for new rows; gives the first."""
        first = self._numbers.get(table.name) or next_number(connection, table)
        self._numbers[table.name] = first + size
        return first

    def taken(self) -> dict[str, int]:
        """Give which numbers come next, for `give_back`."""
        return dict(self._numbers)

    def give_back(self, taken: Mapping[str, int]) -> None:
        """Take back the numbers that were taken since: their rows were not written."""
        self._numbers = dict(taken)

    def seal(
        self, connection: Connection, written: Mapping[str, Sequence[int]], digests: Mapping[tuple[str, int], bytes]
    ) -> None:
        """Chain the rows that this transaction wrote; the last thing that it does.

        Parameters
        ----------
        connection
            Holds the lock.
        written
            The numbers of the new rows, by kind.
        digests
            The digests of those that are known, by kind and number; the others are read.
        """
        number, before = self._head
        rows = []
        for name in KINDS:
            for first, last in runs(written.get(name, ())):
                known = [digests.get((name, row)) for row in range(first, last + 1)]
                if None in known:
                    known = [digest for _, digest in digests_between(connection, KINDS[name], first, last)]
                covered = b"".join(digest for digest in known if digest is not None)
                number += 1
                before = hash_of(before, number, name, first, covered)
                rows.append({"number": number, "kind": name, "first": first, "digests": covered, "hash": before})
        if rows:
            connection.execute(_ADD, rows)
        self._head = number, before

    def keep(self) -> None:
        """Remember the end of the chain: it is on disk."""
        self._left = self._head


def seal(connection: Connection, written: Mapping[str, Sequence[int]]) -> None:
    """Chain rows that this transaction wrote, given their numbers by kind; for who writes once."""
    tail = Tail()
    tail.follow(connection)
    tail.seal(connection, written, {})


def digest_before_writing(table: Table, number: int, row: Mapping[str, Any]) -> bytes | None:
    """Give the digest that a new row will have; None where the digest covers more than the row."""
    columns = _PLAIN.get(table.name)
    return None if columns is None else digest_of(KINDS[table.name].name, [number, *[row[each] for each in columns]])


def digests_between(connection: Connection, kind: Kind, first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """Give the number and the digest of the rows of a kind with numbers from first to last, in that order."""
    column = kind.table.c.number
    query = kind.query.where(column >= first, column <= last).order_by(column)
    with connection.execute(query.execution_options(yield_per=5_000)) as rows:
        for row in rows:
            yield row[0], digest_of(kind.name, row)


def runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Give the runs of consecutive numbers: (first, last)."""
    ordered = sorted(numbers)
    if not ordered:
        return
    first = ordered[0]
    for one, other in pairwise(ordered):
        if other != one + 1:
            yield first, one
            first = other
    yield first, ordered[-1]


def next_number(connection: Connection, table: Table) -> int:
    """Give the number that the next row gets, which no row ever had; the lock is held."""
    erased = select(func.max(ERASURES.c.last)).where(ERASURES.c.kind == table.name).scalar_subquery()
    highest = connection.execute(select(func.max(table.c.number), erased)).one()
    return max(number or 0 for number in highest) + 1
