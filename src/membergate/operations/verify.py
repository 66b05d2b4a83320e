"""verify: how right is a candidate, on applications and operators that it has never met; and may it go live."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import msgspec

from membergate.deciding.policy import Policy
from membergate.domain.errors import WorkspaceError
from membergate.domain.instants import Clock
from membergate.operations.ablations import try_ablations
from membergate.operations.admission import AdmissionDesk
from membergate.operations.admit import live_desk
from membergate.operations.carding import materiality, model_card, reasons_of, reviewer_agreement
from membergate.operations.conduct import conduct
from membergate.operations.evaluation import Evaluated, evaluate, measuring_desk, unmet, usual_sample
from membergate.operations.explanations import try_explanations
from membergate.operations.exploration import explored
from membergate.operations.history import History
from membergate.operations.learn import lesson_of
from membergate.operations.outcomes import friction, net_value, rings
from membergate.operations.policies import policy_file_name, read_policy
from membergate.operations.policy_lifecycle import shadow_policies
from membergate.operations.rivals import try_rivals
from membergate.operations.sensitivity import try_parameters
from membergate.operations.shadows import try_shadows
from membergate.operations.without_labels import measure_drift_since, verify_without_labels
from membergate.operations.workspace import Live, Workspace, read_json, write_atomically
from membergate.verification.certificate import Terms, largest_weight
from membergate.verification.confusion import find_confusion
from membergate.verification.html import to_html
from membergate.verification.report import Report, Surroundings, build_report, digest_of, to_json
from membergate.verification.shadows import UnreadShadow

COMPUTES = ("duckdb", "numba", "numpy", "scikit-learn", "scipy")
"""Libraries whose version may move a figure."""
UNCAPPED = 1_000
"""Operator cap that a policy without one is certified at: the certificate then wants a very large sample."""


@dataclass(frozen=True)
class Judgement:
    """What the gate said, kept beside the report so that publish can hold itself to it.

    Parameters
    ----------
    opens, reasons
        The gate's answer.
    policy_digest
        The policy that was verified.
    incumbent
        The model and the policy file that were live then; empty for none.
    warehouse
        Fingerprint of the data that it was measured on.
    report_digest
        Of the report that it judged, as `digest_of` gives it.
    """

    opens: bool
    reasons: tuple[str, ...]
    policy_digest: str
    incumbent: str
    warehouse: str
    report_digest: str = ""


@dataclass(frozen=True)
class Verified:
    """What a verification run found, and where it lies."""

    model_version: str
    report: Report
    html: Path
    json: Path


def verify(
    workspace: Workspace,
    *,
    clock: Clock,
    model_version: str | None = None,
    policy: Policy | None = None,
    until: datetime | None = None,
    terms: Terms | None = None,
    history: History | None = None,
    is_ablating: bool = False,
) -> Verified:
    """Measure a candidate, write its report, and ask the gate.

    A look at an earlier instant asks no gate: it is written beside, and leaves the gate's report and answer alone.

    Parameters
    ----------
    workspace
        Holds the market and the candidate.
    clock
        Dates the report.
    model_version
        The candidate; the model learned last where None.
    policy
        The policy to verify it with; the shipped default where None.
    until
        Look at applications up to here, with the labels known by then; None is the end of the data, and the gate's.
    terms
        What is to be certified; the operator cap is the policy's.
    history
        The market, if it is open already.
    is_ablating
        Learn the candidate again without each of its parts, to see what each buys: as many learnings as parts.

    Raises
    ------
    BadInputError
        If the sample holds a smaller propensity than the terms say.
    """
    history = history or History(workspace.warehouse())
    version = workspace.chosen_model(model_version)
    policy = policy or read_policy(None)
    live = workspace.live()
    end = until or history.last_instant
    is_live = live is not None and (live.model_version, live.policy_file) == (version, policy_file_name(policy))
    incumbent = live_desk(workspace, history) if live is not None and not is_live else None
    desk = measuring_desk(workspace, history, version, policy)
    evaluated = evaluate(desk, incumbent, end)
    terms = replace(terms or Terms(), operator_cap=policy.operator_cap or UNCAPPED)
    largest_weight(evaluated.sample, terms)  # what cannot be certified is refused before the long work
    report = build_report(
        evaluated.sample,
        model_version=version,
        policy_version=policy_file_name(policy).removesuffix(".yaml"),
        incumbent_version=live.model_version if live else "",
        produced_at=clock(),
        observed_until=end,
        seed=desk.model.settings.seed,
        lineage={"warehouse": history.warehouse.fingerprint, "policy": policy.digest} | _software(),
        split=evaluated.split,
        surroundings=_surroundings(workspace, desk, evaluated, end, is_ablating=is_ablating),
        usual=usual_sample(history, desk.model, end),
        is_live=is_live,
        terms=terms,
    )
    if until is not None:
        return _look_kept(workspace, version, replace(report, is_look=True), until)
    return _kept(workspace, version, report, _judged(report, policy, live, history))


def _software() -> dict[str, str]:
    """Name what computed the figures, so that they can be computed again."""
    return {name: metadata.version(name) for name in ("membergate", *COMPUTES)} | {"python": platform.python_version()}


def _surroundings(
    workspace: Workspace, desk: AdmissionDesk, evaluated: Evaluated, end: datetime, *, is_ablating: bool
) -> Surroundings:
    """Measure what the labelled sample does not tell."""
    history, model, later, seed = desk.history, desk.model, evaluated.later, desk.model.settings.seed
    earlier = history.applications(until=model.lineage.trained_until)
    lesson, rows, sample = lesson_of(history, model), evaluated.sample_rows, evaluated.sample
    table, cases = evaluated.table.take(rows), [evaluated.decided[row][0] for row in rows.tolist()]
    shadows, without_labels = shadow_policies(workspace), verify_without_labels(desk, later, seed=seed)
    share = without_labels.powered[0].powered.value if without_labels.powered else None
    return Surroundings(
        card=model_card(model, later),
        without_labels=without_labels,
        drift=measure_drift_since(history, model, unmet(history, model, earlier), later, seed=seed),
        explored=explored(workspace, history),
        explanations=try_explanations(desk, evaluated.decided, evaluated.table),
        hindsight=evaluated.hindsight,
        reviewers=reviewer_agreement(history, end, seed=seed),
        sensitivity=try_parameters(desk, lesson, sample, table, cases, seed=seed),
        materiality=materiality(desk.policy, evaluated.decided, share),
        rivals=try_rivals(history, model, lesson, sample, table, seed=seed),
        shadows=try_shadows(desk.policy, shadows.readable, sample, cases, seed=seed),
        unread_shadows=tuple(UnreadShadow(name, str(error)) for name, error in shadows.unreadable.items()),
        ablations=try_ablations(model, lesson, sample, table, seed=seed) if is_ablating and lesson.is_whole else None,
        is_lesson_whole=lesson.is_whole,
        confusion=find_confusion(sample, reasons_of(evaluated.decided)),
        conduct=conduct(desk, evaluated.decided),
        friction=friction(desk.policy, evaluated.decided),
        net_value=net_value(desk.policy, evaluated, seed=seed),
        rings=rings(history, evaluated, end, seed=seed),
        currency=history.warehouse.currency,
    )


def _judged(report: Report, policy: Policy, live: Live | None, history: History) -> Judgement:
    gate = report.judgement
    return Judgement(
        opens=gate.opens,
        reasons=gate.reasons,
        policy_digest=policy.digest,
        incumbent=name_of(live),
        warehouse=history.warehouse.fingerprint,
        report_digest=digest_of(to_json(report)),
    )


def _kept(workspace: Workspace, version: str, report: Report, judgement: Judgement) -> Verified:
    verified = _written(workspace, version, report, "report")
    write_atomically(workspace.report_folder(version) / "judgement.json", msgspec.json.encode(judgement))
    return verified


def _look_kept(workspace: Workspace, version: str, report: Report, until: datetime) -> Verified:
    """Write a look beside the gate's own report: a window of one's own choice never opens the gate."""
    return _written(workspace, version, report, f"look-until-{until.astimezone(UTC):%Y%m%dT%H%M%SZ}")


def _written(workspace: Workspace, version: str, report: Report, name: str) -> Verified:
    folder = workspace.report_folder(version)
    html, json = folder / f"{name}.html", folder / f"{name}.json"
    write_atomically(json, to_json(report))
    write_atomically(html, to_html(report).encode())
    return Verified(version, report, html, json)


def read_judgement(workspace: Workspace, model_version: str) -> Judgement | None:
    """Read what the gate said of a model; None where it was never verified.

    Raises
    ------
    WorkspaceError
        If the judgement is damaged.
    """
    found = read_json(workspace.report_folder(model_version) / "judgement.json")
    try:
        return None if found is None else msgspec.convert(found, Judgement)
    except msgspec.ValidationError:
        raise WorkspaceError(
            "the gate's judgement is damaged",
            where=str(workspace.report_folder(model_version)),
            next_step=f"membergate verify --model {model_version}",
        ) from None


def name_of(live: Live | None) -> str:
    """Name what is live, model and policy; empty for nothing."""
    return f"{live.model_version} with {live.policy_file}" if live is not None else ""
