"""Commands about mapping files: which ship, what they feed, and what one for a folder could look like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from membergate.cli.rendering import NOTHING, print_json, print_table, say
from membergate.cli.settings import JsonOption

if TYPE_CHECKING:
    from membergate.operations.coverage import Coverage

SURE = 0.9
"""Confidence from which on a proposed column is counted as sure."""

mappings = typer.Typer(help="Mapping files: which ship, what they feed, a proposal for a folder.")


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(mappings, name="map")


@mappings.command("list")
def list_mappings(*, as_json: JsonOption = False) -> None:
    """List the mappings that ship, with how much of the feature catalogue each can feed."""
    from membergate.market.mapping import shipped_mappings
    from membergate.operations.coverage import coverage

    covered = [coverage(name) for name in shipped_mappings()]
    rows = [
        (c.mapping, f"{len(c.computable)} of {len(c.features)}", ", ".join(t.table for t in c.tables if t.fed))
        for c in covered
    ]
    if as_json:
        print_json([{"mapping": name, "features": features, "tables": tables} for name, features, tables in rows])
        return
    print_table("Mappings that ship", ("name", ">features", "tables"), rows)


@mappings.command("coverage")
def show_coverage(
    mapping: Annotated[str, typer.Argument(help="A mapping file, or the name of a shipped one.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show which canonical tables and columns a mapping feeds, and which features can be computed from them."""
    from membergate.operations.coverage import coverage

    covered = coverage(mapping)
    if as_json:
        print_json(covered)
        return
    print_coverage(covered)


@mappings.command("suggest")
def suggest_mapping(
    folder: Annotated[Path, typer.Argument(help="A folder with one file or folder of Parquet parts per table.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Mapping file to write; else it is printed.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Propose a mapping from names and a sample of values, with how sure each line is and why, for you to confirm."""
    from membergate.cli.markets import progress
    from membergate.operations.suggest import suggest

    with progress() as bar:
        task = bar.add_task("looking")
        proposal = suggest(folder, out, progress=lambda name: bar.update(task, description=f"looking at {name}"))
    if as_json:
        print_json(proposal)
    elif out is None:
        print(proposal.text, end="")
    else:
        sure = sum(column.confidence >= SURE for column in proposal.columns)
        say(f"{len(proposal.columns)} columns proposed, {sure} of them with confidence {SURE} or more: {out}")
        if proposal.missing:
            say(f"required and not found: {', '.join(proposal.missing)}")
        say(f"look through it, then: membergate ingest {folder} --mapping {out}")


def print_coverage(covered: Coverage) -> None:
    """Print what is fed, what is missing, and what that means for the features."""
    print_table(
        "What the mapping feeds" + (" (? where the export has it)" if any(t.if_there for t in covered.tables) else ""),
        ("table", "fed", "not fed"),
        (
            (
                f"{table.table}{' (required)' if table.is_required else ''}",
                ", ".join(f"{name}?" if name in table.if_there else name for name in table.fed),
                ", ".join(table.missing),
            )
            for table in covered.tables
            if table.fed or table.is_required
        ),
    )
    print_table(
        "Features",
        ("id", "name", "computable", "missing", "better with"),
        (
            (
                feature.id,
                feature.name,
                "no" if feature.missing else "yes",
                ", ".join(feature.missing) or NOTHING,
                ", ".join(feature.improved_by) or NOTHING,
            )
            for feature in covered.features
        ),
    )
    say(f"{len(covered.computable)} of {len(covered.features)} features can be computed.")
    unfed = [table.table for table in covered.tables if not table.fed]
    if unfed:
        say(f"Not fed: {', '.join(unfed)}. A file of that name in the folder is read as it is.")
