"""Labels meet applications: which label speaks for whom, how loudly, and which may evaluate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from membergate.domain.labels import SAMPLED_GRADE, Label, LabelGrade

TRAINING_WEIGHTS = {
    LabelGrade.L4: 1.0,
    LabelGrade.L3: 1.0,
    LabelGrade.L0: 1.5,
    LabelGrade.L2: 0.4,
    LabelGrade.L1: 0.15,
}
"""How loudly a grade speaks in training: upheld appeals are the best hard negatives; rule hits echo ourselves."""
ECHOES = (LabelGrade.L1, LabelGrade.L2)
"""Grades that repeat what a rule said or what nobody contradicted: they weigh as much as reviews confirm them."""
REVIEWS_TO_CONVINCE = 10.0
"""Reviewed accounts at which a grade's own confirmation counts as much as the presumption that it says nothing."""
PRECEDENCE = (LabelGrade.L0, LabelGrade.L4, LabelGrade.L3, LabelGrade.L2, LabelGrade.L1)
"""Where several labels speak about one account, the best founded one counts; an upheld appeal overrides all."""


@dataclass(frozen=True)
class Labelling:
    """Labels laid onto rows.

    Parameters
    ----------
    is_merchant
        Shape (n,), float: 1 merchant, 0 genuine, NaN unlabelled. Unlabelled is not genuine.
    grade
        Shape (n,), text: the grade, or empty.
    propensity
        Shape (n,), float: sampling probability of L3 labels, NaN elsewhere.
    worth
        How loudly each grade speaks in training here.
    """

    is_merchant: NDArray[np.float64]
    grade: NDArray[np.str_]
    propensity: NDArray[np.float64]
    worth: Mapping[LabelGrade, float] = field(default_factory=lambda: TRAINING_WEIGHTS)

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        """Which rows have any label."""
        return np.isfinite(self.is_merchant)

    @property
    def training_weight(self) -> NDArray[np.float64]:
        """How much each row's label weighs in training; 0 for unlabelled rows, and for labels that nothing confirms."""
        weight = np.zeros(self.is_merchant.shape)
        for grade, value in self.worth.items():
            weight[self.grade == grade.value] = value
        return weight

    @property
    def sampling_weight(self) -> NDArray[np.float64]:
        """Inverse propensity of the probability sample (L3), 0 for every other row."""
        sampled = (self.grade == SAMPLED_GRADE.value) & np.isfinite(self.propensity)
        return np.where(sampled, 1.0 / np.where(sampled, self.propensity, 1.0), 0.0)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Labelling:
        """Select rows.

        Parameters
        ----------
        rows
            Mask of shape (n,), or positions.
        """
        return replace(
            self, is_merchant=self.is_merchant[rows], grade=self.grade[rows], propensity=self.propensity[rows]
        )

    def only(self, grades: Collection[LabelGrade]) -> Labelling:
        """Forget labels of any other grade."""
        kept = np.isin(self.grade, [grade.value for grade in grades])
        return replace(
            self,
            is_merchant=np.where(kept, self.is_merchant, np.nan),
            grade=np.where(kept, self.grade, ""),
            propensity=np.where(kept, self.propensity, np.nan),
        )

    def or_else(self, other: Labelling) -> Labelling:
        """Fill unlabelled rows from another labelling of the same rows."""
        mine = self.is_labelled
        return replace(
            self,
            is_merchant=np.where(mine, self.is_merchant, other.is_merchant),
            grade=np.where(mine, self.grade, other.grade),
            propensity=np.where(mine, self.propensity, other.propensity),
        )


class LabelSet:
    """Every label known as of an instant, ready to be laid onto rows.

    Parameters
    ----------
    labels
        Labels already cut at the instant: the caller sees to `decided_at <= as_of`.
    """

    def __init__(self, labels: Iterable[Label]) -> None:
        ordered = sorted(labels, key=_strength)
        self._best: dict[tuple[str, str], Label] = {}
        self._sampled: dict[tuple[str, str], Label] = {}
        for label in ordered:
            key = (label.subject_type, label.subject_id)
            self._best[key] = label
            if label.grade is SAMPLED_GRADE and label.propensity is not None:
                self._sampled[key] = label
        self.worth = TRAINING_WEIGHTS | {grade: self._worth_of(grade, ordered) for grade in ECHOES}

    def __len__(self) -> int:
        return len(self._best)

    def lay(self, account_ids: Sequence[str], operator_ids: Sequence[str]) -> Labelling:
        """Find each row's label: its account's, else its operator's."""
        return self._lay(self._best, account_ids, operator_ids)

    def _worth_of(self, grade: LabelGrade, labels: Iterable[Label]) -> float:
        """Hold a grade against the reviews of the same accounts: what it says beyond the base rate is its worth.

        Without any review nothing can be held against it, and it keeps the weight that it is declared with.
        """
        if not self._sampled:
            return TRAINING_WEIGHTS[grade]
        base = float(np.mean([label.is_merchant for label in self._sampled.values()]))
        accused = {
            (label.subject_type, label.subject_id) for label in labels if label.grade is grade and label.is_merchant
        }
        reviewed = [self._sampled[key].is_merchant for key in sorted(accused & self._sampled.keys())]
        confirmed = (sum(reviewed) + REVIEWS_TO_CONVINCE * base) / (len(reviewed) + REVIEWS_TO_CONVINCE)
        return TRAINING_WEIGHTS[grade] * max(0.0, (confirmed - base) / (1.0 - base)) if base < 1 else 0.0

    def lay_sampled(self, account_ids: Sequence[str], operator_ids: Sequence[str]) -> Labelling:
        """Find each row's label in the probability sample only.

        A sampled account keeps its sampled label even where a better founded one exists: replacing it would make the
        chance of being seen as a merchant depend on being one.
        """
        return self._lay(self._sampled, account_ids, operator_ids)

    def _lay(
        self,
        known: dict[tuple[str, str], Label],
        account_ids: Sequence[str],
        operator_ids: Sequence[str],
    ) -> Labelling:
        found = [
            known.get(("account", account)) or known.get(("operator", operator))
            for account, operator in zip(account_ids, operator_ids, strict=True)
        ]
        return Labelling(
            is_merchant=np.array([np.nan if label is None else float(label.is_merchant) for label in found]),
            grade=np.array(["" if label is None else label.grade.value for label in found], dtype=np.str_),
            propensity=np.array(
                [np.nan if label is None or label.propensity is None else label.propensity for label in found],
            ),
            worth=self.worth,
        )


def _strength(label: Label) -> tuple[int, float, str, bool]:
    """Sort key: later in the order wins. Ties go to the newest, then to the text, so that input order is irrelevant."""
    return (-PRECEDENCE.index(label.grade), label.decided_at.timestamp(), label.source, label.is_merchant)
