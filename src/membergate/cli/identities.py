"""The command about identity: who stands behind several accounts."""

from __future__ import annotations

from typing import Annotated

import typer

from membergate.cli.rendering import print_json, print_table, say
from membergate.cli.settings import DEFAULT_WORKSPACE, InstantOption, JsonOption, WorkspaceOption, instant
from membergate.domain.instants import format_instant

_SHOWN_ACCOUNTS = 4


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command("operators")(show_operators)


def show_operators(
    *,
    as_of: InstantOption = None,
    since: InstantOption = None,
    most: Annotated[int, typer.Option(min=1, help="Operators, and accounts that changed, to be told.")] = 20,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Show who stands behind several accounts and what joins them; with --since, who belongs to another one by now."""
    from membergate.operations.operators import operators
    from membergate.operations.workspace import Workspace

    found = operators(Workspace(workspace), as_of=instant(as_of), since=instant(since), most=most)
    if as_json:
        print_json(found)
        return
    say(
        f"as of {format_instant(found.as_of)}: {found.accounts:,} accounts of {found.operators:,} operators, "
        f"{found.of_several:,} of whom have several accounts"
    )
    rows = (
        (
            each.operator_id,
            len(each.account_ids),
            ", ".join(f"{kind} {links}" for kind, links in each.kinds.items()),
            " ".join(each.account_ids[:_SHOWN_ACCOUNTS]) + (" …" if len(each.account_ids) > _SHOWN_ACCOUNTS else ""),
        )
        for each in found.largest
    )
    print_table("The largest", ("operator", ">accounts", "joined by", "accounts, the first seen first"), rows)
    if found.hubs:
        hubs = ((hub.kind.value, hub.token, hub.accounts) for hub in found.hubs)
        print_table("Shared by too many to join anybody", ("what", "token", ">accounts"), hubs)
    if found.since is None:
        return
    for title, moves in (
        ("New accounts of operators with several", found.joined),
        ("Accounts that changed", found.moved),
    ):
        table = ((move.account_id, move.before, move.after) for move in moves)
        print_table(f"{title} since {format_instant(found.since)}", ("account", "before", "now"), table)
