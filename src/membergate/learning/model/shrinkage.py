"""Shrinkage: whoever has shown little is told from newcomers by little.

A score that rests on no orders says how newcomers are, not how this one is; left alone it ranks people without any
history as the safest of all, because nothing speaks against them, and the merchants among them leak first. So a
probability is a mean of what the head says, weighted by the orders behind it, and of the newcomers' own merchant share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from membergate.learning.model.labelling import Labelling
from membergate.learning.model.parts import Parts
from membergate.learning.model.prior import ASSUMED_PREVALENCE

Floats = NDArray[np.float64]

NEWCOMER_ORDERS = 2.0
"""Whoever has at most so many visible orders counts as a newcomer."""
OWN_ORDERS = 0.5
"""What is known without any order (device, network, application) weighs like this many."""
NEWCOMERS_WEIGHT = 1.0
"""The newcomers' share weighs like this many orders."""
LABELS_TO_CONVINCE = 200.0
"""Labelled newcomers at which their own share counts as much as everybody's."""
LABELS_TO_START = 20.0
"""Labels at which the observed share counts as much as the assumed prevalence."""
_NEVER_CERTAIN = 1e-9


@dataclass(frozen=True)
class Shrinkage:
    """Towards the merchant share of newcomers.

    Parameters
    ----------
    newcomer_share
        In (0, 1).
    weight
        How many orders it weighs; 0 shrinks nobody.
    """

    newcomer_share: float = ASSUMED_PREVALENCE
    weight: float = NEWCOMERS_WEIGHT

    @classmethod
    def of(cls, parts: Parts) -> Self:
        """Assume what can be assumed without labels."""
        return cls(weight=NEWCOMERS_WEIGHT if parts.shrinkage else 0.0)

    @classmethod
    def fit(cls, labels: Labelling, orders: Floats, parts: Parts) -> Self:
        """Estimate the newcomers' share, drawn towards everybody's, and that towards the assumed prevalence.

        Parameters
        ----------
        labels
            What is known of n rows, weighted as in training, so that the share is on the head's scale.
        orders
            Shape (n,): visible orders.
        parts
            Whether to shrink at all.
        """
        weight = labels.training_weight
        merchant = np.where(weight > 0, weight * np.nan_to_num(labels.is_merchant), 0.0)
        share = (merchant.sum() + LABELS_TO_START * ASSUMED_PREVALENCE) / (weight.sum() + LABELS_TO_START)
        new = orders <= NEWCOMER_ORDERS
        found = (merchant[new].sum() + LABELS_TO_CONVINCE * share) / (weight[new].sum() + LABELS_TO_CONVINCE)
        return cls(round(float(found), 9), cls.of(parts).weight)

    def probability(self, probability: Floats, orders: Floats) -> Floats:
        """Shrink probabilities of any shape that ends in `orders`' shape (n,)."""
        own = orders + OWN_ORDERS
        return np.asarray((own * probability + self.weight * self.newcomer_share) / (own + self.weight))

    def margin(self, margin: Floats, orders: Floats) -> Floats:
        """Shrink log-odds, shape as `probability`."""
        return np.asarray(logit(np.clip(self.probability(expit(margin), orders), _NEVER_CERTAIN, 1 - _NEVER_CERTAIN)))
