"""record: export the decisions of a checkpoint, and erase what is older than its purpose."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from membergate.domain.disposition import Checkpoint
from membergate.domain.errors import BadInputError
from membergate.domain.instants import Clock
from membergate.operations.opening import standing_record
from membergate.operations.workspace import Workspace
from membergate.store import Erased, decision_from_record, write_decisions

LONGEST_WINDOW_DAYS = 31
"""Uses of caps count for as long as this: a calendar month."""


def export_decisions(workspace: Workspace, file: Path, checkpoint: Checkpoint) -> int:
    """Write every decision of a checkpoint to a Parquet file, earliest first; gives how many.

    Raises
    ------
    WorkspaceError
        If the record cannot be read, or the file cannot be written.
    """
    with standing_record(workspace) as record:
        decisions = [decision_from_record(row) for some in record.scan(checkpoint) for row in some]
    decisions.sort(key=lambda decision: (decision.as_of, decision.decision_id))
    write_decisions(decisions, file)
    return len(decisions)


def erase_old(workspace: Workspace, days: int, *, reason: str, clock: Clock) -> Erased:
    """Erase decisions, ended list entries and uses of caps that are older than so many days.

    Raises
    ------
    BadInputError
        If the days do not cover the longest window that counts uses of caps.
    WorkspaceError
        If the record cannot be written. Nothing was erased.
    """
    if days < LONGEST_WINDOW_DAYS:
        raise BadInputError(f"{days} days are too few", allowed=f"{LONGEST_WINDOW_DAYS} or more: caps of a month count")
    now = clock()
    with standing_record(workspace) as record:
        return record.retention.erase(now - timedelta(days=days), at=now, reason=reason or f"{days} days are over")
