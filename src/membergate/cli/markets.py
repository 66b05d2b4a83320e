"""Commands about what happened: simulate, ingest, features."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from membergate.cli.mappings import print_coverage
from membergate.cli.rendering import ERR, print_json, print_table, say
from membergate.cli.settings import DEFAULT_WORKSPACE, InstantOption, JsonOption, WorkspaceOption, instant, present

if TYPE_CHECKING:
    from membergate.market.loading import LoadReport
    from membergate.operations.features_power import Power


class FeatureEngine(StrEnum):
    """What computes features."""

    DUCKDB = "duckdb"
    SPARK = "spark"


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
    feature_id: Annotated[str, typer.Argument(help="Such as A2.")],
    *,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    with_sql: Annotated[bool, typer.Option("--sql", help="Print its statements for DuckDB and for Spark.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a feature: definition, needs, whom it may harm; its distribution and separating power in this workspace."""
    from membergate.operations.features import describe_feature, portrait_of, statements_of
    from membergate.operations.workspace import Workspace

    shown, here = describe_feature(feature_id), portrait_of(feature_id, Workspace(workspace))
    statements = statements_of(feature_id, Workspace(workspace)) if with_sql or as_json else {}
    if as_json:
        print_json({"card": shown, "here": here, "sql": statements})
        return
    if here is not None:
        shown |= {"observed": f"{here.observed} of {here.accounts} accounts"}
        shown |= {"distribution": "  ".join(f"{q:.0%} {v:.4g}" for q, v in here.quantiles.items())}
        shown |= {"separating power": _OF_LABELS if here.is_of_labels else _power(here.power)}
    print_table(feature_id.upper(), ("", ""), shown.items())
    for engine, text in statements.items():
        say(f"\n-- {engine}\n{text}")


_OF_LABELS = "not measured: the feature is made of labels, and would measure itself"


def _power(power: Power | None) -> str:
    if power is None:
        return "not measured: too few operators are labelled on either side"
    interval = f"{power.area:.3f} (95 % interval {power.low:.3f} to {power.high:.3f})"
    return f"area under the curve {interval}, {power.merchants} merchants, {power.genuine} genuine"


@features.command("compute")
def compute_table(
    out: Annotated[
        str, typer.Argument(help="Parquet file to write; on Spark, a folder of parts, or s3a://…, hdfs://….")
    ],
    *,
    as_of: InstantOption = None,
    engine: Annotated[FeatureEngine, typer.Option(help="Where to compute.")] = FeatureEngine.DUCKDB,
    master: Annotated[str, typer.Option(help="Spark's master.")] = "local[2]",
    scores: Annotated[bool, typer.Option("--scores", help="On Spark: a model's scores and clusters instead.")] = False,
    since_last: Annotated[
        bool, typer.Option("--since-last", help="Bring the table up to date: only accounts with something new.")
    ] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Compute every computable feature of every account as of an instant (the end of the data by default)."""
    from membergate.operations.features import compute_features, refresh_features
    from membergate.operations.workspace import Workspace

    _check_options(engine, is_scored=scores, is_refreshed=since_last)
    with progress() as bar:
        bar.add_task("computing features")
        if engine is FeatureEngine.SPARK:
            from membergate.operations.features_on_spark import compute_on_cluster

            at = instant(as_of)
            rows = compute_on_cluster(Workspace(workspace), out, master=master, as_of=at, is_scored=scores)
        elif since_last:
            again, rows = refresh_features(Workspace(workspace), Path(out), as_of=instant(as_of))
            say(f"{again} accounts computed again")
        else:
            rows = compute_features(Workspace(workspace), Path(out), as_of=instant(as_of))
    say(f"{rows} accounts written to {out}")


def _check_options(engine: FeatureEngine, *, is_scored: bool, is_refreshed: bool) -> None:
    """Refuse options that do not go together."""
    from membergate.domain.errors import BadInputError

    if is_scored and engine is FeatureEngine.DUCKDB:
        raise BadInputError("scores are written on Spark only", next_step="--engine spark, or membergate admit")
    if is_refreshed and engine is FeatureEngine.SPARK:
        raise BadInputError("a table on Spark is computed in full", next_step="leave --since-last out")
