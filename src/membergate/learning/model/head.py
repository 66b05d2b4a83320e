"""The supervised head: additive models of operator-disjoint folds, learned from few and unequal labels.

Positive-unlabelled learning by expectation and maximisation: an unlabelled row enters as so much of a merchant as the
previous round believes of it; the first round believes the prior. With no reviewed genuine account at all this is the
only source of the genuine class; with a review sample it is a gentle regulariser. (Elkan and Noto, KDD 2008,
10.1145/1401890.1401920, section 3 weighs likewise.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from membergate.learning.features import CATALOGUE, FeatureTable
from membergate.learning.model.additive import AdditiveLogit, Floats
from membergate.learning.model.groundwork import Sight
from membergate.learning.model.labelling import Labelling
from membergate.learning.model.parts import Parts
from membergate.learning.model.prior import TYPICAL_LOG_ODDS, assumed_probability
from membergate.learning.model.shrinkage import Shrinkage

FOLDS = 5
ROUNDS_OF_BELIEF = 2
UNLABELLED_MASS = 0.2
"""All unlabelled rows together weigh at most this share of the labelled ones' weight."""
UNLABELLED_WEIGHT = 0.3
"""One unlabelled row weighs at most this."""
MOST_UNLABELLED = 20_000
"""Unlabelled rows that take part at most, evenly spread: they weigh little, and cost as much as others."""
FEWEST_MERCHANTS = 3
"""Labelled merchants below which a head would only echo noise."""


MASS_COLUMNS = {"orders": (5.0, 1.2), "history_days": (90.0, 1.5), "tenure_days": (180.0, 1.5)}
"""Context that the head sees beside the features: how much there is to judge by. It has no sense of risk. Each comes
with what counts as typical and the spread of its logarithm, so that it is on the features' scale."""


@dataclass(frozen=True)
class HeadInputs:
    """What the head sees of n rows.

    Parameters
    ----------
    columns
        Shape (n, f): deviations of the features, NaN where absent, and of the mass columns.
    prior_margin
        Shape (n,): log-odds by resale economics alone, less those of the row in the middle.
    orders
        Shape (n,): visible orders.
    """

    columns: Floats
    prior_margin: Floats
    orders: Floats

    @classmethod
    def of(cls, table: FeatureTable, sight: Sight, parts: Parts) -> Self:
        """Collect them from a feature table and what the groundwork saw of it."""
        absent = ~np.isfinite(table.values)
        mass = [
            (np.log1p(table.context[name].astype(np.float64)) - np.log1p(typical)) / spread
            for name, (typical, spread) in MASS_COLUMNS.items()
        ]
        columns = np.column_stack([np.where(absent, np.nan, sight.deviations), *mass])
        prior = (logit(assumed_probability(sight.prior)) - TYPICAL_LOG_ODDS) * parts.prior
        return cls(columns, prior, table.context["orders"].astype(np.float64))

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> HeadInputs:
        """Select rows by mask or position."""
        return HeadInputs(self.columns[rows], self.prior_margin[rows], self.orders[rows])


@dataclass(frozen=True)
class SupervisedHead:
    """One additive model a fold, learned without it; their mean speaks, their spread is the uncertainty.

    Parameters
    ----------
    members
        One for each fold.
    shrinkage
        Towards newcomers, for whoever has shown little.
    columns
        Names of what adds to a margin: features, mass columns, the prior, and little history, shape (f + 2,).
    ranks
        Sorted out-of-fold margins of the training rows, shape (n,): the yardstick of a margin that nothing calibrates.
    """

    members: tuple[AdditiveLogit, ...]
    shrinkage: Shrinkage
    columns: tuple[str, ...]
    ranks: Floats

    @classmethod
    def fit(
        cls,
        inputs: HeadInputs,
        features: tuple[str, ...],
        labels: Labelling,
        folds: NDArray[np.int64],
        parts: Parts,
    ) -> tuple[Self, Floats] | None:
        """Train one member a fold.

        Parameters
        ----------
        inputs
            What there is to see of n rows.
        features
            Ids of the features, whose senses of risk hold the curves.
        labels
            What is known.
        folds
            Shape (n,): fold of each row in [0, 5); no operator is in two.
        parts
            Which parts are in use.

        Returns
        -------
        tuple or None
            The head and out-of-fold margins of shape (n,); None with too few labelled merchants.
        """
        merchants = (labels.training_weight > 0) & (labels.is_merchant == 1)
        if int(merchants.sum()) < FEWEST_MERCHANTS or len(set(folds[merchants].tolist())) < 2:  # noqa: PLR2004 - one to learn, one to judge
            return None
        senses = (*(CATALOGUE[feature].sense * parts.senses for feature in features), *(0 for _ in MASS_COLUMNS))
        shrinkage = Shrinkage.fit(labels, inputs.orders, parts)
        members = []
        margins = np.zeros(inputs.orders.size)
        for fold in range(FOLDS):
            outside = folds != fold
            member = _train(inputs.take(outside), senses, labels.take(outside))
            members.append(member)
            margins[~outside] = _margin(member, inputs.take(~outside))
        margins = shrinkage.margin(margins, inputs.orders)
        columns = (*features, *MASS_COLUMNS, "economic_prior", "little_history")
        return cls(tuple(members), shrinkage, columns, np.sort(margins)), margins

    def judge(self, inputs: HeadInputs) -> tuple[Floats, Floats]:
        """Give log-odds before calibration, and what they are made of.

        Returns
        -------
        tuple of ndarray
            The mean member's margin first, then every member's, shape (1 + folds, n); and the mean margin, less the
            intercept, split over the columns exactly, shape (n, f + 2).
        """
        each = [member.contributions(inputs.columns, inputs.prior_margin) for member in self.members]
        own = np.stack([member.summed(added) for member, added in zip(self.members, each, strict=True)])
        mean = own.mean(axis=0)
        margins = self.shrinkage.margin(np.concatenate([mean[None], own]), inputs.orders)
        split = sum(each[1:], start=each[0]) / len(each)
        return margins, np.column_stack([split, margins[0] - mean])


def _margin(member: AdditiveLogit, inputs: HeadInputs) -> Floats:
    return member.margin(inputs.columns, inputs.prior_margin)


def _train(inputs: HeadInputs, senses: tuple[int, ...], labels: Labelling) -> AdditiveLogit:
    weight = labels.training_weight
    known = np.flatnonzero(weight > 0)
    hidden = np.flatnonzero(weight <= 0)
    hidden = hidden[:: max(1, -(-hidden.size // MOST_UNLABELLED))]
    each = min(UNLABELLED_WEIGHT, UNLABELLED_MASS * float(weight[known].sum()) / max(hidden.size, 1))
    if not (labels.is_merchant[known] == 0).any():
        each = UNLABELLED_WEIGHT  # nobody is known to be genuine: the unlabelled are all there is to tell them from
    rows = inputs.take(np.r_[known, hidden])
    weights = np.r_[weight[known], np.full(hidden.size, each)]
    belief = expit(inputs.prior_margin[hidden] + TYPICAL_LOG_ODDS)
    for _ in range(ROUNDS_OF_BELIEF):
        target = np.r_[labels.is_merchant[known], belief]
        member = AdditiveLogit.fit(rows.columns, target, weights, rows.prior_margin, TYPICAL_LOG_ODDS, senses)
        belief = expit(_margin(member, inputs.take(hidden)))
    return member
