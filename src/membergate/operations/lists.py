"""lists: enter, look up, retract and rate what is remembered about accounts, operators and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import TypeVar

from membergate.domain.decision import Decision
from membergate.domain.errors import BadInputError
from membergate.domain.instants import Clock, days_after, format_instant
from membergate.domain.labels import LabelGrade
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType
from membergate.operations.opening import open_record, standing_record
from membergate.operations.workspace import Workspace
from membergate.store import OperationalRecord

_Word = TypeVar("_Word", bound=StrEnum)

DEFAULT_DAYS = 90


@dataclass(frozen=True)
class NewEntry:
    """What a person enters.

    Parameters
    ----------
    risk_list, subject_type, key
        Which list, and whom or what it is about.
    reason_code
        A stable code.
    grade
        How well it is founded.
    source
        Who said it; the one who enters it where empty.
    confidence
        How sure the source is, in [0, 1].
    days
        For how many days from its start.
    starts_at
        From when; the present where None.
    review_days
        After how many days from its start somebody should look again; never where None.
    """

    risk_list: str
    subject_type: str
    key: str
    reason_code: str
    grade: str
    source: str = ""
    confidence: float = 1.0
    days: int = DEFAULT_DAYS
    starts_at: datetime | None = None
    review_days: int | None = None


@dataclass(frozen=True)
class Shown:
    """An entry with what became of it and the decisions that it touched."""

    entry: ListEntry
    changes: tuple[tuple[str, datetime, str, str], ...]
    touched: tuple[Decision, ...]


def add_entry(workspace: Workspace, new: NewEntry, *, by: str, clock: Clock) -> ListEntry:
    """Enter what a person says; it is in force for every application from now on.

    Raises
    ------
    BadInputError
        If a word is unknown, a number out of range, or nobody is named.
    """
    now = clock()
    start = new.starts_at or now
    subject = Subject(word(SubjectType, new.subject_type, "subject"), new.key)
    review_at = None if new.review_days is None else days_after(start, new.review_days)
    said = (new.risk_list, subject.subject_type, subject.key, new.reason_code, new.source, by, format_instant(now))
    entry = ListEntry(
        entry_id=entry_id_of("m", *said),
        risk_list=word(RiskList, new.risk_list, "list"),
        subject=subject,
        reason_code=new.reason_code,
        grade=word(LabelGrade, new.grade, "grade"),
        source=new.source or by,
        is_manual=True,
        confidence=new.confidence,
        recorded_at=now,
        starts_at=start,
        expires_at=days_after(start, new.days),
        review_at=review_at,
    )
    with open_record(workspace) as record:
        record.lists.change([entry], at=now, by=by)
    return entry


def retract_entry(workspace: Workspace, entry_id: str, *, by: str, reason: str, clock: Clock) -> Shown:
    """Withdraw an entry from now on, and find every decision that it touched; those stand until asked again.

    Raises
    ------
    UnknownSubjectError
        If there is no such entry.
    BadInputError
        If it was retracted before, or nobody is named.
    """
    with standing_record(workspace) as record:
        record.lists.change(retract=[entry_id], at=clock(), by=by, reason=reason)
        return _shown(record, entry_id)


def show_entry(workspace: Workspace, entry_id: str) -> Shown:
    """Give one entry, what became of it, and the decisions that it touched.

    Raises
    ------
    UnknownSubjectError
        If there is no such entry.
    """
    with standing_record(workspace) as record:
        return _shown(record, entry_id)


def entries_in_force(workspace: Workspace, as_of: datetime, key: str | None = None) -> tuple[ListEntry, ...]:
    """Give the entries that are in force at an instant, those to be reviewed first.

    Parameters
    ----------
    workspace
        Holds the record.
    as_of
        The instant.
    key
        Only entries about subjects of this key.
    """
    with standing_record(workspace) as record:
        found = [entry for entry in record.lists.entries() if entry.is_in_force(as_of)]
    if key is not None:
        found = [entry for entry in found if entry.subject.key == key]
    return tuple(sorted(found, key=lambda entry: (entry.review_at or entry.expires_at, entry.entry_id)))


def entry_id_of(kind: str, *said: str) -> str:
    """Name an entry by what it says."""
    return f"{kind}-" + sha256("|".join(said).encode(errors="surrogatepass")).hexdigest()[:24]


def word(words: type[_Word], text: str, where: str) -> _Word:
    """Read one of a few words.

    Raises
    ------
    BadInputError
        If it is none of them.
    """
    try:
        return words(text)
    except ValueError:
        raise BadInputError(f"{text!r} is no {where}", where=where, allowed=", ".join(words)) from None


def _shown(record: OperationalRecord, entry_id: str) -> Shown:
    entry = record.lists.entry(entry_id)
    return Shown(entry, record.lists.changes_of(entry_id), record.decisions_touched(entry_id))
