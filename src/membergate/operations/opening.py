"""Opening a workspace's operational record: to write, which makes what is not there yet, or only to look."""

from __future__ import annotations

from membergate.domain.errors import WorkspaceError
from membergate.operations.workspace import Workspace
from membergate.store import OperationalRecord, open_store


def open_record(workspace: Workspace) -> OperationalRecord:
    """Open the record to write in it, making the workspace's folder where there is none yet."""
    workspace.root.mkdir(parents=True, exist_ok=True)
    return open_store(workspace.record)


def standing_record(workspace: Workspace) -> OperationalRecord:
    """Open the record of a workspace that is there: whoever only looks makes no workspace by a misspelt name.

    Raises
    ------
    WorkspaceError
        If there is no such workspace.
    """
    if not workspace.root.is_dir():
        raise WorkspaceError(
            "there is no such workspace",
            where=str(workspace.root),
            next_step="name the workspace with --workspace; membergate ingest FOLDER makes one",
        )
    return open_store(workspace.record)
