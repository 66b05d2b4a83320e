"""Commands about what happened: simulate, ingest, features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from membergate.cli.mappings import print_coverage
from membergate.cli.rendering import ERR, print_json, print_table, say
from membergate.cli.settings import DEFAULT_WORKSPACE, InstantOption, JsonOption, WorkspaceOption, instant, present

if TYPE_CHECKING:
    from membergate.market.loading import LoadReport

features = typer.Typer(help="The feature catalogue, what is computable here, a table as of an instant.")


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(simulate)
    app.command()(ingest)
    app.add_typer(features, name="features")


def progress() -> Progress:
    """Show what long work is doing, on standard error, and only where a person watches."""
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=ERR, transient=True)


def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write: OUT/market and, kept apart, OUT/truth.")],
    *,
    preset: Annotated[
        str, typer.Option(help="tiny (2,000 accounts), demo, small, double11 (with an event stream), city (500,000).")
    ] = "tiny",
    seed: Annotated[int | None, typer.Option(help="Same seed and version, same market; 0 unless given.")] = None,
    accounts: Annotated[int | None, typer.Option(help="Accounts instead of the preset's.")] = None,
    scenario: Annotated[
        Path | None, typer.Option(help="A YAML file of your own over a preset: evasion, drift, rings, promotions, …")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="Let the same people meet these decisions, as `admit --out` writes them.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate a market: a shop with members, merchants and look-alikes, and the truth behind it in a folder apart."""
    from membergate.operations.simulate import simulate as simulate_market

    with progress() as bar:
        task = bar.add_task("simulating a market")
        made = simulate_market(
            out,
            preset=preset,
            seed=seed,
            accounts=accounts,
            scenario_file=scenario,
            decisions=decisions,
            progress=lambda step: bar.update(task, description=f"simulating: {step}"),
        )
    if as_json:
        print_json(made)
        return
    print_table("Simulated market", ("table", ">rows"), sorted(made.rows.items()))
    if made.events:
        say(f"events: {made.events:,} in {out / 'events.jsonl'} (CloudEvents, in order of arrival)")
    say(f"market: {out / 'market'}\ntruth:  {out / 'truth'} (for verifying the simulator only)")


def ingest(
    market: Annotated[
        Path, typer.Argument(help="A market folder: NAME.parquet, NAME.csv, NAME.jsonl or NAME/ per table.")
    ],
    *,
    mapping: Annotated[
        str | None, typer.Option(help="A mapping file, or the name of a shipped one (membergate map list).")
    ] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Check and load a market folder. Bad rows are quarantined with reasons and counted; nothing is lost in silence."""
    from membergate.operations.coverage import coverage_here
    from membergate.operations.ingest import ingest as ingest_market
    from membergate.operations.workspace import Workspace

    with progress() as bar:
        bar.add_task("ingesting")
        report = ingest_market(workspace, market, mapping=mapping, clock=present)
    covered = coverage_here(Workspace(workspace), mapping) if mapping is not None else None
    if as_json:
        print_json({"tables": report.tables, "warnings": report.warnings, "coverage": covered})
        return
    print_load_report(report)
    if covered is not None:
        print_coverage(covered)


def print_load_report(report: LoadReport) -> None:
    """Print what became of every row that was read."""
    print_table(
        "Ingested",
        ("table", ">read", ">loaded", ">known already", ">revised", ">quarantined"),
        (
            (table.table, table.read, table.loaded, table.already_known, table.revised, sum(table.quarantined.values()))
            for table in report.tables
        ),
    )
    reasons = [(t.table, reason, rows) for t in report.tables for reason, rows in sorted(t.quarantined.items())]
    if reasons:
        print_table("Quarantined rows", ("table", "reason", ">rows"), reasons)
    for warning in report.warnings:
        say(f"note: {warning}")


@features.command("list")
def list_features(*, workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """List the catalogue, and which features this workspace's data can feed."""
    from membergate.operations.features import catalogue
    from membergate.operations.workspace import Workspace

    entries = catalogue(Workspace(workspace))
    if as_json:
        print_json(entries)
        return
    print_table(
        "Features",
        ("id", "name", "unit", "here", "missing"),
        ((e.id, e.name, e.unit, e.state, ", ".join(e.missing)) for e in entries),
    )


@features.command("show")
def show_feature(
    feature_id: Annotated[str, typer.Argument(help="Such as A2.")], *, as_json: JsonOption = False
) -> None:
    """Show a feature's definition, what it needs, its sense of risk and whom it may harm."""
    from membergate.operations.features import describe_feature

    shown = describe_feature(feature_id)
    if as_json:
        print_json(shown)
        return
    print_table(f"{feature_id}", ("", ""), shown.items())


@features.command("compute")
def compute_table(
    out: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    *,
    as_of: InstantOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Compute every computable feature of every account as of an instant (the end of the data by default)."""
    from membergate.operations.features import compute_features
    from membergate.operations.workspace import Workspace

    with progress() as bar:
        bar.add_task("computing features")
        rows = compute_features(Workspace(workspace), out, as_of=instant(as_of))
    say(f"{rows} accounts written to {out}")
