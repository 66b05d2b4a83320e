"""audit: whether the record is what was written, and the end of its chain to be kept elsewhere."""

from __future__ import annotations

from membergate.domain.errors import RefusedError
from membergate.operations.lists import open_record
from membergate.operations.workspace import Workspace
from membergate.store import Audited, Head


def audit_head(workspace: Workspace) -> Head:
    """Give the end of the chain.

    Raises
    ------
    WorkspaceError
        If the record cannot be read.
    """
    with open_record(workspace) as record:
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
    """
    with open_record(workspace) as record:
        found = record.audit.verify(None if head is None else Head.parse(head))
    if found.fault:
        raise RefusedError(
            f"the record is not what was written: {found.fault}",
            where=str(workspace.record),
            next_step="keep the file as it is for whoever looks into it, and restore the last backup that verifies",
        )
    return found
