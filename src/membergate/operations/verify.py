"""verify: how right is a candidate, on applications and operators that it has never met; and may it go live."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from membergate.deciding.policy import Policy, decide
from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint
from membergate.domain.errors import WorkspaceError
from membergate.domain.instants import Clock
from membergate.domain.labels import EVALUATING_GRADES, LabelGrade
from membergate.learning.model import LabelSet, load_model
from membergate.learning.model.labelling import Labelling
from membergate.learning.model.space import TENURE_EDGES_DAYS
from membergate.operations.admission import AdmissionDesk, Case, Ledger
from membergate.operations.admit import live_desk
from membergate.operations.history import Applications, History
from membergate.operations.learn import held_out
from membergate.operations.list_witness import ListWitness
from membergate.operations.policies import STRICT, policy_file_name, read_policy, shipped_policy
from membergate.operations.workspace import Live, Workspace, read_json, write_atomically
from membergate.verification.certificate import Terms
from membergate.verification.html import to_html
from membergate.verification.report import Report, build_report, to_json
from membergate.verification.sample import EvaluationSample, SplitCheck, check_split

Decided = tuple[Case, Decision]

UNCAPPED = 1_000
"""Operator cap that a policy without one is certified at: the certificate then wants a very large sample."""
TENURE_BANDS = ("under 30 days", "30 to 180 days", "over 180 days")


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
    """

    opens: bool
    reasons: tuple[str, ...]
    policy_digest: str
    incumbent: str
    warehouse: str


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
) -> Verified:
    """Measure a candidate, write its report, and ask the gate.

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
        Applications up to here, with the labels known by then; the end of the data where None.
    terms
        What is to be certified; the operator cap is the policy's.
    history
        The market, if it is open already.
    """
    history = history or History(workspace.warehouse())
    version = workspace.chosen_model(model_version)
    model = load_model(workspace.models / version)
    policy = policy or read_policy(None)
    live = workspace.live()
    end = until or history.last_instant
    applications = history.applications(model.lineage.trained_until, end)
    incumbent = live_desk(workspace, history) if live is not None else None
    # Memberships since then are what the old door gave; each door is measured on what it would have given itself.
    ledger = Ledger(history, model.lineage.trained_until)
    lists = ListWitness.now(workspace, history)
    desk = AdmissionDesk(history, model, version, policy, ledger=ledger, lists=lists)
    if incumbent is not None:
        incumbent.ledger = ledger
    sample, split = _sample(history, desk, incumbent, applications, end)
    report = build_report(
        sample,
        model_version=version,
        policy_version=policy_file_name(policy).removesuffix(".yaml"),
        incumbent_version=live.model_version if live else "",
        produced_at=clock(),
        observed_until=end,
        seed=model.settings.seed,
        lineage={"warehouse": history.warehouse.fingerprint, "policy": policy.digest},
        split=split,
        terms=replace(terms or Terms(), operator_cap=policy.operator_cap or UNCAPPED),
    )
    judgement = _judged(report, policy, live, history) if until is None else None
    return _kept(workspace, version, report, judgement)


def _judged(report: Report, policy: Policy, live: Live | None, history: History) -> Judgement:
    gate = report.judgement
    return Judgement(gate.opens, gate.reasons, policy.digest, name_of(live), history.warehouse.fingerprint)


def _kept(workspace: Workspace, version: str, report: Report, judgement: Judgement | None) -> Verified:
    """Write the report, and the judgement where there is one: a window of one's own choice never opens the gate."""
    folder = workspace.report_folder(version)
    write_atomically(folder / "report.json", to_json(report))
    write_atomically(folder / "report.html", to_html(report).encode())
    if judgement is not None:
        write_atomically(folder / "judgement.json", msgspec.json.encode(judgement))
    return Verified(version, report, folder / "report.html", folder / "report.json")


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


def _sample(
    history: History,
    desk: AdmissionDesk,
    incumbent: AdmissionDesk | None,
    applications: Applications,
    end: datetime,
) -> tuple[EvaluationSample, SplitCheck]:
    """Decide the whole window (rings compete for their operator cap), then keep what may evaluate."""
    model = desk.model
    by_now = history.links.operators_as_of(end)
    operators = np.array([by_now.get(account, account) for account in applications.account_ids], dtype=np.str_)
    known = LabelSet(history.labels(end))
    who = (applications.account_ids.tolist(), operators.tolist())
    labels = known.lay_sampled(*who).or_else(known.lay(*who).only(EVALUATING_GRADES))
    trained = np.array([by_now.get(account, account) for account in model.lineage.accounts], dtype=np.str_)
    kept = labels.is_labelled & held_out(operators, model.lineage.holdout_share) & ~np.isin(operators, trained)
    kept &= _first_of_each(applications)
    decided = list(desk.decide_with_evidence(applications))
    sample = _arrays(applications, operators, labels, decided, incumbent).take(np.flatnonzero(kept))
    split = check_split(
        sample,
        trained_until=model.lineage.trained_until,
        labels_until=model.lineage.as_of,
        training_operator_ids=trained,
        training_account_ids=model.lineage.accounts,
    )
    return sample, split


def _arrays(
    applications: Applications,
    operators: NDArray[np.str_],
    labels: Labelling,
    decided: list[Decided],
    incumbent: AdmissionDesk | None,
) -> EvaluationSample:
    """Lay decisions and labels of the same applications side by side; unlabelled rows are placeholders for `take`."""
    strict = shipped_policy(STRICT)
    weight = labels.sampling_weight
    baseline = [decide(strict, Checkpoint.ADMISSION, case.evidence, lottery=1.0).disposition for case, _ in decided]
    live = [decision.disposition for _, decision in incumbent.decide_with_evidence(applications)] if incumbent else None
    return EvaluationSample(
        application_ids=applications.application_ids,
        account_ids=applications.account_ids,
        operator_ids=operators,
        submitted_at=applications.submitted_at,
        is_merchant=labels.is_merchant == 1,
        grade=np.where(labels.is_labelled, labels.grade, LabelGrade.L0.value),
        weight=np.where(weight > 0, weight, np.nan),
        risk_score=np.array([decision.risk_score for _, decision in decided], dtype=np.float64),
        merchant_probability=np.array([decision.merchant_probability for _, decision in decided], dtype=np.float64),
        disposition=np.array([decision.disposition.value for _, decision in decided], dtype=np.str_),
        baseline_disposition=np.array([disposition.value for disposition in baseline], dtype=np.str_),
        incumbent_disposition=None if live is None else np.array([it.value for it in live], dtype=np.str_),
        groups=_groups([case for case, _ in decided]),
    )


def _groups(cases: list[Case]) -> dict[str, NDArray[np.str_]]:
    """Sort applicants into the groups whose rates are compared; a group is made of what was visible at the door."""
    named = {
        kind: np.array([_said(case, name) for case in cases], dtype=np.str_)
        for kind, name in (("look_alike", "look_alike"), ("regime", "regime"))
    }
    days = np.array([float(_said(case, "tenure_days") or 0) for case in cases])
    return named | {"tenure": np.array(TENURE_BANDS, dtype=np.str_)[np.digitize(days, TENURE_EDGES_DAYS)]}


def _said(case: Case, name: str) -> str:
    witnessed = case.evidence[name]
    return "" if witnessed.is_absent else str(witnessed.value)


def _first_of_each(applications: Applications) -> NDArray[np.bool_]:
    """Keep an account's first application only: a label is about the account, and must not count twice."""
    first = np.zeros(len(applications), dtype=np.bool_)
    first[np.unique(applications.account_ids, return_index=True)[1]] = True
    return first
