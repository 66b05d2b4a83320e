"""Additive log-odds: one piecewise-linear curve a column, monotone where the domain is sure, drawn towards the prior.

The log-odds of being a merchant are an intercept, a multiple of the prior's log-odds, and the sum of one curve a
column. A curve is 0 at a typical peer, straight between fixed knots, and constant beyond the last; where a column has a
sense of risk its curve may only rise (or fall) with it. A missing value has a level of its own. With few labels a
Gaussian prior on the slopes keeps the curves flat, so that the prior speaks; each label bends them.

Curves rather than trees: `benchmarks/identify.py` holds tuned boosted trees on the same features beside them, and what
a curve adds is its contribution, exactly (docs/decisions/additive-head.md).

References
----------
Hastie and Tibshirani (1986), Generalized additive models, Statistical Science 1(3), 10.1214/ss/1177013604.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.float64]

KNOTS = np.array([-6.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.5, 6.0])
"""Where curves may bend, in robust deviations from the peers; denser where most people are."""
STIFFNESS = 6.0
"""Precision of the Gaussian prior on each slope of a curve and on each missing value's level."""
FAITH = 4.0
"""Precision of the belief that the prior's log-odds count once."""
LOOSENESS = 0.04
"""Precision of the prior on the intercept: nearly free."""
_ITERATIONS = 300
_DIGITS = 9


@dataclass(frozen=True)
class AdditiveLogit:
    """Fitted curves.

    Parameters
    ----------
    curves
        Shape (f, 8): each column's curve at the knots.
    absent
        Shape (f,): what a missing value adds.
    intercept
        Log-odds of a typical peer.
    faith
        How often the prior's log-odds count, at least 0.
    """

    curves: Floats
    absent: Floats
    intercept: float
    faith: float

    @classmethod
    def fit(
        cls,
        inputs: Floats,
        target: Floats,
        weight: Floats,
        prior_margin: Floats,
        typical: float,
        senses: tuple[int, ...],
    ) -> Self:
        """Maximise the penalised likelihood under the senses; the problem is convex, so there is one answer.

        Parameters
        ----------
        inputs
            Shape (n, f), robust deviations; NaN where missing.
        target
            Shape (n,), in [0, 1]: how much of a merchant each row is taken for.
        weight
            Shape (n,), at least 0.
        prior_margin
            Shape (n,): log-odds before any label, less those of a typical peer.
        typical
            Log-odds of a typical peer before any label.
        senses
            Length f: +1 / -1 where the risk may only rise / fall with the column, 0 where it may do either.
        """
        rises, missing = _basis(inputs)
        width = rises.shape[1]
        design = np.column_stack([rises, missing, np.ones(len(target)), prior_margin])
        precision = np.r_[np.full(design.shape[1] - 2, STIFFNESS), LOOSENESS, FAITH]
        centre = np.r_[np.zeros(design.shape[1] - 2), typical, 1.0]
        sense = np.repeat(np.asarray(senses), len(KNOTS) - 1)
        low = np.full(design.shape[1], -np.inf)
        high = np.full(design.shape[1], np.inf)
        low[:width][sense > 0] = 0.0
        high[:width][sense < 0] = 0.0
        low[-1] = 0.0

        def loss(at: Floats) -> tuple[float, Floats]:
            margin = design @ at
            pull = precision * (at - centre)
            error = weight * (expit(margin) - target)
            value = float(weight @ (np.logaddexp(0.0, margin) - target * margin)) + 0.5 * float(pull @ (at - centre))
            return value, design.T @ error + pull

        found = minimize(
            loss, centre, jac=True, method="L-BFGS-B", bounds=list(zip(low, high, strict=True)),
            options={"maxiter": _ITERATIONS},
        ).x  # fmt: skip
        # Rounded, so that the last bits of an optimiser never decide about anyone.
        found = np.round(found, _DIGITS)
        slopes = found[:width].reshape(len(senses), len(KNOTS) - 1)
        return cls(_from_zero(slopes), found[width:-2], float(found[-2]), float(found[-1]))

    def contributions(self, inputs: Floats, prior_margin: Floats) -> Floats:
        """Give what each column, and last the prior, adds to a row's log-odds.

        Returns
        -------
        ndarray of shape (n, f + 1)
            With the intercept a row sums to its margin.
        """
        added = np.empty((inputs.shape[0], inputs.shape[1] + 1))
        for column, curve in enumerate(self.curves):
            seen = inputs[:, column]
            is_missing = np.isnan(seen)
            value = np.interp(np.where(is_missing, 0.0, seen), KNOTS, curve)
            added[:, column] = np.where(is_missing, self.absent[column], value)
        added[:, -1] = self.faith * prior_margin
        return added

    def margin(self, inputs: Floats, prior_margin: Floats) -> Floats:
        """Give each row's log-odds, shape (n,); summed column by column, so that a row scores alone as in a batch."""
        return self.summed(self.contributions(inputs, prior_margin))

    def summed(self, contributions: Floats) -> Floats:
        """Give the log-odds that contributions of shape (n, f + 1) come to, shape (n,)."""
        total = np.full(contributions.shape[0], self.intercept)
        for column in range(contributions.shape[1]):
            total += contributions[:, column]
        return total


def _basis(inputs: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Give the part of each stretch between knots that a value covers, signed from 0, and where values are missing."""
    missing = np.isnan(inputs)
    values = np.where(missing, 0.0, inputs)
    stretches = [np.clip(values, start, end) - np.clip(0.0, start, end) for start, end in pairwise(KNOTS)]
    return np.stack(stretches, axis=2).reshape(inputs.shape[0], inputs.shape[1] * len(stretches)), missing


def _from_zero(slopes: Floats) -> Floats:
    """Turn slopes of shape (f, 7) into heights at the knots of shape (f, 8), 0 at the typical peer."""
    heights = np.concatenate([np.zeros((slopes.shape[0], 1)), np.cumsum(slopes * np.diff(KNOTS), axis=1)], axis=1)
    return np.asarray(heights - heights[:, KNOTS == 0.0])
