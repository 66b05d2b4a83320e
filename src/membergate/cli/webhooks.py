"""Commands about webhooks: add, list, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from membergate.cli.rendering import print_json, print_table, say
from membergate.cli.settings import DEFAULT_WORKSPACE, ByOption, JsonOption, WorkspaceOption, present

webhooks = typer.Typer(help="Who is told of decisions and notices, signed, at least once.")


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(webhooks, name="webhooks")


@webhooks.command("add")
def add(
    url: Annotated[str, typer.Argument(help="https://…, or http:// on loopback.")],
    *,
    by: ByOption,
    event: Annotated[list[str] | None, typer.Option(help="What it is told of; everything where left out.")] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Tell a URL from now on, and show the secret that signs the messages."""
    from membergate.operations.webhooks import add_webhook
    from membergate.operations.workspace import Workspace
    from membergate.store import TOLD

    hook = add_webhook(Workspace(workspace), url, events=event or TOLD, by=by, clock=present)
    say(f"{hook.webhook_id}: {', '.join(hook.events)}")
    say(hook.secret)


@webhooks.command("list")
def list_webhooks(*, workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """List everybody who is told."""
    from membergate.operations.webhooks import webhooks as known
    from membergate.operations.workspace import Workspace

    found = [hook for hook in known(Workspace(workspace)) if hook.removed_at is None]
    if as_json:
        print_json([{"webhook_id": hook.webhook_id, "url": hook.url, "events": hook.events} for hook in found])
        return
    rows = ((hook.webhook_id, hook.url, " ".join(hook.events)) for hook in found)
    print_table("Webhooks", ("webhook", "url", "told of"), rows)


@webhooks.command("remove")
def remove(
    webhook: Annotated[str, typer.Argument(help="A webhook's id.")], *, workspace: WorkspaceOption = DEFAULT_WORKSPACE
) -> None:
    """Tell somebody no longer."""
    from membergate.operations.webhooks import remove_webhook
    from membergate.operations.workspace import Workspace

    remove_webhook(Workspace(workspace), webhook, clock=present)
    say(f"{webhook}: removed")
