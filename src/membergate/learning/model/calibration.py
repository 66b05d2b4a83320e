"""Calibration: from a margin to a merchant probability, on the probability sample only.

Platt's two-parameter sigmoid, with his smoothed targets (Platt 1999; Lin, Lin and Weng, Machine Learning 68, 2007,
10.1007/s10994-007-5018-6) and inverse-propensity weights. Isotonic regression needs more reviewed merchants than a
shop has in its first months, and is flat exactly where thresholds lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

FEWEST_OF_A_KIND = 10
"""Reviewed merchants, and reviewed genuine accounts, below which no probability is called calibrated."""


@dataclass(frozen=True)
class SigmoidCalibration:
    """p = sigmoid(slope x margin + intercept), slope > 0.

    Parameters
    ----------
    slope, intercept
        The two parameters.
    merchants, genuine
        Reviewed accounts that they rest on.
    """

    slope: float
    intercept: float
    merchants: int
    genuine: int

    @classmethod
    def fit(
        cls,
        margin: NDArray[np.float64],
        is_merchant: NDArray[np.float64],
        weight: NDArray[np.float64],
    ) -> Self | None:
        """Fit on rows with a positive weight; None where the sample holds too few of either kind.

        Parameters
        ----------
        margin
            Shape (n,): out-of-fold margins.
        is_merchant
            Shape (n,): 1, 0, NaN.
        weight
            Shape (n,): inverse propensity, 0 for rows outside the probability sample.
        """
        used = (weight > 0) & np.isfinite(is_merchant)
        x, y, w = margin[used], is_merchant[used], weight[used]
        merchants, genuine = int((y == 1).sum()), int((y == 0).sum())
        if min(merchants, genuine) < FEWEST_OF_A_KIND:
            return None
        w = w * (y.size / w.sum())
        positive, negative = float(w[y == 1].sum()), float(w[y == 0].sum())
        target = np.where(y == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))

        def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            z = parameters[0] * x + parameters[1]
            error = w * (expit(z) - target)
            value = float(np.sum(w * (np.logaddexp(0.0, z) - target * z)))
            return value, np.array([np.sum(error * x), np.sum(error)])

        start = np.array([1.0, np.log(positive / negative)])
        fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(1e-3, 50.0), (-50.0, 50.0)])
        # Rounded, so that the last bits of an optimiser never decide about anyone.
        return cls(round(float(fitted.x[0]), 9), round(float(fitted.x[1]), 9), merchants, genuine)

    def probability(self, margin: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give calibrated merchant probabilities, shape as `margin`, in (0, 1)."""
        return np.asarray(expit(self.slope * margin + self.intercept), dtype=np.float64)
