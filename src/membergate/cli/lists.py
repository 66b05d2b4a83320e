"""Commands about risk lists: add, show, import, retract, export, rates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from membergate.cli.rendering import print_json, print_table, say, with_interval
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

if TYPE_CHECKING:
    from membergate.domain.listing import ListEntry
    from membergate.operations.list_files import Imported
    from membergate.operations.lists import Shown

lists = typer.Typer(help="Risk lists: dated memory about accounts, operators and tokens, with reason, grade and end.")
_SHOWN_DECISIONS = 20


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(lists, name="list")


@lists.command("add")
def add(
    risk_list: Annotated[str, typer.Argument(metavar="LIST", help="allow, watch or deny.")],
    subject_type: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="account, operator, device, address, phone or payment.")
    ],
    key: Annotated[str, typer.Argument(help="The subject's id or token.")],
    *,
    reason: Annotated[str, typer.Option(help="A stable code, such as RESALE_BULK.")],
    grade: Annotated[str, typer.Option(help="How well it is founded, L0 to L4; a denial needs L2 or better.")],
    by: ByOption,
    source: Annotated[str, typer.Option(help="Who said it; you, where left out.")] = "",
    confidence: Annotated[float, typer.Option(help="How sure the source is, in [0, 1].")] = 1.0,
    days: Annotated[int, typer.Option(min=1, max=36500, help="For how many days.")] = 90,
    starts_at: InstantOption = None,
    review_days: Annotated[
        int | None, typer.Option(min=1, max=36500, help="After how many days somebody looks again.")
    ] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Enter a subject; it counts for every application from now on, and never for an earlier one."""
    from membergate.operations.lists import NewEntry, add_entry
    from membergate.operations.workspace import Workspace

    new = NewEntry(
        risk_list, subject_type, key, reason, grade, source, confidence, days, instant(starts_at), review_days
    )
    entry = add_entry(Workspace(workspace), new, by=by, clock=present)
    if as_json:
        print_json(entry)
    else:
        say(f"{entry.entry_id}: {_sentence(entry)}")


@lists.command("show")
def show(
    what: Annotated[str | None, typer.Argument(help="An entry's id, or a subject's key; everything otherwise.")] = None,
    *,
    as_of: InstantOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Show the entries in force (now, or as of an instant), or one entry with all that became of it."""
    from membergate.domain.errors import UnknownSubjectError
    from membergate.operations.lists import entries_in_force, show_entry
    from membergate.operations.workspace import Workspace

    found = entries_in_force(Workspace(workspace), instant(as_of) or present(), what)
    if what is not None and not found:
        try:
            _print_shown(show_entry(Workspace(workspace), what), as_json=as_json)
        except UnknownSubjectError:
            say(f"nothing in force is about {what}") if not as_json else print_json([])
        return
    if as_json:
        print_json(found)
        return
    print_table(
        f"{len(found)} entries in force",
        ("entry", "list", "subject", "key", "reason", "grade", "source", ">confidence", "until", "review"),
        (_cells(entry) for entry in found),
    )


@lists.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A .csv with a header, or .jsonl.")],
    *,
    by: ByOption,
    source: Annotated[str, typer.Option(help="Who said it, for rows that do not say so.")],
    apply: Annotated[bool, typer.Option("--apply", help="Do it; otherwise this is a preview.")] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="The file is all that the source says: retract what it lacks.")
    ] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Compare a list with what is kept of its source, and take it over with --apply."""
    from membergate.operations.list_files import import_entries
    from membergate.operations.workspace import Workspace

    imported = import_entries(
        Workspace(workspace), file, source=source, by=by, clock=present, apply=apply, is_whole=whole
    )
    if as_json:
        print_json(imported)
    else:
        _print_import(imported)


@lists.command("retract")
def retract(
    entry_id: Annotated[str, typer.Argument(help="The entry.")],
    *,
    by: ByOption,
    reason: Annotated[str, typer.Option(help="Why it was wrong.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Withdraw an entry from now on, and list every decision that it touched, so that they can be asked again."""
    from membergate.operations.lists import retract_entry
    from membergate.operations.workspace import Workspace

    shown = retract_entry(Workspace(workspace), entry_id, by=by, reason=reason, clock=present)
    _print_shown(shown, as_json=as_json)


@lists.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="A .csv or .jsonl to write.")],
    *,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Write every entry that was ever made, withdrawn and expired ones too."""
    from membergate.operations.list_files import export_entries
    from membergate.operations.workspace import Workspace

    say(f"{export_entries(Workspace(workspace), file)} entries written to {file}")


@lists.command("rates")
def rates(*, workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """Rate each source by its false hits: genuine operators on watch or deny, merchants on allow."""
    from membergate.operations.list_rates import false_hit_rates
    from membergate.operations.workspace import Workspace

    found = false_hit_rates(Workspace(workspace))
    if as_json:
        print_json(found)
        return
    print_table(
        "False hits by source, 95 % intervals over labelled operators",
        ("source", "list", ">entries", ">decisions", ">operators", ">labelled", ">false hits"),
        (
            (r.source, r.risk_list, r.entries, r.decisions, r.operators, r.false_hits.n, with_interval(r.false_hits))
            for r in found
        ),
    )
    say("Labels of grade L0, L3 and L4 count; only L3 is a probability sample, appeals (L0) find more false hits.")


def _print_shown(shown: Shown, *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    say(f"{shown.entry.entry_id}: {_sentence(shown.entry)}")
    for change, at, by, reason in shown.changes:
        say(f"  {change} {format_instant(at)} by {by}{f': {reason}' if reason else ''}")
    say(f"touched {len(shown.touched)} decisions")
    if shown.touched:
        print_table(
            "Decisions that it touched",
            ("decision", "account", "as of", "disposition"),
            (
                (d.decision_id, d.account_id, format_instant(d.as_of), d.disposition.value)
                for d in shown.touched[:_SHOWN_DECISIONS]
            ),
        )


def _print_import(imported: Imported) -> None:
    found = imported.difference
    rows = [("+", entry) for entry in found.added]
    rows += [sign_and_entry for old, new in found.revised for sign_and_entry in (("-", old), ("+", new))]
    rows += [("-", entry) for entry in found.missing] if imported.is_whole else []
    if rows:
        print_table(
            "Changes",
            ("", "entry", "list", "subject", "key", "reason", "grade", "source", ">confidence", "until", "review"),
            ((sign, *_cells(entry)) for sign, entry in rows),
        )
    kept = "retracted" if imported.is_whole else "kept"
    say(
        f"{len(found.added)} added, {len(found.revised)} revised, {len(found.unchanged)} unchanged, "
        f"{len(found.missing)} no longer in the file ({kept})"
    )
    say("done" if imported.is_applied else "nothing was changed: this is a preview; add --apply to do it")


def _cells(entry: ListEntry) -> tuple[object, ...]:
    review = "" if entry.review_at is None else format_instant(entry.review_at)[:10]
    subject = entry.subject
    until = format_instant(entry.expires_at)[:10]
    about = (entry.risk_list.value, subject.subject_type.value, subject.key, entry.reason_code, entry.grade.value)
    return (entry.entry_id, *about, entry.source, f"{entry.confidence:g}", until, review)


def _sentence(entry: ListEntry) -> str:
    about = f"{entry.subject.subject_type.value} {entry.subject.key}"
    span = f"{format_instant(entry.starts_at)} to {format_instant(entry.expires_at)}"
    return f"{entry.risk_list.value} {about}, {entry.reason_code}, {entry.grade.value}, by {entry.source}, {span}"
