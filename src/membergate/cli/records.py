"""Commands about the operational record: export, erase."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from membergate.cli.rendering import print_json, say
from membergate.cli.settings import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, present
from membergate.domain.disposition import Checkpoint

records = typer.Typer(help="The operational record: take decisions out, and erase what is older than its purpose.")


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(records, name="record")


@records.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="A Parquet file to write.")],
    *,
    checkpoint: Annotated[Checkpoint, typer.Option(help="Which decisions.")] = Checkpoint.ADMISSION,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Write every decision of a checkpoint with its evidence, earliest first."""
    from membergate.operations.records import export_decisions
    from membergate.operations.workspace import Workspace

    say(f"{export_decisions(Workspace(workspace), file, checkpoint)} decisions written to {file}")


@records.command("erase")
def erase(
    *,
    days: Annotated[int, typer.Option(help="What is older than so many days goes, at least 31; usually 90 or 180.")],
    reason: Annotated[str, typer.Option(help="Why, for the tombstones.")] = "",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Erase what is old but for sweeps in force. Tombstones stay, and the audit chain verifies."""
    from membergate.operations.records import erase_old
    from membergate.operations.workspace import Workspace

    found = erase_old(Workspace(workspace), days, reason=reason, clock=present)
    if as_json:
        print_json(found)
    else:
        told = f"{found.decisions} decisions, {found.list_entries} list entries, {found.cap_uses} uses of caps"
        say(f"{told}, and {found.others} questions, notices, messages and appeals were erased")
