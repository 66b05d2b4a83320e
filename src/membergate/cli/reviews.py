"""Commands about reviews: plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from membergate.cli.markets import progress
from membergate.cli.models import ModelOption, PolicyOption
from membergate.cli.rendering import print_json, print_table, say, with_interval
from membergate.cli.settings import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from membergate.operations.review_plan import ReviewPlan

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
    smallest_propensity: Annotated[
        float | None,
        typer.Option(help="A floor under every chance, in (0, 1]: certificates then take fewer operators."),
    ] = None,
    alpha: Annotated[float, typer.Option(help="Leakage bound to certify, in (0, 1).")] = 0.02,
    delta: Annotated[float, typer.Option(help="Risk of certifying wrongly, in (0, 1).")] = 0.05,
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
    from membergate.verification.certificate import Terms

    with progress() as bar:
        bar.add_task("planning")
        found = plan_reviews(
            Workspace(workspace),
            budget=budget,
            half_width=width,
            model_version=model,
            policy=read_policy(policy),
            terms=Terms(alpha=alpha, delta=delta, smallest_propensity=smallest_propensity),
            seed=seed,
        )
    if out is not None:
        write_sheet(found, out)
    if as_json:
        print_json(found)
        return
    print_plan(found)
    say(f"sheet: {out}" if out is not None else "no sheet was written: --out FILE.csv")


def print_plan(found: ReviewPlan) -> None:
    """Print what budgets buy, what was drawn, and what its rarest draws cost a certificate."""
    say(f"merchant share now, all scores and {found.now.powered.n} reviews: {with_interval(found.now.powered)}")
    toll, terms, floor = found.toll, found.toll.terms, found.toll.terms.smallest_propensity
    print_table(
        f"What reviews of the {found.waiting:,} applicants buy whom nobody has reviewed by chance",
        (
            "reviews",
            ">half-width, by the plan",
            *([f">none below {floor:.3g}"] if floor else []),
            ">half-width, all alike",
        ),
        (
            (
                row.reviews,
                f"{row.active:.2%}",
                *([f"{row.floored:.2%}" if row.floored is not None else "too few"] if floor else []),
                f"{row.uniform:.2%}",
            )
            for row in found.rows
        ),
    )
    say(
        f"drawn: {len(found.accounts)} accounts, {found.reviews} expected; half-width {found.half_width:.2%} expected "
        "with the earlier reviews"
    )
    say(
        f"smallest chance: {toll.smallest_propensity:.3g}; to certify {100 * terms.alpha:g}% at "
        f"{100 * (1 - terms.delta):g}% takes about {toll.clean_operators:,} operators let in and drawn so, without "
        f"any leak, and {toll.clean_operators_alike:,} drawn all alike"
    )
    if not floor:
        say("--smallest-propensity puts a floor under the chances: certificates take fewer, intervals get wider")
