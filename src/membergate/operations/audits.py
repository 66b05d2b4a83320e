"""audit: whether the record is what was written, and the end of its chain to be kept elsewhere."""

from __future__ import annotations

from membergate.domain.errors import RefusedError, WorkspaceError
from membergate.operations.opening import open_record
from membergate.operations.workspace import Workspace
from membergate.store import Audited, Head, OperationalRecord


def audit_head(workspace: Workspace) -> Head:
    """Give the end of the chain.

    Raises
    ------
    WorkspaceError
        If there is no record, or it cannot be read.
    """
    with _record_to_audit(workspace) as record:
        return record.audit.head()


def verify_audit(workspace: Workspace, head: str | None = None) -> Audited:
    """Compare every decision, list change, policy change and use of a cap with the chain.

    Parameters
    ----------
    workspace
        Holds the record.
    head
        What `audit head` printed earlier; with it, an end that was cut off is found too.

    Raises
    ------
    RefusedError
        If something is not as it was written; it names the first such row.
    BadInputError
        If the head is none.
    WorkspaceError
        If there is no record: one that is gone is not one that is whole.
    """
    with _record_to_audit(workspace) as record:
        found = record.audit.verify(None if head is None else Head.parse(head))
    if found.fault:
        raise RefusedError(
            f"the record is not what was written: {found.fault}",
            where=str(workspace.record),
            next_step="keep the file as it is for whoever looks into it, and restore the last backup that verifies",
        )
    return found


def _record_to_audit(workspace: Workspace) -> OperationalRecord:
    """Open the record that is there; an audit makes none."""
    if not workspace.record.exists():
        raise WorkspaceError(
            "there is no record to audit",
            where=str(workspace.record),
            next_step="name the workspace with --workspace; if there was a record, restore it from a backup",
        )
    return open_record(workspace)
