"""Commands about keys: create, list, revoke."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from membergate.cli.rendering import print_json, print_table, say
from membergate.cli.settings import DEFAULT_WORKSPACE, ByOption, JsonOption, WorkspaceOption, present
from membergate.domain.access import Role, Scope
from membergate.domain.instants import format_instant

keys = typer.Typer(help="Keys of programs that ask the service; as soon as there is one, nobody gets in without.")


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(keys, name="keys")


@keys.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    *,
    by: ByOption,
    role: Annotated[list[Role] | None, typer.Option(help="A role; may be repeated.")] = None,
    scope: Annotated[list[Scope] | None, typer.Option(help="A scope; may be repeated.")] = None,
    rate: Annotated[float, typer.Option(help="Requests a second.")] = 100.0,
    days: Annotated[int, typer.Option(help="For how many days it is valid.")] = 365,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Make a key, and show it this once."""
    from membergate.operations.keys import create_key
    from membergate.operations.workspace import Workspace

    new = create_key(
        Workspace(workspace),
        name,
        by=by,
        clock=present,
        roles=role or (),
        scopes=scope or (),
        rate_per_s=rate,
        days=days,
    )
    if as_json:
        print_json({"key_id": new.key.key_id, "key": new.text, "scopes": sorted(new.key.scopes)})
        return
    say(new.text)
    say(f"shown this once; it may {', '.join(sorted(new.key.scopes))}")


@keys.command("list")
def list_keys(*, workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """List every key that there ever was; secrets are nowhere kept."""
    from membergate.operations.keys import keys as made
    from membergate.operations.workspace import Workspace

    found = made(Workspace(workspace))
    if as_json:
        shown = ("key_id", "name", "scopes", "rate_per_s", "created_at", "created_by", "expires_at", "revoked_at")
        print_json([{name: getattr(key, name) for name in shown} for key in found])
        return
    rows = (
        (k.key_id, k.name, " ".join(sorted(k.scopes)), k.rate_per_s, _day(k.expires_at), _day(k.revoked_at))
        for k in found
    )
    print_table("Keys", ("key", "name", "may", ">a second", "expires", "revoked"), rows)


@keys.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="A key's id.")],
    *,
    by: ByOption,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Void a key from now on."""
    from membergate.operations.keys import revoke_key
    from membergate.operations.workspace import Workspace

    revoke_key(Workspace(workspace), key, by=by, clock=present)
    say(f"{key}: revoked")


def _day(instant: datetime | None) -> str:
    return "" if instant is None else format_instant(instant)[:10]
