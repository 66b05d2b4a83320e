"""Instants: UTC, microseconds, and never read from the wall except through a Clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from membergate.domain.errors import BadInputError

Clock = Callable[[], datetime]
"""Gives the present instant, aware and in UTC. Doors own the only real one; everyone else is handed one."""


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """Build an aware UTC instant."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant or date; without an offset it is taken as UTC.

    Raises
    ------
    BadInputError
        If the text is no ISO 8601 date or instant.
    """
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInputError(
            f"cannot read {text!r} as an instant",
            allowed="ISO 8601: 2025-11-01, 2025-11-01T08:00:00 (taken as UTC), 2025-11-01T08:00:00+08:00",
        ) from None
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        raise BadInputError(f"{text!r} lies outside the calendar in UTC", allowed="years 1 to 9999") from None


def days_after(instant: datetime, days: float) -> datetime:
    """Give the instant so many days later.

    Raises
    ------
    BadInputError
        If the calendar has none.
    """
    try:
        return instant + timedelta(days=days)
    except OverflowError:
        raise BadInputError(
            f"{days:g} days after {format_instant(instant)} lie outside the calendar", allowed="years 1 to 9999"
        ) from None


def format_instant(instant: datetime) -> str:
    """Write an aware instant as ISO 8601 in UTC with microseconds and a Z; equal instants give equal texts.

    Raises
    ------
    BadInputError
        If the instant does not know its time zone.
    """
    if instant.tzinfo is None:
        raise BadInputError("an instant must know its time zone", allowed="aware datetimes")
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
