"""The demonstration: the whole cycle on a simulated market, or on real households."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from membergate.cli.markets import progress
from membergate.cli.rendering import print_json, print_table, say, share, with_interval
from membergate.cli.settings import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, present

if TYPE_CHECKING:
    from membergate.operations.demonstrate import GroupMix, HouseholdsShown, MarketShown


class Data(StrEnum):
    """What the demonstration runs on."""

    SIMULATED = "simulated"
    COMPLETE_JOURNEY = "complete-journey"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(demo)


def demo(
    *,
    data: Annotated[
        Data, typer.Option(help="A simulated market, or 2,469 real households (extra `examples`).")
    ] = Data.SIMULATED,
    seed: Annotated[int, typer.Option(help="Seed of the simulated market.")] = 2026,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Run the whole cycle in the workspace's folder `demo-…`, and print what membergate admits at equal leakage."""
    from membergate.operations.demonstrate import MarketShown, demonstrate_households, demonstrate_market
    from membergate.operations.workspace import Workspace

    with progress() as bar:
        task = bar.add_task("starting")

        def tell(step: str) -> None:
            bar.update(task, description=step)

        folder = Workspace(workspace / f"demo-{data.value}")
        if data is Data.SIMULATED:
            shown: MarketShown | HouseholdsShown = demonstrate_market(folder, seed=seed, clock=present, tell=tell)
        else:
            shown = demonstrate_households(folder, clock=present, tell=tell)
    if as_json:
        print_json(shown)
    elif isinstance(shown, MarketShown):
        _print_market(shown)
    else:
        _print_households(shown)


def _print_market(shown: MarketShown) -> None:
    print_table(
        "Genuine admission at the same leakage, 95 % intervals",
        ("rule", ">leakage", ">genuine admission rate"),
        ((row.rule, with_interval(row.leakage), with_interval(row.genuine_admission)) for row in shown.rows),
    )
    say(
        f"measured on {shown.reviewed} applications reviewed by chance, all later than anything learned from and of "
        "operators never met before"
    )
    if shown.difference.value is None:
        say(shown.verdict)
    else:
        say(
            f"(b) less (a): {with_interval(shown.difference)} of genuine applicants; the score's threshold is matched "
            "to (a)'s leakage on this sample, anew in every bootstrap replicate"
        )
    for certificate in shown.certificates:
        say(certificate)
    say(shown.gate)
    say("An illustrative simulation: evidence about the method, not about a real shop.")
    say(f"report:  {shown.report}")
    say(f"decided: {shown.decisions}")
    say(f"next:    membergate serve --workspace {shown.workspace}")


def _print_households(shown: HouseholdsShown) -> None:
    total = shown.households
    say(
        f"{total} real households, all of them genuine: every refusal, review or limit below is a false alarm. "
        "Nobody resells here, so this shows friction only; it cannot show leakage."
    )
    say(shown.calibration)
    everyone = shown.everyone[0].mix
    counts = ((name, everyone.get(name, 0), share(everyone.get(name, 0) / total)) for name in shown.dispositions)
    print_table("What the default policy does with them", ("disposition", ">households", ">share"), counts)
    met = tuple(name for name in shown.dispositions if everyone.get(name))
    columns = ("", ">households", *(f">{name}" for name in met))
    for title, groups in (("By household size", shown.by_size), ("By income", shown.by_income)):
        print_table(title, columns, (_mix_row(group, met) for group in groups))
    reasons = ((reason, count, share(count / total)) for reason, count in shown.reasons)
    print_table("Reasons that hit them most", ("reason", ">households", ">share"), reasons)
    say(f"decided: {shown.decisions}")


def _mix_row(group: GroupMix, dispositions: tuple[str, ...]) -> tuple[object, ...]:
    shares = (share(group.mix.get(disposition, 0) / group.households) for disposition in dispositions)
    return (group.name, group.households, *shares)
