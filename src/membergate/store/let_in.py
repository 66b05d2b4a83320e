"""Whom decisions on record let in, and from when: kept in memory and followed, since the operator cap asks at the door.

Accounts stand here by 48 bits of a digest, as in the index of the table. Two of a million accounts share them once in
five hundred records, and then an operator is thought to hold one membership more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from threading import Lock

from sqlalchemy import Engine, bindparam, func, select

from membergate.domain.disposition import HOLDERS, Checkpoint
from membergate.store.errors import readable_database_errors
from membergate.store.packing import CHECKPOINTS, DISPOSITIONS, ERASED, key_of
from membergate.store.tables import DECISIONS

_LATEST = select(func.coalesce(func.max(DECISIONS.c.number), 0))
_SINCE = (
    select(DECISIONS.c.account_key, func.min(DECISIONS.c.as_of))
    .where(
        DECISIONS.c.number > bindparam("number"),
        DECISIONS.c.number <= bindparam("latest"),
        DECISIONS.c.checkpoint == CHECKPOINTS.index(Checkpoint.ADMISSION),
        DECISIONS.c.disposition.in_([DISPOSITIONS.index(disposition) for disposition in sorted(HOLDERS)]),
        DECISIONS.c.content != ERASED,
    )
    .group_by(DECISIONS.c.account_key)
)


class LetIn:
    """Accounts that admission decisions on record let in. Threads may share it.

    Parameters
    ----------
    engine
        A connection pool on a database of the newest schema.
    origin
        The database, as it may be shown.
    """

    def __init__(self, engine: Engine, origin: str) -> None:
        self._engine = engine
        self._origin = origin
        self._first: dict[int, datetime] = {}
        self._number = 0
        self._is_ready = False
        self._lock = Lock()

    @property
    def is_ready(self) -> bool:
        """Whether the record was read, so that asking waits for nobody."""
        return self._is_ready

    def follow(self) -> None:
        """Read what was decided since the last time, by whichever process.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        with self._lock, readable_database_errors(self._origin), self._engine.connect() as connection:
            latest = int(connection.execute(_LATEST).scalar_one())
            if latest > self._number:
                for key, as_of in connection.execute(_SINCE, {"number": self._number, "latest": latest}):
                    known = self._first.get(key)
                    self._first[key] = as_of if known is None or as_of < known else known
                self._number = latest
            self._is_ready = True

    def before(self, account_ids: Sequence[str], as_of: datetime) -> set[str]:
        """Tell which of some accounts were let in by decisions as of an earlier instant.

        Raises
        ------
        WorkspaceError
            If nothing was read yet, and the database cannot be.
        """
        if not self._is_ready:
            self.follow()
        first = self._first
        return {name for name in account_ids if (since := first.get(key_of(name))) is not None and since < as_of}
