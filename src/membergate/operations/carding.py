"""What goes with a verification's figures: the model card, and whether reasons and ways out hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime

import numpy as np

from membergate.deciding.policy import Policy, counterfactual, decide
from membergate.domain.decision import Decision
from membergate.domain.disposition import FULL_ADMISSIONS, Checkpoint
from membergate.domain.instants import format_instant
from membergate.domain.labels import SAMPLED_GRADE
from membergate.learning.features import CATALOGUE
from membergate.learning.model import IdentificationModel
from membergate.operations.admission import Case, draw
from membergate.operations.history import History
from membergate.operations.without_labels import Later
from membergate.verification.card import CardFeature, Explanations, ModelCard
from membergate.verification.reviewers import Opinion, ReviewerAgreement, measure_reviewers

MOST_ASKED = 200
"""Decisions whose explanations are tried at most: finding a way out costs most of a decision."""


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


def try_explanations(policy: Policy, decided: Sequence[tuple[Case, Decision]]) -> Explanations:
    """Take evenly spread decisions short of full admission, and hold their reasons and ways out to their word.

    A way out is valid if the same evidence with its one change, decided again, gives just the answer that it names.
    """
    asked = [(case, decision) for case, decision in decided if decision.disposition not in FULL_ADMISSIONS]
    asked = asked[:: max(1, -(-len(asked) // MOST_ASKED))]
    named = valid = 0
    for case, decision in asked:
        at = policy.at(decision.as_of)
        lottery, snoozed = draw(case.operator_id, at), at.snoozed_for(decision.account_id, decision.as_of)
        said = decide(at, Checkpoint.ADMISSION, case.evidence, lottery=lottery, snoozed=snoozed)
        way_out = counterfactual(at, Checkpoint.ADMISSION, case.evidence, said, lottery=lottery, snoozed=snoozed)
        if way_out is not None:
            named += 1
            moved = case.evidence | {way_out.evidence: replace(case.evidence[way_out.evidence], value=way_out.needed)}
            again = decide(at, Checkpoint.ADMISSION, moved, lottery=lottery, snoozed=snoozed)
            valid += again.disposition is way_out.disposition
    return Explanations(len(asked), sum(bool(decision.reason_codes) for _, decision in asked), named, valid)


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
