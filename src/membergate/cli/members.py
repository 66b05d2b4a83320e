"""Commands about members: sweep, reinstate, notices; appeals; events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from membergate.cli.rendering import print_json, print_table, say
from membergate.cli.settings import (
    DEFAULT_WORKSPACE,
    ByOption,
    InstantOption,
    JsonOption,
    WorkspaceOption,
    instant,
    present,
)
from membergate.domain.instants import format_instant
from membergate.domain.membership import AppealState

if TYPE_CHECKING:
    from membergate.operations.appeals import Ruling

sweeping = typer.Typer(help="Members judged again: keep, cap, suspend or terminate; told, and reversible.")
appealing = typer.Typer(help="Appeals against decisions, decided by a person.")
coming = typer.Typer(help="Rows of the market as they happen, in CloudEvents.")

NoteOption = Annotated[str, typer.Option(help="Why, for the record.")]
AppealArgument = Annotated[str, typer.Argument(metavar="APPEAL", help="An appeal's id.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(sweeping, name="sweep")
    app.add_typer(appealing, name="appeals")
    app.add_typer(coming, name="events")


@sweeping.command("run")
def sweep(
    *,
    as_of: InstantOption = None,
    try_out: Annotated[bool, typer.Option("--try", help="Only tell what would change.")] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Judge every member again, put what changes on record, and write the notices."""
    from membergate.operations.sweep import sweep as sweep_members
    from membergate.operations.workspace import Workspace

    swept = sweep_members(Workspace(workspace), clock=present, as_of=instant(as_of), is_trial_run=try_out)
    if as_json:
        print_json(swept)
        return
    print_table("Members judged", ("policy says", ">members"), swept.judged.items())
    rows = ((d.account_id, d.disposition.value, ", ".join(d.reason_codes)) for d in swept.changes)
    print_table("What would change" if try_out else "What changes", ("account", "from now on", "reasons"), rows)


@sweeping.command("reinstate")
def reinstate(
    account: Annotated[str, typer.Argument(help="The member's account.")],
    *,
    by: ByOption,
    note: NoteOption = "",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Take back what a sweep did to a member."""
    from membergate.operations.sweep import reinstate as reinstate_member
    from membergate.operations.workspace import Workspace

    decision = reinstate_member(Workspace(workspace), account, by=by, note=note, clock=present)
    say(f"{account}: {decision.disposition.value}, decision {decision.decision_id}")


@sweeping.command("notices")
def notices(
    account: Annotated[str | None, typer.Argument(help="Only this account's.")] = None,
    *,
    since: InstantOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Show what members are to be told."""
    from membergate.operations.sweep import notices as written
    from membergate.operations.workspace import Workspace

    found = written(Workspace(workspace), account, instant(since))
    if as_json:
        print_json(found)
        return
    rows = ((format_instant(n.created_at)[:19], n.account_id, n.kind, " ".join(n.sentences)) for n in found)
    print_table("Notices", ("when", "account", "kind", "text"), rows)


@appealing.command("open")
def open_appeal(
    decision: Annotated[str, typer.Argument(help="The decision's id.")],
    *,
    statement: Annotated[str, typer.Option(help="What the member says.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Open an appeal against a decision."""
    from membergate.operations.appeals import open_appeal as open_one
    from membergate.operations.workspace import Workspace

    appeal = open_one(Workspace(workspace), decision, statement, clock=present)
    say(f"{appeal.appeal_id}: {appeal.state.value}")


@appealing.command("list")
def list_appeals(
    *,
    state: Annotated[AppealState | None, typer.Option(help="Only those.")] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """List appeals, oldest first."""
    from membergate.operations.appeals import appeals
    from membergate.operations.workspace import Workspace

    found = appeals(Workspace(workspace), state)
    if as_json:
        print_json(found)
        return
    rows = (
        (a.appeal_id, format_instant(a.opened_at)[:19], a.account_id, a.decision_id, a.state.value, a.statement)
        for a in found
    )
    print_table("Appeals", ("appeal", "opened", "account", "decision", "state", "statement"), rows)


@appealing.command("uphold")
def uphold(
    appeal: AppealArgument,
    *,
    by: ByOption,
    note: NoteOption,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Decide that the member was right: the decision is reversed, and remembered as genuine (L0)."""
    _tell(_ruled(appeal, AppealState.UPHELD, by, note, workspace))


@appealing.command("reject")
def reject(
    appeal: AppealArgument,
    *,
    by: ByOption,
    note: NoteOption,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Decide that the decision stands."""
    _tell(_ruled(appeal, AppealState.REJECTED, by, note, workspace))


def _ruled(appeal: str, state: AppealState, by: str, note: str, workspace: Path) -> Ruling:
    from membergate.operations.appeals import decide_appeal
    from membergate.operations.workspace import Workspace

    return decide_appeal(Workspace(workspace), appeal, state, by=by, note=note, clock=present)


def _tell(ruling: Ruling) -> None:
    new = ruling.decision
    holds = "the decision stands" if new is None else f"{new.disposition.value} from now on, decision {new.decision_id}"
    say(f"{ruling.appeal.appeal_id}: {ruling.appeal.state.value}; {holds}")


@coming.command("take")
def take(
    file: Annotated[Path, typer.Argument(help="CloudEvents, one JSON object a line.", exists=True, dir_okay=False)],
    *,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Take events from a file into the inbox; duplicates are left out, bad ones are listed."""
    from membergate.operations.events import take_events
    from membergate.operations.workspace import Workspace

    answers = take_events(Workspace(workspace), file, clock=present)
    if as_json:
        print_json(answers)
        return
    for state in ("accepted", "duplicate", "refused"):
        say(f"{state}: {sum(answer.state == state for answer in answers)}")
    if rows := [(n, a.event_id, a.what, a.where) for n, a in enumerate(answers, 1) if a.state == "refused"]:
        print_table("Refused", (">line", "event", "what", "where"), rows)


@coming.command("load")
def load(*, workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """Load the events that wait in the inbox into the warehouse."""
    from membergate.operations.events import load_events
    from membergate.operations.workspace import Workspace

    done = load_events(Workspace(workspace), clock=present)
    if as_json:
        print_json({"taken": done.taken, "waiting": done.waiting})
        return
    print_table("Events loaded", ("table", ">events"), done.taken.items())
    say(f"waiting for a row that they hang from: {done.waiting}")
    for table in (table for report in done.reports for table in report.tables):
        for reason, rows in table.quarantined.items():
            say(f"{table.table}: {rows} rows in quarantine ({reason})")
