"""Commands about policies: check, show, diff, test; submit, approve, shadow, activate, retire, rollback, history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from membergate.cli.rendering import print_json, print_table, say
from membergate.cli.settings import DEFAULT_WORKSPACE, ByOption, JsonOption, WorkspaceOption, present
from membergate.domain.instants import format_instant

if TYPE_CHECKING:
    from membergate.deciding.policy import Policy

policies = typer.Typer(help="Policies: check, compare and try them, and lead them from a draft to the door and back.")

NameArgument = Annotated[
    str, typer.Argument(metavar="POLICY", help="A file, default, strict, library, live, or NAME-VERSION on record.")
]
NoteOption = Annotated[str, typer.Option(help="Why, for the history.")]
EXIT_REFUSED = 1


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(policies, name="policy")


def _policy(name: str, workspace: WorkspaceOption) -> Policy:
    from membergate.operations.policy_lifecycle import find_policy
    from membergate.operations.workspace import Workspace

    return find_policy(Workspace(workspace), name)


@policies.command("check")
def check(name: NameArgument, *, workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Check a policy: its form, names and types, what every policy promises, and its own examples."""
    from membergate.operations.policy_lifecycle import tested

    policy = _policy(name, workspace)
    outcomes = tested(policy)
    say(f"{policy.name}-{policy.version}: {len(policy.rules)} rules, {len(policy.reads)} names of evidence read")
    say(f"total, deterministic, order of rules irrelevant, never softened by absence; {len(outcomes)} examples hold")
    if not outcomes:
        say("note: it carries no examples; say under `examples:` what you expect of it")


@policies.command("show")
def show(name: NameArgument, *, workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """Show a policy's rules, overlays and what it reads."""
    policy = _policy(name, workspace)
    if as_json:
        rules = [
            {
                "id": r.rule_id,
                "checkpoint": r.checkpoint,
                "when": r.when.text,
                "at_least": r.at_least,
                "reason": r.reason,
            }
            for r in policy.rules
        ]
        print_json({"name": policy.name, "version": policy.version, "digest": policy.digest, "rules": rules})
        return
    say(f"{policy.name}-{policy.version} ({policy.digest[:12]}): {' '.join(policy.description.split())}")
    if policy.effective_from or policy.effective_until:
        say(f"in effect from {policy.effective_from or 'ever'} until {policy.effective_until or 'further notice'}")
    print_table(
        "Rules",
        ("rule", "checkpoint", "at least", "reason", "when"),
        ((r.rule_id, r.checkpoint, r.at_least or "", r.reason, " ".join(r.when.text.split())) for r in policy.rules),
    )
    for overlay in policy.overlays:
        span = f"{format_instant(overlay.starts_at)} to {format_instant(overlay.ends_at)}"
        say(f"{overlay.segment.segment_id}: {span}: {overlay.purpose}")
    say(f"reads: {', '.join(policy.reads)}")


@policies.command("diff")
def diff(
    old: NameArgument, new: NameArgument, *, workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False
) -> None:
    """Compare two policies, setting by setting; the order of rules and comments do not count."""
    from membergate.deciding.policy import differing

    changes = differing(_policy(old, workspace), _policy(new, workspace))
    if as_json:
        print_json(changes)
        return
    rows = ((c.path, "" if c.old is None else c.old, "" if c.new is None else c.new) for c in changes)
    print_table(f"{len(changes)} settings differ", ("setting", "old", "new"), rows)


@policies.command("test")
def run_tests(
    name: NameArgument, *, workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False
) -> None:
    """Ask a policy the examples that it carries; exit code 1 where one does not hold."""
    from membergate.deciding.policy import run_examples

    outcomes = run_examples(_policy(name, workspace))
    failed = [outcome for outcome in outcomes if not outcome.holds]
    if as_json:
        print_json([{"id": o.example.example_id, "holds": o.holds, "complaints": o.complaints} for o in outcomes])
    else:
        for outcome in failed:
            say(f"{outcome.example.example_id}: {'; '.join(outcome.complaints)}")
        say(f"{len(outcomes) - len(failed)} of {len(outcomes)} examples hold")
    if failed:
        raise typer.Exit(EXIT_REFUSED)


@policies.command("submit")
def submit(name: NameArgument, *, by: ByOption, workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Put a draft on record, once its examples hold; a version's text never changes."""
    from membergate.operations import policy_lifecycle
    from membergate.operations.workspace import Workspace

    policy = _policy(name, workspace)
    is_new = policy_lifecycle.submit(Workspace(workspace), policy, by=by, clock=present)
    say(f"{policy.name}-{policy.version}: {'draft' if is_new else 'on record already'}")


@policies.command("approve")
def approve(
    name: NameArgument, *, by: ByOption, note: NoteOption = "", workspace: WorkspaceOption = DEFAULT_WORKSPACE
) -> None:
    """Approve a draft, as somebody else than who submitted it."""
    from membergate.operations.policy_lifecycle import approve as step

    _lead(step, name, workspace, by, note, "approved")


@policies.command("shadow")
def shadow(
    name: NameArgument, *, by: ByOption, note: NoteOption = "", workspace: WorkspaceOption = DEFAULT_WORKSPACE
) -> None:
    """Let an approved policy decide beside the live one; admit tells where it would have decided otherwise."""
    from membergate.operations.policy_lifecycle import shadow as step

    _lead(step, name, workspace, by, note, f"in shadow; next: membergate admit, membergate replay --policy {name}")


def _lead(step: Callable[..., object], name: str, workspace: Path, by: str, note: str, told: str) -> None:
    from membergate.operations.workspace import Workspace

    policy = _policy(name, workspace)
    step(Workspace(workspace), policy, by=by, clock=present, note=note)
    say(f"{policy.name}-{policy.version}: {told}")


@policies.command("activate")
def activate(
    name: NameArgument, *, by: ByOption, note: NoteOption = "", workspace: WorkspaceOption = DEFAULT_WORKSPACE
) -> None:
    """Make a policy live that was approved, stood in shadow, and passes the gate with the live model, which stays."""
    from membergate.operations.gating import activate as make_live
    from membergate.operations.workspace import Workspace

    live = make_live(Workspace(workspace), _policy(name, workspace), by=by, clock=present, note=note)
    say(f"live: {live.model_version} with {live.policy_file}")


@policies.command("retire")
def retire(
    name: NameArgument, *, by: ByOption, note: NoteOption = "", workspace: WorkspaceOption = DEFAULT_WORKSPACE
) -> None:
    """Take a draft, an approved policy or one in shadow (NAME-VERSION) out of its way; it never goes live then."""
    from membergate.operations import policy_lifecycle
    from membergate.operations.workspace import Workspace

    was = policy_lifecycle.retire(Workspace(workspace), name, by=by, clock=present, note=note)
    say(f"{was.name}-{was.version}: retired, was {was.state}")


@policies.command("rollback")
def rollback(*, by: ByOption, note: NoteOption = "", workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Go back to the policy that was live before this one, at once."""
    from membergate.operations import policy_lifecycle
    from membergate.operations.workspace import Workspace

    _, live = policy_lifecycle.rollback(Workspace(workspace), by=by, clock=present, note=note)
    say(f"live: {live.model_version} with {live.policy_file}")


@policies.command("history")
def history(*, workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """Tell what happened to policies here: which came into which state, when, by whom and why."""
    from membergate.operations import policy_lifecycle
    from membergate.operations.workspace import Workspace

    events = policy_lifecycle.history(Workspace(workspace))
    if as_json:
        print_json(events)
        return
    print_table(
        "Policies",
        ("when", "policy", "state", "by", "note"),
        ((format_instant(e.at)[:19], f"{e.name}-{e.version}", e.state.value, e.by, e.note) for e in events),
    )
