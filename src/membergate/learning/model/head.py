"""The supervised head: boosted trees that treat unlabelled applicants as unlabelled.

Positive-unlabelled learning by expectation and maximisation: an unlabelled row enters twice, as a merchant with weight
p and as genuine with weight 1 - p, where p is what the previous round believes of it; the first round believes the
economic prior. With no reviewed genuine account at all this is the only source of the genuine class; with a review
sample it is a gentle regulariser. (Elkan and Noto, KDD 2008, 10.1145/1401890.1401920, section 3 weighs likewise.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import lightgbm
import numpy as np
from numpy.typing import NDArray

from membergate.learning.model.labelling import Labelling

FOLDS = 5
ROUNDS_OF_BELIEF = 2
UNLABELLED_MASS = 0.2
"""All unlabelled rows together weigh at most this share of the labelled ones' weight."""
UNLABELLED_WEIGHT = 0.3
"""One unlabelled row weighs at most this."""
FEWEST_MERCHANTS = 10
"""Labelled merchants below which a head would only echo noise."""
TREES = 150
_PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 12,
    "min_sum_hessian_in_leaf": 2.0,
    "min_data_in_leaf": 20,
    "lambda_l2": 5.0,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "monotone_constraints_method": "intermediate",
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # trees of this size gain nothing from a second thread, and threads that wait spin
    "verbosity": -1,
}


@dataclass(frozen=True)
class SupervisedHead:
    """Boosters of operator-disjoint folds; their mean margin speaks, their spread is the uncertainty.

    Parameters
    ----------
    boosters
        One for each fold, trained without it.
    columns
        Names of the inputs, shape (f,).
    ranks
        Sorted out-of-fold margins of the training rows, shape (n,): the yardstick of a margin that nothing calibrates.
    """

    boosters: tuple[lightgbm.Booster, ...]
    columns: tuple[str, ...]
    ranks: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        inputs: NDArray[np.float64],
        columns: tuple[str, ...],
        senses: tuple[int, ...],
        labels: Labelling,
        belief: NDArray[np.float64],
        folds: NDArray[np.int64],
        seed: int,
    ) -> tuple[Self, NDArray[np.float64]] | None:
        """Train one booster a fold.

        Parameters
        ----------
        inputs
            Shape (n, f), NaN where absent.
        columns, senses
            Names, and +1 / -1 / 0: in which direction an input may move the risk.
        labels
            What is known.
        belief
            Shape (n,): the prior's probability for each row, used for unlabelled rows only.
        folds
            Shape (n,): fold of each row in [0, 5); no operator is in two.
        seed
            Makes training repeatable.

        Returns
        -------
        tuple or None
            The head and out-of-fold margins of shape (n,); None with too few labelled merchants.
        """
        merchants = (labels.training_weight > 0) & (labels.is_merchant == 1)
        if int(merchants.sum()) < FEWEST_MERCHANTS or len(set(folds[merchants].tolist())) < 2:  # noqa: PLR2004 - one to learn, one to judge
            return None
        boosters = []
        margins = np.zeros(inputs.shape[0])
        for fold in range(FOLDS):
            outside = folds != fold
            booster = _train(inputs[outside], columns, senses, labels.take(outside), belief[outside], seed + fold)
            boosters.append(booster)
            if not outside.all():
                margins[~outside] = booster.predict(inputs[~outside], raw_score=True)
        return cls(tuple(boosters), columns, np.sort(margins)), margins

    def margins(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give every booster's margin (log-odds before calibration), shape (folds, n)."""
        if inputs.shape[0] == 0:
            return np.zeros((len(self.boosters), 0))
        return np.stack([np.asarray(booster.predict(inputs, raw_score=True)) for booster in self.boosters])

    def contributions(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Split the mean margin over the inputs by Shapley values.

        Returns
        -------
        ndarray of shape (n, f + 1)
            The last column is the expectation; a row sums to the mean margin.
        """
        if inputs.shape[0] == 0:
            return np.zeros((0, len(self.columns) + 1))
        total = np.zeros((inputs.shape[0], len(self.columns) + 1))
        for booster in self.boosters:
            total += np.asarray(booster.predict(inputs, pred_contrib=True))
        return total / len(self.boosters)


def _train(
    inputs: NDArray[np.float64],
    columns: tuple[str, ...],
    senses: tuple[int, ...],
    labels: Labelling,
    belief: NDArray[np.float64],
    seed: int,
) -> lightgbm.Booster:
    known = labels.training_weight > 0
    weight = labels.training_weight[known]
    hidden = inputs[~known]
    each = min(UNLABELLED_WEIGHT, UNLABELLED_MASS * float(weight.sum()) / max(hidden.shape[0], 1))
    if not (labels.is_merchant[known] == 0).any():
        each = UNLABELLED_WEIGHT  # nobody is known to be genuine: the unlabelled are all there is to tell them from
    x = np.concatenate([inputs[known], hidden, hidden])
    y = np.concatenate([labels.is_merchant[known], np.ones(hidden.shape[0]), np.zeros(hidden.shape[0])])
    p = belief[~known]
    for _ in range(ROUNDS_OF_BELIEF - 1):
        believer = _boost(x, y, np.concatenate([weight, each * p, each * (1 - p)]), columns, senses, seed)
        p = np.asarray(believer.predict(hidden)) if hidden.shape[0] else p
    return _boost(x, y, np.concatenate([weight, each * p, each * (1 - p)]), columns, senses, seed)


def _boost(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    weight: NDArray[np.float64],
    columns: tuple[str, ...],
    senses: tuple[int, ...],
    seed: int,
) -> lightgbm.Booster:
    data = lightgbm.Dataset(x, label=y, weight=weight, feature_name=list(columns), params={"verbosity": -1})
    parameters = _PARAMETERS | {"seed": seed, "monotone_constraints": list(senses)}
    return lightgbm.train(parameters, data, num_boost_round=TREES)
