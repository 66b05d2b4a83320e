"""What can go wrong between the house and its operational record, in words that a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from membergate.domain.errors import BadInputError, MembergateError, WorkspaceError


class RecordConflictError(MembergateError):
    """A decision whose id is on record already, with another content. The record stands; nothing was changed."""

    code = "record_conflict"


@contextmanager
def readable_database_errors(origin: str) -> Iterator[None]:
    """Turn what a database driver raises into an error of the house.

    Parameters
    ----------
    origin
        The database, as it may be shown: a path, or a URL without its password.

    Raises
    ------
    WorkspaceError
        If the database is missing, locked, full, damaged or out of reach, or lacks what it should have.
    BadInputError
        If the database refuses a value.
    """
    try:
        yield
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        if isinstance(error, DataError | IntegrityError):
            raise BadInputError(f"the operational record refused a value: {reason}", where=origin) from error
        raise WorkspaceError(
            f"the operational record cannot be used: {reason}", where=origin, next_step=_next_step(reason)
        ) from error


def _next_step(reason: str) -> str:
    """Say what helps against a driver's message."""
    if "locked" in reason:
        return "end the other process that writes to it, or try again"
    if "full" in reason:
        return "free some space on the disk; everything that was acknowledged is still on record"
    if "not a database" in reason or "malformed" in reason:
        return "restore the file from a backup, or name another one"
    if "no such" in reason or "does not exist" in reason:
        return "restore the record from a backup: something else than membergate has changed its tables"
    return "see that the database is running, reachable and writable"
