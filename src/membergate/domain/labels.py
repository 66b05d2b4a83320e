"""Labels: who turned out to be what, how well we know it, and what it may be used for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LabelGrade(StrEnum):
    """How well a label is founded."""

    L0 = "L0"
    """An appeal upheld or a verified false alarm: the best hard negatives."""
    L1 = "L1"
    """A rule, model or vendor hit: circular, never used to evaluate."""
    L2 = "L2"
    """A penalty not appealed, or an appeal rejected: a closed loop."""
    L3 = "L3"
    """Two reviewers agree (or a third decides) on a probability sample."""
    L4 = "L4"
    """Proof of resale, or self-declaration."""


EVALUATING_GRADES = frozenset({LabelGrade.L0, LabelGrade.L3, LabelGrade.L4})
"""Grades that may evaluate. Only L3 is a probability sample, so only L3 gives unbiased rates."""
SAMPLED_GRADE = LabelGrade.L3


@dataclass(frozen=True, slots=True)
class Label:
    """One statement that a subject is a merchant or genuine.

    Parameters
    ----------
    subject_type
        `account` or `operator`.
    subject_id
        The subject's id.
    is_merchant
        Whether it joins to resell.
    grade
        How well the statement is founded.
    source
        Who said it.
    decided_at
        When it became known, aware and in UTC.
    propensity
        The probability with which the subject was sampled for review, in (0, 1]; None where it was no sample.
    """

    subject_type: str
    subject_id: str
    is_merchant: bool
    grade: LabelGrade
    source: str
    decided_at: datetime
    propensity: float | None = None


def latest_reviews(labels: Iterable[Label]) -> dict[str, Label]:
    """Give each account's latest review by a known chance, by account: what unbiased rates are made of.

    Parameters
    ----------
    labels
        In any order; of two at one instant the one whose source comes later in the alphabet counts.
    """
    drawn = [
        label
        for label in labels
        if label.grade is SAMPLED_GRADE and label.propensity is not None and label.subject_type == "account"
    ]
    return {label.subject_id: label for label in sorted(drawn, key=lambda label: (label.decided_at, label.source))}
