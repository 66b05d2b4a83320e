"""What a candidate is measured on: later applications of operators it never met, decided by it and by its rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from membergate.deciding.policy import Policy, decide
from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint
from membergate.domain.labels import EVALUATING_GRADES, LabelGrade
from membergate.learning.features import FeatureTable
from membergate.learning.model import IdentificationModel, LabelSet, load_model
from membergate.learning.model.labelling import Labelling
from membergate.learning.model.space import TENURE_EDGES_DAYS
from membergate.operations.admission import AdmissionDesk, Case
from membergate.operations.hindsight import find_hindsight
from membergate.operations.history import Applications, History
from membergate.operations.learn import held_out, known_applications, usual_cut
from membergate.operations.ledger import Ledger
from membergate.operations.list_witness import ListWitness
from membergate.operations.policies import STRICT, shipped_policy
from membergate.operations.without_labels import Later
from membergate.operations.witnessing import Look
from membergate.operations.workspace import Workspace
from membergate.verification.gate import UsualSample
from membergate.verification.hindsight import Hindsight
from membergate.verification.losses import WINDOW_DAYS
from membergate.verification.prediction_powered import Population
from membergate.verification.sample import LARGEST_WEIGHT, EvaluationSample, SplitCheck, check_split

Decided = tuple[Case, Decision]

MOST_REGIONS = 10
"""Regions that are told apart, the largest; the others are taken together."""
TENURE_BANDS = ("under 30 days", "30 to 180 days", "over 180 days")


@dataclass(frozen=True)
class Evaluated:
    """What verification looks at.

    Parameters
    ----------
    sample, split
        The labelled applications, and the proof that they are disjoint from what was learned.
    later
        All of them, labelled or not.
    decided
        Everything that was decided, in the order of submission.
    table
        Features of everything that was decided, in the same order.
    hindsight
        Whether anything knew the answer, or the future.
    """

    sample: EvaluationSample
    split: SplitCheck
    later: Later
    decided: tuple[Decided, ...]
    table: FeatureTable
    hindsight: Hindsight

    @property
    def sample_rows(self) -> NDArray[np.int64]:
        """Where the sample's applications stand among everything that was decided, shape (n,)."""
        row_of = {case.application.application_id: row for row, (case, _) in enumerate(self.decided)}
        return np.array([row_of[name] for name in self.sample.application_ids.tolist()], dtype=np.int64)


def measuring_desk(workspace: Workspace, history: History, model_version: str, policy: Policy) -> AdmissionDesk:
    """Set up a desk whose decisions are only counted.

    Memberships since the model was trained are what the old door gave, and left out: each door is measured on what it
    would have given itself.
    """
    model = load_model(workspace.models / model_version)
    ledger = Ledger(history, model.lineage.trained_until)
    lists = ListWitness.now(workspace, history)
    desk = AdmissionDesk(history, model, model_version, policy, ledger=ledger, lists=lists)
    desk.is_explaining = False
    return desk


def evaluate(desk: AdmissionDesk, incumbent: AdmissionDesk | None, end: datetime) -> Evaluated:
    """Decide all later applications (rings compete for their operator cap), then keep whom the model has never met.

    Parameters
    ----------
    desk, incumbent
        The candidate's desk, and that of what is live (None for nothing), which takes over the candidate's ledger.
    end
        Applications up to here; labels and links known by here.
    """
    history, model = desk.history, desk.model
    applications = history.applications(model.lineage.trained_until, end)
    if incumbent is not None:
        incumbent.ledger, incumbent.is_explaining = desk.ledger, False
    by_now = history.links.operators_as_of(end)
    operators = np.array([by_now.get(account, account) for account in applications.account_ids], dtype=np.str_)
    known = LabelSet(history.labels(end))
    who = (applications.account_ids.tolist(), operators.tolist())
    labels = known.lay_sampled(*who).or_else(known.lay(*who).only(EVALUATING_GRADES))
    trained = np.array([by_now.get(account, account) for account in model.lineage.accounts], dtype=np.str_)
    is_unmet = _is_unmet(applications, operators, trained, model)
    look = desk.look(applications)
    decided = tuple(desk.decide_with_evidence(applications, look))
    benefits = benefits_taken(history, applications, end)
    everyone = _arrays(applications, operators, labels, decided, incumbent, benefits)
    sample = everyone.take(np.flatnonzero(is_unmet & labels.is_labelled))
    split = check_split(
        sample,
        trained_until=model.lineage.trained_until,
        labels_until=model.lineage.as_of,
        training_operator_ids=trained,
        training_account_ids=model.lineage.accounts,
    )
    later = _later(applications, look, everyone, labels, decided, is_unmet)
    return Evaluated(sample, split, later, decided, look.table, find_hindsight(history, model, end, decided))


def evenly(rows: Sequence[int], most: int) -> Sequence[int]:
    """Take evenly spread rows, at most so many."""
    return rows[:: max(1, -(-len(rows) // most))]


def unmet(history: History, model: IdentificationModel, applications: Applications) -> Applications:
    """Keep the first application of each account whose operator the model has never met, as of the end of the data."""
    by_now = history.links.operators_as_of(history.last_instant)
    operators = np.array([by_now.get(account, account) for account in applications.account_ids], dtype=np.str_)
    trained = np.array([by_now.get(account, account) for account in model.lineage.accounts], dtype=np.str_)
    return applications.take(_is_unmet(applications, operators, trained, model))


def usual_sample(history: History, model: IdentificationModel, end: datetime) -> UsualSample | None:
    """Count what the probability sample would hold had the model been trained until the usual instant.

    None where it was trained until then or earlier, or where no operator was left out: nothing made the sample small.
    """
    past = known_applications(history, end)
    if not model.lineage.holdout_share or not len(past) or model.lineage.trained_until <= usual_cut(past):
        return None
    past = past.take(past.submitted_at >= np.datetime64(usual_cut(past).replace(tzinfo=None), "us"))
    by_now = history.links.operators_as_of(end)
    operators = np.array([by_now.get(account, account) for account in past.account_ids], dtype=np.str_)
    labels = LabelSet(history.labels(end)).lay_sampled(past.account_ids.tolist(), operators.tolist())
    counted = labels.is_labelled & held_out(operators, model.lineage.holdout_share)
    return UsualSample(
        operators=len(np.unique(operators[counted])),
        merchant_operators=len(np.unique(operators[counted & (labels.is_merchant == 1)])),
    )


def _is_unmet(
    applications: Applications, operators: NDArray[np.str_], trained: NDArray[np.str_], model: IdentificationModel
) -> NDArray[np.bool_]:
    met = ~held_out(operators, model.lineage.holdout_share) | np.isin(operators, trained)
    return np.asarray(~met & _first_of_each(applications), dtype=np.bool_)


def _later(
    applications: Applications,
    look: Look,
    everyone: EvaluationSample,
    labels: Labelling,
    decided: tuple[Decided, ...],
    is_unmet: NDArray[np.bool_],
) -> Later:
    believed = np.array([_believed(case) for case, _ in decided], dtype=np.float64)
    population = Population(
        everyone.operator_ids,
        believed,
        np.minimum(labels.sampling_weight, LARGEST_WEIGHT),
        everyone.is_merchant,
        everyone.disposition,
    )
    rows = np.flatnonzero(is_unmet)
    return Later(
        applications=applications.take(is_unmet),
        table=look.table.take(rows),
        operator_sizes=look.operators.sizes[rows],
        disposition=everyone.disposition[rows],
        risk_score=everyone.risk_score[rows],
        population=population.take(is_unmet),
    )


def _believed(case: Case) -> float:
    """Give the model's probability, calibrated where there is one; estimates stay unbiased with any."""
    for name in ("merchant_probability", "uncalibrated_probability", "risk_score"):
        value = case.evidence[name].value
        if isinstance(value, int | float):
            return float(value)
    return 0.5


def _arrays(
    applications: Applications,
    operators: NDArray[np.str_],
    labels: Labelling,
    decided: tuple[Decided, ...],
    incumbent: AdmissionDesk | None,
    benefits: NDArray[np.float64] | None,
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
        benefit_minor=benefits,
    )


def benefits_taken(history: History, applications: Applications, end: datetime) -> NDArray[np.float64] | None:
    """Sum the benefits that each applicant took in its first 90 days of membership, in minor units, shape (n,).

    NaN for who was no member, and where the 90 days had not passed by the end: half a window is not half an amount.

    Parameters
    ----------
    history
        The market.
    applications
        Whose.
    end
        Nothing later is known.

    Returns
    -------
    numpy.ndarray or None
        None where the market does not tell.
    """
    columns = history.warehouse.columns()
    taken = [
        name for name in ("member_discount_minor", "coupon_discount_minor") if name in columns.get("order_lines", ())
    ]
    if not taken or "memberships" not in columns:
        return None
    amount = " + ".join(f"coalesce(l.{name}, 0)" for name in taken)
    rows = history.connection.execute(
        f"""
        WITH joined AS (
            SELECT account_id, min(started_at) AS since FROM memberships
            WHERE visible_at <= $end GROUP BY account_id HAVING min(started_at) + INTERVAL {WINDOW_DAYS} DAY <= $end
        )
        SELECT j.account_id, any_value(j.since), coalesce(sum({amount}), 0)
        FROM joined AS j LEFT JOIN order_lines AS l ON l.account_id = j.account_id AND l.visible_at <= $end
         AND (l.superseded_at IS NULL OR l.superseded_at > $end)
         AND l.ordered_at >= j.since
         AND l.ordered_at < j.since + INTERVAL {WINDOW_DAYS} DAY
        GROUP BY j.account_id
        """,
        {"end": end.replace(tzinfo=None)},
    ).fetchall()
    found = {account: (np.datetime64(since, "us"), float(minor)) for account, since, minor in rows}
    given = []
    for account, submitted in zip(applications.account_ids.tolist(), applications.submitted_at, strict=True):
        since, minor = found.get(account, (np.datetime64("NaT", "us"), np.nan))
        given.append(max(minor, 0.0) if since >= submitted else np.nan)
    return np.array(given, dtype=np.float64)


def _groups(cases: list[Case]) -> dict[str, NDArray[np.str_]]:
    """Sort applicants into the groups whose rates are compared; a group is made of what was visible at the door."""
    named = {
        kind: np.array([_said(case, name) for case in cases], dtype=np.str_)
        for kind, name in (("look_alike", "look_alike"), ("regime", "regime"), ("region", "region_code"))
    }
    named["region"] = _largest(named["region"])
    days = np.array([float(_said(case, "tenure_days") or 0) for case in cases])
    return named | {"tenure": np.array(TENURE_BANDS, dtype=np.str_)[np.digitize(days, TENURE_EDGES_DAYS)]}


def _largest(regions: NDArray[np.str_]) -> NDArray[np.str_]:
    """Keep the names of the largest regions, and gather the others: many small groups tell nothing apart."""
    names, applications = np.unique(regions[regions != ""], return_counts=True)
    small = np.delete(names, np.argsort(-applications, kind="stable")[:MOST_REGIONS])
    return np.where(np.isin(regions, small), "others", regions)


def _said(case: Case, name: str) -> str:
    witnessed = case.evidence[name]
    return "" if witnessed.is_absent else str(witnessed.value)


def _first_of_each(applications: Applications) -> NDArray[np.bool_]:
    """Keep an account's first application only: a label is about the account, and must not count twice."""
    first = np.zeros(len(applications), dtype=np.bool_)
    first[np.unique(applications.account_ids, return_index=True)[1]] = True
    return first
