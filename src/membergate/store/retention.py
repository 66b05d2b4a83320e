"""Retention: what is older than its purpose is erased, and a tombstone says so; the audit chain holds together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from membergate.store.chain import runs
from membergate.store.committing import Committer, Writing
from membergate.store.packing import ERASED
from membergate.store.tables import CAP_USES, DECISION_ENTRIES, DECISIONS, ERASURES, LIST_CHANGES, LIST_ENTRIES


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of each kind were erased."""

    decisions: int
    list_entries: int
    cap_uses: int


class Retention:
    """Erases on SQLite or PostgreSQL; `OperationalRecord.retention` is one.

    Of a decision its number and instant stay, of a list entry the dates of its changes; whom they were about is gone.

    Parameters
    ----------
    committer
        Writes.
    """

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    def erase(self, before: datetime, *, at: datetime, reason: str) -> Erased:
        """Erase decisions as of an earlier instant, list entries that ended before it, and uses of caps before it.

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
    is_old = (DECISIONS.c.as_of < before) & (DECISIONS.c.content != ERASED)
    decisions = list(connection.execute(select(DECISIONS.c.number).where(is_old)).scalars())
    connection.execute(update(DECISIONS).where(is_old).values(content=ERASED, account_key=0, decision_key=0))
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
    return Erased(len(decisions), len(entries), len(uses))
