"""The command replay: another policy on the recorded evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from membergate.cli.markets import progress
from membergate.cli.rendering import print_json, print_table, say, share, with_interval
from membergate.cli.settings import DEFAULT_WORKSPACE, InstantOption, JsonOption, WorkspaceOption, instant

if TYPE_CHECKING:
    from membergate.operations.replay import Replayed

EXIT_DISAGREEING = 1


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(replay)


def replay(
    *,
    policy: Annotated[str, typer.Option(help="A file, default, strict, library, live, or NAME-VERSION on record.")],
    since: InstantOption = None,
    until: InstantOption = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Decide every row by the door's own path too, and compare.")
    ] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Try a policy on recorded decisions: who else would come in or stay out, and what they turned out to be."""
    from membergate.operations.policy_lifecycle import find_policy
    from membergate.operations.replay import replay as replay_policy
    from membergate.operations.workspace import Workspace

    place = Workspace(workspace)
    with progress() as bar:
        bar.add_task("replaying")
        found = replay_policy(
            place, find_policy(place, policy), since=instant(since), until=instant(until), exact=exact
        )
    if as_json:
        print_json(found)
    else:
        _print(found, exact=exact)
    if found.disagreeing:
        raise typer.Exit(EXIT_DISAGREEING)


def _print(found: Replayed, *, exact: bool) -> None:
    print_table(
        f"{found.policy} on recorded decisions: before > after",
        (
            "group",
            ">decisions",
            ">changed",
            ">let in",
            ">genuine let in",
            ">merchants let in",
            ">leakage before",
            ">after",
        ),
        (
            (
                group.name,
                group.decisions,
                group.changed,
                f"{group.admitted_before} > {group.admitted_after}",
                f"{group.genuine_before} > {group.genuine_after} of {group.genuine}",
                f"{group.merchants_before} > {group.merchants_after} of {group.merchants}",
                with_interval(group.leakage_before),
                with_interval(group.leakage_after),
            )
            for group in found.groups
        ),
    )
    print_table("Dispositions", ("recorded", "replayed", ">decisions"), found.moves)
    hits = ((rule.rule_id, rule.hits, rule.merchants, rule.genuine) for rule in found.rules if rule.hits)
    print_table("Rules that hit", ("rule", ">hits", ">known merchants", ">known genuine"), hits)
    say(
        f"warning: {found.let_in_unseen} would be let in whom the record kept out and of whom nobody knows what they "
        "turned out to be: outcomes of the refused are unseen, so leakage after is known least where it matters most"
    )
    if found.lacking_ratio:
        lacking = share(found.lacking_ratio)
        say(f"note: {lacking} of the evidence that this policy reads was not recorded; it is unknown here")
    if exact:
        say(f"{found.compared} decisions decided by both paths, {len(found.disagreeing)} differently")
