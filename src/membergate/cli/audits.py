"""Commands about the record's audit chain: head, verify."""

from __future__ import annotations

from typing import Annotated

import typer

from membergate.cli.rendering import print_json, say
from membergate.cli.settings import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption

audits = typer.Typer(help="The hash chain over decisions, lists, policies and caps: nothing is changed unseen.")


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(audits, name="audit")


@audits.command("head")
def head(*, workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """Print the end of the chain. Keep it where the database's keepers cannot change it."""
    from membergate.operations.audits import audit_head
    from membergate.operations.workspace import Workspace

    found = audit_head(Workspace(workspace))
    print_json(found) if as_json else say(str(found))


@audits.command("verify")
def verify(
    *,
    head: Annotated[
        str | None, typer.Option(help="What `audit head` printed earlier: an end that was cut off is found too.")
    ] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Compare every row with the chain, and name the first that was changed, removed, added or moved (exit code 1)."""
    from membergate.operations.audits import verify_audit
    from membergate.operations.workspace import Workspace

    found = verify_audit(Workspace(workspace), head)
    if as_json:
        print_json(found)
        return
    say(f"{found.rows} rows are what was written, {found.erased} were erased when their time was over")
    say(f"head {found.head}")
    if head is None:
        say("without --head nobody can tell whether the newest rows were cut off")
