"""Keys of programs, on record: what each may do, and the digest of a secret that is shown once and nowhere kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, RowMapping, insert, select, update

from membergate.domain.access import Scope
from membergate.domain.errors import UnknownSubjectError
from membergate.store.errors import readable_database_errors
from membergate.store.service_tables import API_KEYS


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key.

    Parameters
    ----------
    key_id, name
        Which, and whose.
    secret_digest
        SHA-256 of its secret; the secret has 256 random bits, so nothing slower is needed.
    scopes
        What it may do.
    rate_per_s
        How many requests a second.
    created_at, created_by
        When and by whom it was made.
    expires_at
        From when it is void; None for never.
    revoked_at, revoked_by
        When and by whom it was revoked; None where it was not.
    """

    key_id: str
    name: str
    secret_digest: str
    scopes: frozenset[Scope]
    rate_per_s: float
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None

    def is_valid(self, at: datetime) -> bool:
        """Whether it opens anything at an instant."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


class ApiKeyRecord:
    """Keys on SQLite or PostgreSQL. Threads may share it.

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

    def add(self, key: ApiKey) -> None:
        """Put a key on record.

        Raises
        ------
        WorkspaceError
            If the database cannot be written.
        """
        row = {name: getattr(key, name) for name in ApiKey.__slots__} | {"scopes": " ".join(sorted(key.scopes))}
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            connection.execute(insert(API_KEYS), row)

    def all(self) -> tuple[ApiKey, ...]:
        """Give every key that there ever was, oldest first.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """
        query = select(API_KEYS).order_by(API_KEYS.c.created_at, API_KEYS.c.key_id)
        with readable_database_errors(self._origin), self._engine.connect() as connection:
            return tuple(map(_key, connection.execute(query).mappings()))

    def revoke(self, key_id: str, *, at: datetime, by: str) -> None:
        """Void a key from now on; twice does no harm.

        Raises
        ------
        UnknownSubjectError
            If there is no such key.
        WorkspaceError
            If the database cannot be written.
        """
        is_meant = API_KEYS.c.key_id == key_id
        with readable_database_errors(self._origin), self._writing.begin() as connection:
            if connection.execute(select(API_KEYS.c.key_id).where(is_meant)).first() is None:
                raise UnknownSubjectError("no key has this id", where=f"key {key_id[:80]!r}", next_step="keys list")
            still = is_meant & API_KEYS.c.revoked_at.is_(None)
            connection.execute(update(API_KEYS).where(still).values(revoked_at=at, revoked_by=by))


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(**{**row, "scopes": frozenset(map(Scope, row["scopes"].split()))})
