"""What goes with a verification's figures: the model card, what hangs on the door, and whether reviewers agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta

import numpy as np

from membergate.deciding.policy import Policy, Refusal
from membergate.domain.decision import Decision
from membergate.domain.disposition import Disposition
from membergate.domain.instants import format_instant
from membergate.domain.labels import SAMPLED_GRADE
from membergate.learning.features import CATALOGUE
from membergate.learning.model import IdentificationModel
from membergate.operations.admission import Case
from membergate.operations.history import History
from membergate.operations.without_labels import Later
from membergate.verification.card import CardFeature, Materiality, ModelCard
from membergate.verification.reviewers import Opinion, ReviewerAgreement, measure_reviewers

_DAYS_A_YEAR = 365.0


def model_card(model: IdentificationModel, later: Later) -> ModelCard:
    """Write a model's card, with what was absent among those it was evaluated on."""
    values = later.table.values
    absent = np.isnan(values).mean(axis=0) if len(values) else np.zeros(len(model.features))
    read = [CATALOGUE[feature] for feature in model.features]
    parts = model.settings.parts
    return ModelCard(
        features=tuple(
            CardFeature(
                feature.id, feature.name, feature.rationale, int(feature.sense or 0), tuple(feature.harms), float(share)
            )
            for feature, share in zip(read, absent, strict=True)
        ),
        excluded=tuple(feature for feature in CATALOGUE if feature not in model.features),
        learned_accounts=len(model.lineage.accounts),
        trained_until=format_instant(model.lineage.trained_until),
        known_at=format_instant(model.lineage.as_of),
        holdout_share=model.lineage.holdout_share,
        is_calibrated=model.is_calibrated,
        has_head=model.head is not None,
        parts_left_out=tuple(part.name for part in fields(parts) if not getattr(parts, part.name)),
        notes=model.notes,
    )


def materiality(policy: Policy, decided: Sequence[tuple[Case, Decision]], merchant_share: float | None) -> Materiality:
    """Say what hangs on a door: whom it may keep out by itself, and the money of a year's applicants.

    Parameters
    ----------
    policy
        The policy that is verified.
    decided
        The applications that it has decided, in the order of submission.
    merchant_share
        Estimated share of merchants among all applicants, in [0, 1]; None where unknown.
    """
    economics = policy.economics
    days = (decided[-1][1].as_of - decided[0][1].as_of) / timedelta(days=1) if decided else 0.0
    a_year = len(decided) * _DAYS_A_YEAR / days if days else 0.0
    keeps_out = economics is not None or any(rule.at_least is Disposition.DENY for rule in policy.rules)
    loss = None if economics is None else economics.merchant_loss_minor
    return Materiality(
        tier="low" if not keeps_out else "high" if policy.refusal is Refusal.AUTOMATIC else "medium",
        applications_a_year=a_year,
        value_minor=None if economics is None else economics.genuine_value_minor,
        loss_minor=loss,
        at_stake_minor=None if loss is None or merchant_share is None else a_year * merchant_share * loss,
        operator_cap=policy.operator_cap,
        currency="" if economics is None else economics.currency,
    )


def reasons_of(decided: Sequence[tuple[Case, Decision]]) -> dict[str, tuple[str, ...]]:
    """Give each application's reason codes, strongest first."""
    return {case.application.application_id: tuple(decision.reason_codes) for case, decision in decided}


def reviewer_agreement(history: History, end: datetime, *, seed: int) -> ReviewerAgreement:
    """Compare reviewers who judged the same account: labels of grade L3 by several sources, known by an instant."""
    by_now = history.links.operators_as_of(end)
    reviews = [
        label for label in history.labels(end) if label.grade is SAMPLED_GRADE and label.subject_type == "account"
    ]
    reviews.sort(key=lambda label: (label.decided_at, label.source))
    return measure_reviewers(
        [
            Opinion(label.subject_id, by_now.get(label.subject_id, label.subject_id), label.source, label.is_merchant)
            for label in reviews
        ],
        seed=seed,
    )
