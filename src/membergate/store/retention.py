"""Retention: what is older than its purpose is erased, and a tombstone says so; the audit chain holds together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from membergate.domain.disposition import Checkpoint, Disposition
from membergate.store.chain import runs
from membergate.store.committing import Committer, Writing
from membergate.store.packing import CHECKPOINTS, DISPOSITIONS, ERASED
from membergate.store.service_tables import APPEAL_DECISIONS, APPEALS, NOTICES, OUTBOX, QUESTIONS
from membergate.store.tables import CAP_USES, DECISION_ENTRIES, DECISIONS, ERASURES, LIST_CHANGES, LIST_ENTRIES
from membergate.store.writing import slices

_SWEPT = DECISIONS.alias("swept")
_LAST_SWEEP = (
    select(func.max(_SWEPT.c.as_of))
    .where(
        _SWEPT.c.account_key == DECISIONS.c.account_key,
        _SWEPT.c.checkpoint == CHECKPOINTS.index(Checkpoint.SWEEP),
        _SWEPT.c.content != ERASED,
    )
    .scalar_subquery()
)
_IN_FORCE = (
    (DECISIONS.c.checkpoint == CHECKPOINTS.index(Checkpoint.SWEEP))
    & (DECISIONS.c.disposition != DISPOSITIONS.index(Disposition.KEEP))
    & (DECISIONS.c.as_of == _LAST_SWEEP)
)


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of each kind were erased; the others are questions, notices, messages and appeals."""

    decisions: int
    list_entries: int
    cap_uses: int
    others: int


class Retention:
    """Erases on SQLite or PostgreSQL; `OperationalRecord.retention` is one.

    Of a decision its number and instant stay, of a list entry the dates of its changes; whom they were about is gone.
    The last sweep of an account stays while it limits, suspends or ends something: without it a member who is suspended
    would be one in full again.

    Parameters
    ----------
    committer
        Writes.
    """

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    def erase(self, before: datetime, *, at: datetime, reason: str) -> Erased:
        """Erase what is older than an instant, but for what somebody still stands by.

        That is: decisions as of before it, list entries that ended, uses of caps, questions, notices, messages that
        wait no more, and appeals that were decided.

        Parameters
        ----------
        before
            What ended before this instant goes. Uses of caps must be older than the longest window that counts them.
        at, reason
            When and why, for the tombstones.

        Returns
        -------
        Erased
            How much went; what was erased earlier is not counted again.

        Raises
        ------
        WorkspaceError
            If the database cannot be written. Nothing was erased.
        """
        return self._committer.run(lambda writing: _erase(writing, before, at, reason))


def _erase(writing: Writing, before: datetime, at: datetime, reason: str) -> Erased:
    connection = writing.connection
    is_old = (DECISIONS.c.as_of < before) & (DECISIONS.c.content != ERASED) & ~_IN_FORCE
    decisions = list(connection.execute(select(DECISIONS.c.number).where(is_old)).scalars())
    for some in slices(decisions):
        row = update(DECISIONS).where(DECISIONS.c.number.in_(some))
        connection.execute(row.values(content=ERASED, account_key=0, decision_key=0))
    gone = select(DECISIONS.c.number).where(DECISIONS.c.content == ERASED)
    is_linked = DECISION_ENTRIES.c.decision_number.in_(gone)
    links = list(connection.execute(select(DECISION_ENTRIES.c.number).where(is_linked)).scalars())
    connection.execute(delete(DECISION_ENTRIES).where(is_linked))
    ended = LIST_ENTRIES.c.expires_at < before
    over = select(LIST_ENTRIES.c.entry_id).where(ended)
    added = (LIST_CHANGES.c.change == "added") & LIST_CHANGES.c.entry_id.in_(over)
    entries = list(connection.execute(select(LIST_CHANGES.c.number).where(added)).scalars())
    connection.execute(delete(LIST_ENTRIES).where(ended))
    is_used = CAP_USES.c.used_at < before
    uses = list(connection.execute(select(CAP_USES.c.number).where(is_used)).scalars())
    connection.execute(delete(CAP_USES).where(is_used))
    told = [("decisions", decisions), ("decision_entries", links), ("list_changes", entries), ("cap_uses", uses)]
    rows = [
        {"kind": kind, "first": first, "last": last, "erased_at": at, "reason": reason}
        for kind, numbers in told
        for first, last in runs(numbers)
    ]
    if rows:
        writing.insert(ERASURES, rows)
    return Erased(len(decisions), len(entries), len(uses), _erase_others(connection, before))


def _erase_others(connection: Connection, before: datetime) -> int:
    """Erase what the chain does not cover; gives how many rows went."""
    decided = select(APPEAL_DECISIONS.c.appeal_id).where(APPEAL_DECISIONS.c.decided_at < before)
    ended = OUTBOX.c.delivered_at.is_not(None) | OUTBOX.c.given_up_at.is_not(None)
    gone = (
        delete(QUESTIONS).where(QUESTIONS.c.asked_at < before),
        delete(NOTICES).where(NOTICES.c.created_at < before),
        delete(OUTBOX).where(OUTBOX.c.created_at < before, ended),
        delete(APPEALS).where(APPEALS.c.appeal_id.in_(decided)),
        delete(APPEAL_DECISIONS).where(APPEAL_DECISIONS.c.decided_at < before),
    )
    *counts, _ = [connection.execute(statement).rowcount for statement in gone]
    return sum(counts)
