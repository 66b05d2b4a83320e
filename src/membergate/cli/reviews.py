"""Commands about reviews: plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from membergate.cli.markets import progress
from membergate.cli.models import ModelOption, PolicyOption
from membergate.cli.rendering import print_json, print_table, say, with_interval
from membergate.cli.settings import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption

reviews = typer.Typer(help="Reviews by chance, which are what every rate stands on: whom to review next.")


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(reviews, name="reviews")


@reviews.command("plan")
def plan(
    *,
    budget: Annotated[int | None, typer.Option(min=1, help="Accounts that may be reviewed.")] = None,
    width: Annotated[float | None, typer.Option(help="Instead: half-width wanted, as a share, such as 0.02.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the reviewers' sheet, a CSV of labels to fill in.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws others.")] = 0,
    model: ModelOption = None,
    policy: PolicyOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Draw whom to review next: by chance, more often where the model is in doubt, with the chances written down."""
    from membergate.operations.policies import read_policy
    from membergate.operations.review_plan import plan_reviews, write_sheet
    from membergate.operations.workspace import Workspace

    with progress() as bar:
        bar.add_task("planning")
        found = plan_reviews(
            Workspace(workspace),
            budget=budget,
            half_width=width,
            model_version=model,
            policy=read_policy(policy),
            seed=seed,
        )
    if out is not None:
        write_sheet(found, out)
    if as_json:
        print_json(found)
        return
    say(f"merchant share now, all scores and {found.now.powered.n} reviews: {with_interval(found.now.powered)}")
    print_table(
        f"What reviews of the {found.waiting:,} applicants buy whom nobody has reviewed by chance",
        ("reviews", ">half-width, by the plan", ">half-width, all alike"),
        ((row.reviews, f"{row.active:.2%}", f"{row.uniform:.2%}") for row in found.rows),
    )
    say(
        f"drawn: {len(found.accounts)} accounts, {found.reviews} expected; half-width {found.half_width:.2%} expected "
        "with the earlier reviews"
    )
    say(f"sheet: {out}" if out is not None else "no sheet was written: --out FILE.csv")
