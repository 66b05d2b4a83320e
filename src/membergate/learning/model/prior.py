"""The prior: what resale economics alone say about someone, before any label is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, ndtr, ndtri

from membergate.learning.features import CATALOGUE, FeatureTable

MUST_DO_TO_PROFIT = {"D5": 3.0, "A2": 2.0, "B3": 2.0, "E2": 1.5, "H5": 1.5, "H7": 1.5, "D4": 1.5, "C2": 1.5}
"""Weights of what a reseller must do to profit, and so cannot cheaply change; every other risk feature weighs 1."""
ASSUMED_PREVALENCE = 0.08
"""Merchant share among applicants that an unlabelled market is assumed to have."""
ASSUMED_SEPARATION = 1.5
"""Standard deviations by which merchants' prior is assumed to exceed genuine applicants', where no label can tell."""

TYPICAL_LOG_ODDS = float(logit(ASSUMED_PREVALENCE)) - ASSUMED_SEPARATION**2 / 2
"""What these assumptions give the row in the middle."""


@dataclass(frozen=True)
class EconomicPrior:
    """A weighted mean of deviations in the direction of risk, as a rank among the training rows.

    Parameters
    ----------
    weights
        Shape (f,): signed weights, summing to 1 in absolute value; 0 for features without a sense of risk.
    ranks
        Sorted raw scores of the training rows, shape (n_train,): the yardstick of the rank.
    """

    weights: NDArray[np.float64]
    ranks: NDArray[np.float64]

    @classmethod
    def fit(cls, features: tuple[str, ...], deviations: NDArray[np.float64]) -> Self:
        """Weigh the features that carry a sense of risk and remember how the training rows scored."""
        signed = np.array([CATALOGUE[feature].sense * MUST_DO_TO_PROFIT.get(feature, 1.0) for feature in features])
        weights = signed / max(float(np.abs(signed).sum()), 1.0)
        return cls(weights, np.sort(_raw(weights, deviations)))

    def score(self, deviations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give each row's rank among the training rows, shape (n,), strictly inside (0, 1)."""
        return rank_among(self.ranks, _raw(self.weights, deviations))


def rank_among(sorted_reference: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give mid-ranks of values within a sorted reference, strictly inside (0, 1)."""
    below = np.searchsorted(sorted_reference, values, side="left")
    upto = np.searchsorted(sorted_reference, values, side="right")
    return np.asarray(((below + upto) / 2.0 + 0.5) / (sorted_reference.size + 1.0), dtype=np.float64)


def assumed_probability(rank: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn a rank into a probability under stated assumptions (prevalence and separation above); uncalibrated by name.

    Genuine applicants' probit ranks are taken as standard normal and merchants' as shifted by the separation.
    """
    z = ndtri(rank)
    odds = ASSUMED_PREVALENCE / (1 - ASSUMED_PREVALENCE) * np.exp(ASSUMED_SEPARATION * z - ASSUMED_SEPARATION**2 / 2)
    return np.asarray(odds / (1 + odds), dtype=np.float64)


def assumed_rank(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn an assumed probability back into the rank that it belongs to; the inverse of `assumed_probability`."""
    odds = logit(probability) - logit(ASSUMED_PREVALENCE)
    return np.asarray(ndtr((odds + ASSUMED_SEPARATION**2 / 2) / ASSUMED_SEPARATION), dtype=np.float64)


def risk_features(table: FeatureTable) -> tuple[str, ...]:
    """Name the table's features that have a sense of risk."""
    return tuple(feature for feature in table.features if CATALOGUE[feature].sense != 0)


def _raw(weights: NDArray[np.float64], deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    # Only deviations towards risk count: being unusually broad or calm in one respect buys no depth in another.
    # Summed column by column, so that a row scores the same alone as in a batch.
    total = np.zeros(deviations.shape[0])
    for column in range(deviations.shape[1]):
        total += np.maximum(weights[column] * deviations[:, column], 0.0)
    return np.round(total, 12)
