"""Commands at the door: admit, explain, serve."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from membergate.cli.markets import progress
from membergate.cli.rendering import print_json, print_table, say, share
from membergate.cli.settings import (
    DEFAULT_PORT,
    DEFAULT_WORKSPACE,
    InstantOption,
    JsonOption,
    WorkspaceOption,
    instant,
    present,
)
from membergate.domain.evidence import Evidence
from membergate.domain.instants import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from membergate.learning.identity import Link
    from membergate.learning.model.cards import ClusterCard
    from membergate.operations.admit import Admitted
    from membergate.operations.explain import Contribution, Explanation

STRONGEST = 12
"""Contributions that are printed; `--json` holds all."""
STABLE_FROM = 0.75
"""Stability from which a cluster counts as there."""
LiveModelOption = Annotated[str | None, typer.Option("--model", help="Another model version than the live one.")]

KafkaOption = Annotated[
    str, typer.Option(envvar="MEMBERGATE_KAFKA", help="Kafka's servers, host:port with commas between.")
]
KafkaPropertiesOption = Annotated[
    str, typer.Option(envvar="MEMBERGATE_KAFKA_PROPERTIES", help="librdkafka's properties, name=value name=value.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(admit)
    app.command()(explain)
    app.command()(serve)


def admit(
    *,
    since: InstantOption = None,
    until: InstantOption = None,
    out: Annotated[Path | None, typer.Option(help="Parquet file to write, one row an application.")] = None,
    model: LiveModelOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Decide the applications submitted in [since, until), each as of its own submission."""
    from membergate.operations.admit import admit as admit_applications
    from membergate.operations.workspace import Workspace

    with progress() as bar:
        bar.add_task("deciding")
        admitted = admit_applications(
            Workspace(workspace),
            clock=present,
            since=instant(since),
            until=instant(until),
            out=out,
            model_version=model,
        )
    total = len(admitted.decisions)
    if as_json:
        shadows = [{"policy": p, "ours": a, "its": b, "decisions": n} for (p, a, b), n in admitted.shadows.items()]
        told = {"decisions": total, "mix": admitted.mix, "reasons": admitted.reasons, "out": out}
        print_json(told | {"shadows": shadows, "unread_shadows": admitted.unread_shadows})
        return
    mix = admitted.mix.items()
    print_table(
        f"{total} applications decided",
        ("disposition", ">decisions", ">share"),
        ((d, n, share(n / total)) for d, n in mix),
    )
    if admitted.reasons:
        print_table("Reasons, where not fully admitted", ("reason", ">decisions"), admitted.reasons.items())
    _print_shadows(admitted)
    if out is not None:
        say(f"decisions: {out}")


def _print_shadows(admitted: Admitted) -> None:
    if admitted.shadows:
        rows = ((p, a, b, n) for (p, a, b), n in sorted(admitted.shadows.items()) if a != b)
        print_table("Where a policy in shadow decides otherwise", ("policy", "ours", "its", ">decisions"), rows)
    for policy in admitted.unread_shadows:
        say(f"policy {policy} stands in shadow and cannot be read; membergate verify says why")


def explain(
    account: Annotated[str, typer.Argument(help="An account id.")],
    *,
    model: LiveModelOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Explain an account's decision: reasons, evidence, what would change it, its operator and its cluster.

    The account's latest application is decided as of its submission; what was known only later is no part of it.
    """
    from membergate.operations.explain import explain as explain_account
    from membergate.operations.workspace import Workspace

    told = explain_account(Workspace(workspace), account, clock=present, model_version=model)
    if as_json:
        print_json(told)
    else:
        _print_explanation(told)


def _print_explanation(told: Explanation) -> None:
    decision = told.decision
    say(f"{decision.account_id}: {decision.disposition.value}, as of {format_instant(decision.as_of)}")
    if decision.application_id is None:
        say("this account has not applied: so it would be decided if it applied then")
    say(f"reasons: {', '.join(decision.reason_codes) or 'none'}")
    say(f"model {decision.model_version}, policy {decision.policy_version}")
    _print_ways_out(told)
    if decision.caps is not None:
        limits = {each.name.replace("_", " "): getattr(decision.caps, each.name) for each in fields(decision.caps)}
        say("caps: " + ", ".join(f"{name} {most:g}" for name, most in limits.items() if most is not None))
    print_table(
        "What moved the score (log-odds)",
        ("column", "what it measures", ">value", ">typical", ">contribution"),
        ((c.column, c.words, _number(c.value), _number(c.typical), f"{c.added:+.3f}") for c in _strongest(told)),
    )
    _print_cluster(told.cluster)
    if told.missing:
        rows = ((m.feature, m.words, m.reason.value.replace("_", " "), f"{m.added:+.3f}") for m in told.missing)
        print_table("What the model could not see", ("feature", "what it measures", "why", ">contribution"), rows)
    read = (e for e in told.evidence if e.name not in told.unread)
    print_table("Evidence", ("name", ">value", "origin"), ((e.name, _value(e), e.origin) for e in read))
    if told.unread:
        say(f"not read by this model: {len(told.unread)} features ({' '.join(told.unread)})")
    if not told.accounts:
        say("operator: no other account is linked to this one")
        return
    links = ((other, " > ".join(map(_link, path))) for other, path in told.accounts)
    print_table(f"Operator {decision.operator_id}: also", ("account", "linked by"), links)


def _print_ways_out(told: Explanation) -> None:
    other, way = told.decision.counterfactual, told.way_out
    if other is not None:
        say(f"would be {other.disposition.value} if {other.evidence} were {other.needed:g} instead of {other.actual:g}")
    if way is not None:
        needed = " and ".join(
            f"{each.feature} were {each.needed:.3g} instead of {each.actual:.3g}" for each in way.changes
        )
        say(f"scored again it would be {way.disposition.value} (probability {way.probability:.3f}) if {needed}")


def _print_cluster(card: ClusterCard | None) -> None:
    if card is None:
        say("cluster: none; unlike anyone is no guilt")
        return
    firm = "stable" if card.stability >= STABLE_FROM else "not stable: it may be an accident"
    say(f"cluster {card.cluster_id}: {card.type}, for {card.why}")
    say(f"  {card.size} applications are like this; stability {card.stability:.2f} ({firm})")
    rows = ((trait.feature, trait.summary, f"{trait.deviation:+.1f}") for trait in card.traits)
    print_table("Who is in that cluster", ("feature", "what it measures", ">deviation from peers"), rows)


def _strongest(told: Explanation) -> Iterator[Contribution]:
    return (each for each in told.contributions[:STRONGEST] if each.added)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _link(link: Link) -> str:
    return f"{link.kind} {link.token}, since {format_instant(link.since)[:10]}"


def _value(evidence: Evidence) -> str:
    if evidence.is_absent:
        return f"({str(evidence.value).replace('_', ' ')})"
    return f"{evidence.value:.4g}" if isinstance(evidence.value, float) else str(evidence.value)


def serve(
    *,
    host: Annotated[str, typer.Option(help="Loopback unless told otherwise.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = DEFAULT_PORT,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="Host name under which the service may be addressed; may be repeated.")
    ] = None,
    oidc_issuer: Annotated[
        str, typer.Option(envvar="MEMBERGATE_OIDC_ISSUER", help="Identity provider whose tokens people come with.")
    ] = "",
    oidc_audience: Annotated[
        str, typer.Option(envvar="MEMBERGATE_OIDC_AUDIENCE", help="For whom its tokens must be.")
    ] = "membergate",
    oidc_roles_claim: Annotated[
        str, typer.Option(envvar="MEMBERGATE_OIDC_ROLES_CLAIM", help="The claim that lists a person's roles.")
    ] = "roles",
    kafka: KafkaOption = "",
    kafka_properties: KafkaPropertiesOption = "",
    kafka_topic: Annotated[str, typer.Option(help="Topic whose CloudEvents are taken; none where empty.")] = "",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Answer for decisions about applications and orders over HTTP, from the live model and policy."""
    from membergate.operations.workspace import Workspace
    from membergate.service import Door, KafkaSettings, ServiceSettings, properties, provider_of, serve_workspace

    def tell(door: Door) -> None:
        model, policy = door.readiness()
        say(f"model {model}, policy {policy}: http://{host}:{port} (OpenAPI at /schema)")

    serve_workspace(
        Workspace(workspace),
        present,
        host=host,
        port=port,
        settings=ServiceSettings(allowed_hosts=tuple(allowed_host)) if allowed_host else None,
        provider=provider_of(oidc_issuer, oidc_audience, oidc_roles_claim),
        kafka=KafkaSettings(properties(kafka, kafka_properties), kafka_topic) if kafka else None,
        on_ready=tell,
    )
