"""What is weighed beside rates: net value in the policy's own economics, what becomes of rings, and friction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from membergate.deciding.policy import Policy, hear
from membergate.domain.disposition import LADDERS, Checkpoint, Disposition
from membergate.operations.evaluation import Decided, Evaluated, benefits_taken
from membergate.operations.history import History
from membergate.verification.card import Friction
from membergate.verification.net_value import NetValueRow, Worth, measure_net_value
from membergate.verification.rings import Company, Rings, measure_rings

_A_THOUSAND = 1_000.0


def net_value(policy: Policy, evaluated: Evaluated, *, seed: int) -> tuple[NetValueRow, ...]:
    """Weigh the candidate beside other ways to decide; empty where the policy states no economics.

    Parameters
    ----------
    policy
        The policy that is verified; its economics are those of every way.
    evaluated
        What was decided, and the labelled sample of it.
    seed
        Seed of the bootstrap.
    """
    if policy.economics is None or not len(evaluated.sample):
        return ()
    decided = [evaluated.decided[row] for row in evaluated.sample_rows.tolist()]
    return measure_net_value(evaluated.sample, _worth(policy, decided, evaluated.sample.is_merchant), seed=seed)


def _worth(policy: Policy, decided: Sequence[Decided], is_merchant: np.ndarray) -> Worth:
    """Give what each disposition is worth about each applicant; where no lane is offered, going there is a refusal."""
    values = [
        hear(policy.at(decision.as_of), Checkpoint.ADMISSION, case.evidence).realised_values(is_merchant=merchant)
        for (case, decision), merchant in zip(decided, is_merchant.tolist(), strict=True)
    ]
    return {
        disposition: np.array([each.get(disposition, each[Disposition.DENY]) for each in values])
        for disposition in LADDERS[Checkpoint.ADMISSION]
    }


def rings(history: History, evaluated: Evaluated, end: datetime, *, seed: int) -> Rings:
    """Measure what becomes of known rings, among everybody who applied later and whom the model never met.

    Parameters
    ----------
    history
        The market, for the benefits that were taken.
    evaluated
        What was decided.
    end
        Nothing later is known.
    seed
        Seed of the bootstrap.
    """
    later, sample = evaluated.later, evaluated.sample
    cluster_of = {case.application.application_id: case.evidence["cluster_id"] for case, _ in evaluated.decided}
    clusters = [cluster_of[name] for name in later.applications.application_ids.tolist()]
    company = Company(
        operator_ids=later.population.operator_ids,
        is_known_merchant=np.isin(later.applications.account_ids, sample.account_ids[sample.is_merchant]),
        disposition=later.disposition,
        cluster_ids=np.array(["" if said.is_absent else str(said.value) for said in clusters], dtype=np.str_),
        benefit_minor=benefits_taken(history, later.applications, end),
    )
    return measure_rings(sample, company, seed=seed)


def friction(policy: Policy, decided: Sequence[Decided]) -> Friction | None:
    """Count what the door asks of a thousand applicants, and of its reviewers; None where nobody was decided."""
    if not decided:
        return None
    counts = Counter(decision.disposition for _, decision in decided)
    per_thousand = {each.value: _A_THOUSAND * counts[each] / len(decided) for each in LADDERS[Checkpoint.ADMISSION]}
    review = policy.economics.review if policy.economics is not None else None
    days = (decided[-1][1].as_of - decided[0][1].as_of) / timedelta(days=1) * _A_THOUSAND / len(decided)
    minutes = capacity = None
    if review is not None and review.minutes is not None:
        minutes = per_thousand[Disposition.REVIEW.value] * review.minutes
    if review is not None and review.capacity_minutes_per_day is not None:
        capacity = days * review.capacity_minutes_per_day
    return Friction(len(decided), per_thousand, minutes, capacity)
