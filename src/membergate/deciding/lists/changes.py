"""Changes: how a source's new list differs from what is kept of that source, before anything is written."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from membergate.domain.listing import ListEntry

_Content = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What taking over a list would change.

    Parameters
    ----------
    added
        Entries about something that the source had said nothing of.
    revised
        Pairs of what is kept and what would take its place.
    unchanged
        Entries that say what is kept already; one that is to begin only now says nothing new of what began before.
    missing
        Entries in force that the new list no longer has. They stay, unless the list is taken as the whole of it.
    """

    added: tuple[ListEntry, ...]
    revised: tuple[tuple[ListEntry, ListEntry], ...]
    unchanged: tuple[ListEntry, ...]
    missing: tuple[ListEntry, ...]


def difference(
    kept: Iterable[ListEntry], offered: Iterable[ListEntry], as_of: datetime, *, sources: Collection[str]
) -> Difference:
    """Compare a source's list with what is kept of the same source.

    Parameters
    ----------
    kept
        Everything that is kept, of any source; what was withdrawn or has expired by the instant does not count.
    offered
        The new list, each statement (list, subject, reason, source) once.
    as_of
        The instant.
    sources
        Whose list it is; entries of others are not missing from it.
    """
    by_statement = {
        _statement(entry): entry for entry in kept if entry.withdrawn_at is None and as_of < entry.expires_at
    }
    added, revised, unchanged = [], [], []
    said = set()
    for entry in offered:
        statement = _statement(entry)
        said.add(statement)
        known = by_statement.get(statement)
        if known is None:
            added.append(entry)
        elif _content(known) == _content(_with_start_of(known, entry, as_of)):
            unchanged.append(known)
        else:
            revised.append((known, entry))
    missing = [entry for statement, entry in by_statement.items() if entry.source in sources and statement not in said]
    return Difference(tuple(added), tuple(revised), tuple(unchanged), tuple(missing))


def _statement(entry: ListEntry) -> _Content:
    return (entry.risk_list, entry.subject, entry.reason_code, entry.source)


def _with_start_of(known: ListEntry, entry: ListEntry, as_of: datetime) -> ListEntry:
    """Let an entry that is to begin only now keep the start of what is in force already, unless it would decay anew."""
    keeps_start = known.starts_at <= entry.starts_at == as_of and entry.half_life_days is None
    return replace(entry, starts_at=known.starts_at) if keeps_start else entry


def _content(entry: ListEntry) -> _Content:
    return (
        entry.grade,
        entry.is_manual,
        entry.confidence,
        entry.starts_at,
        entry.expires_at,
        entry.source_version,
        entry.review_at,
        entry.half_life_days,
    )
