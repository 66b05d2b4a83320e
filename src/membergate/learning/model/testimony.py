"""What a model says: one frozen table of statements, a row a subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from membergate.learning.model.clusters import Placement


@dataclass(frozen=True)
class Testimony:
    """What the model says about each of n subjects; every array has shape (n,) unless said otherwise.

    Parameters
    ----------
    risk_score
        Ordering in [0, 1], larger is riskier.
    merchant_probability
        Calibrated, in [0, 1]; NaN where the model is uncalibrated.
    uncalibrated_probability
        Rests on stated assumptions only; always there.
    probability_low, probability_high
        Where the probability will lie, four times in five, once twice as much has been seen: the less was seen, the
        wider. Never narrower than the model's own members disagree.
    members_probability_high
        The highest probability among the model's own members.
    evidence_mass
        Visible orders behind the statement.
    detector_disagreement
        Spread of the jury's opinions, in [0, 1]; NaN where there is no jury.
    placement
        Clusters.
    contributions
        Shape (n, f): what each column adds to the log-odds, larger is riskier.
    columns
        Names of the columns, shape (f,).
    """

    risk_score: NDArray[np.float64]
    merchant_probability: NDArray[np.float64]
    uncalibrated_probability: NDArray[np.float64]
    probability_low: NDArray[np.float64]
    probability_high: NDArray[np.float64]
    members_probability_high: NDArray[np.float64]
    evidence_mass: NDArray[np.float64]
    detector_disagreement: NDArray[np.float64]
    placement: Placement
    contributions: NDArray[np.float64]
    columns: tuple[str, ...]
