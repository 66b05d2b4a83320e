"""Commands about models: learn, verify, publish, monitor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from membergate.cli.markets import progress
from membergate.cli.rendering import print_json, print_table, say, with_interval
from membergate.cli.settings import DEFAULT_WORKSPACE, InstantOption, JsonOption, WorkspaceOption, instant, present
from membergate.domain.instants import format_instant
from membergate.domain.measurement import Measurement

if TYPE_CHECKING:
    from membergate.operations.verify import Verified
    from membergate.verification.report import Report

SCOPE_WORDS = {"full": "in full", "holders": "trials too"}

ModelOption = Annotated[str | None, typer.Option("--model", help="A model version; the one learned last by default.")]
SmallestPropensityOption = Annotated[
    float | None,
    typer.Option(help="Smallest chance with which anybody is drawn for review; that of the sample unless given."),
]
AblationsOption = Annotated[
    bool, typer.Option("--ablations", help="Learn it again without each of its parts: a learning a part.")
]
PolicyOption = Annotated[Path | None, typer.Option("--policy", help="A policy file; the shipped default otherwise.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(learn)
    app.command()(verify)
    app.command()(publish)
    app.command()(monitor)


def learn(
    *,
    as_of: InstantOption = None,
    trained_until: InstantOption = None,
    seed: Annotated[int, typer.Option(help="Makes every random draw repeatable.")] = 0,
    use_labels: Annotated[bool, typer.Option("--labels/--no-labels", help="Whether labels may be looked at.")] = True,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Learn a new candidate model version from what was known at an instant (the end of the data by default).

    Applications from --trained-until on (the latest 30 % by default) and 40 % of the operators are left to
    verification.
    """
    from membergate.learning.model import LearningSettings
    from membergate.operations.learn import learn as learn_model
    from membergate.operations.workspace import Workspace

    with progress() as bar:
        bar.add_task("learning")
        learned = learn_model(
            Workspace(workspace),
            as_of=instant(as_of),
            trained_until=instant(trained_until),
            settings=LearningSettings(seed=seed, use_labels=use_labels),
        )
    if as_json:
        print_json(learned)
        return
    say(
        f"candidate {learned.model_version}: learned from {learned.rows} applications before "
        f"{format_instant(learned.trained_until)}, with what was known at {format_instant(learned.as_of)}"
    )
    say(f"features: {' '.join(learned.features)}")
    say(f"labels by grade: {learned.labels or 'none'}")
    for note in learned.notes:
        say(f"note: {note}")


def verify(
    *,
    model: ModelOption = None,
    policy: PolicyOption = None,
    until: InstantOption = None,
    alpha: Annotated[float, typer.Option(help="Leakage bound to certify, in (0, 1).")] = 0.02,
    delta: Annotated[float, typer.Option(help="Risk of certifying wrongly, in (0, 1).")] = 0.05,
    smallest_propensity: SmallestPropensityOption = None,
    reviewer_sensitivity: Annotated[float, typer.Option(help="Share of merchants whom reviews find, in (0, 1].")] = 1.0,
    reviewer_specificity: Annotated[float, typer.Option(help="Share of genuine whom reviews clear, in (0, 1].")] = 1.0,
    ablations: AblationsOption = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Measure a candidate on later applications of operators it never met, write the report, and ask the gate.

    With --until it is a look: no gate is asked, and the look is written beside the report.
    """
    from membergate.operations.policies import read_policy
    from membergate.operations.verify import verify as verify_model
    from membergate.operations.workspace import Workspace
    from membergate.verification.certificate import Terms

    with progress() as bar:
        bar.add_task("verifying")
        verified = verify_model(
            Workspace(workspace),
            clock=present,
            model_version=model,
            policy=read_policy(policy),
            until=instant(until),
            terms=Terms(
                alpha=alpha,
                delta=delta,
                smallest_propensity=smallest_propensity,
                reviewer_sensitivity=reviewer_sensitivity,
                reviewer_specificity=reviewer_specificity,
            ),
            is_ablating=ablations,
        )
    if as_json:
        print_json({"report": verified.report, "html": verified.html})
        return
    print_verification(verified)


def print_verification(verified: Verified) -> None:
    """Print the headline figures, the certificate line, the gate's answer and where the report lies."""
    print_table(
        f"Verification of {verified.model_version}",
        ("figure", ">value [95 % interval]", ">accounts", ">operators"),
        ((name, with_interval(m), m.n, m.operators) for name, m in _headline(verified.report)),
    )
    say(verified.report.verdict)
    for warning in verified.report.warnings:
        say(f"note: {warning}")
    for certificate in verified.report.certificates:
        say(certificate.line)
    say(verified.report.plan.line)
    if verified.report.is_look:
        say("no gate run: a look with --until leaves the gate's report and answer as they are")
    else:
        say("gate: open" if verified.report.judgement.opens else "gate: shut")
        for reason in verified.report.judgement.reasons:
            say(f"  {reason}")
    say(f"report: {verified.html}")


def _headline(report: Report) -> Iterator[tuple[str, Measurement]]:
    metrics = report.metrics
    for outcome in metrics.outcomes:
        for scope, rates in outcome.rates.items():
            yield f"leakage, {outcome.policy}, {SCOPE_WORDS[scope]}", rates.leakage
            yield f"genuine admission rate, {outcome.policy}, {SCOPE_WORDS[scope]}", rates.genuine_admission
    for row in metrics.deployed:
        where = f"candidate less {row.against}, {SCOPE_WORDS[row.scope]}"
        yield f"  leakage, {where}", row.leakage
        yield f"  genuine admission rate, {where}", row.genuine_admission
    equal = metrics.equal_leakage
    yield "genuine admission rate of the score at the strict rule's leakage", equal.score_genuine_admission
    yield "  gain over the strict rule", equal.difference
    yield "area under the ROC curve", metrics.roc_auc
    yield "average precision", metrics.average_precision


def publish(
    *,
    model: ModelOption = None,
    policy: PolicyOption = None,
    signed_by: Annotated[str, typer.Option(help="Who answers for it: stands in the report and on the record.")] = "",
    max_age: Annotated[
        float | None, typer.Option(help="Days that the newest application evaluated may be old; else it is refused.")
    ] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Make a verified candidate live, or refuse and say why (exit code 1). A refusal changes nothing."""
    from membergate.operations.policies import read_policy
    from membergate.operations.publish import publish as publish_model
    from membergate.operations.workspace import Workspace

    published = publish_model(
        Workspace(workspace),
        clock=present,
        model_version=model,
        policy=read_policy(policy),
        signed_by=signed_by,
        max_age_days=max_age,
    )
    if as_json:
        print_json(published)
        return
    say(f"live: {published.live.model_version} with {published.live.policy_file}")
    if published.replaced is not None:
        say(f"replaced: {published.replaced.model_version} with {published.replaced.policy_file}")
    signed = published.sign_off
    spoken = f"its certificate speaks until {signed.valid_until}" if signed.valid_until else "nothing is certified"
    say(f"signed by {signed.by or 'nobody'}; {spoken}")
    if signed.warning:
        say(f"warning: {signed.warning}")


def monitor(
    *,
    alpha: Annotated[float, typer.Option(help="Leakage bound to watch, in (0, 1); counts when it begins.")] = 0.02,
    delta: Annotated[float, typer.Option(help="Risk of ever alarming wrongly, in (0, 1); as above.")] = 0.05,
    smallest_propensity: SmallestPropensityOption = None,
    sensitivity: Annotated[float, typer.Option(help="Share of merchants whom reviewers know, in (0, 1].")] = 1.0,
    specificity: Annotated[float, typer.Option(help="Share of genuine people whom reviewers know, in (0, 1].")] = 1.0,
    until: InstantOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Hold the live door to its bound, on reviews of those whom it let in. Run it as often as you like.

    It resumes where it stopped; each review counts once. The exit code is 1 once the alarm was raised.
    """
    from membergate.operations.monitor import monitor as watch_live
    from membergate.operations.workspace import Workspace
    from membergate.verification.certificate import Terms

    terms = Terms(
        alpha=alpha,
        delta=delta,
        smallest_propensity=smallest_propensity,
        reviewer_sensitivity=sensitivity,
        reviewer_specificity=specificity,
    )
    watched = watch_live(Workspace(workspace), terms=terms, until=instant(until))
    if as_json:
        print_json({name: value for name, value in vars(watched).items() if name != "monitor"})
    else:
        state = watched.monitor
        say(f"watching {watched.model_version} with {watched.policy_file}, reviews until {watched.until}")
        say(f"reviews: {watched.new_audits} new, {len(state.decisions)} in all, of {len(state.operators)} operators")
        say(f"leakage over all holders: {watched.low:.1%} to {watched.high:.1%}, at all times together")
        say(f"e-value against 'at most {state.alpha:g}': {watched.e_value:.3g}; {watched.alarm_at:g} alarms")
        say(f"ALARM since {watched.alarmed_at}" if watched.alarmed_at else "no alarm")
    if watched.alarmed_at:
        raise typer.Exit(1)
