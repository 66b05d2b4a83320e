"""The leak detector: what tells merchants too well to be honest.

No behaviour tells merchants from genuine applicants alone: of honest features none exceeds an area under the ROC curve
of 0.9 on simulated markets (the simulator's first test of realism). A column that nearly does was probably filled in
after the answer was known: a status that a penalty sets, a table written by those who label, the label itself. So does
the mere presence of a value, where it is only looked up for those who are suspected.

References
----------
Hanley and McNeil (1982), Radiology 143(1), for the standard error, 10.1148/radiology.143.1.7063747.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from membergate.learning.features import FeatureTable
from membergate.learning.model.labelling import ECHOES, Labelling

TOO_GOOD = 0.95
"""Area under the ROC curve that no honest behaviour reaches alone."""
CERTAINTY = 3.0
"""Standard errors by which it must be exceeded."""
FEWEST_OF_A_KIND = 10
"""Labelled merchants, and genuine applicants, below which nothing is said."""


@dataclass(frozen=True)
class Leak:
    """A feature that alone tells merchants from genuine applicants.

    Parameters
    ----------
    feature
        Its id.
    by
        `value`, or `presence` where already having a value tells.
    area
        Area under the ROC curve, in [0.5, 1].
    """

    feature: str
    by: str
    area: float

    def __str__(self) -> str:
        """Say it to whoever learns."""
        return (
            f"leak suspected: the {self.by} of {self.feature} alone tells merchants from genuine applicants "
            f"(area under the ROC curve {self.area:.3f}); look where its columns come from, and when they are filled in"
        )


def leaks_in(table: FeatureTable, labels: Labelling) -> tuple[Leak, ...]:
    """Look for columns that know the answer.

    Labels that a rule or a penalty made are left out: features agree with rules by construction.

    Parameters
    ----------
    table
        Features of n applications.
    labels
        What is known of them.
    """
    known = labels.is_labelled & (labels.training_weight > 0)
    known &= ~np.isin(labels.grade, [grade.value for grade in ECHOES])
    is_merchant = labels.is_merchant[known] == 1
    if min(is_merchant.sum(), (~is_merchant).sum()) < FEWEST_OF_A_KIND:
        return ()
    found = []
    for column, feature in enumerate(table.features):
        values = table.values[known, column]
        seen = np.isfinite(values)
        for by, said, among in (("value", values, seen), ("presence", seen.astype(np.float64), np.ones_like(seen))):
            area = _area(said[among], is_merchant[among])
            if area is not None:
                found.append(Leak(feature, by, area))
    return tuple(found)


def _area(values: NDArray[np.float64], is_merchant: NDArray[np.bool_]) -> float | None:
    """Give the area under the ROC curve in the better direction, where it is too good beyond doubt; else None."""
    merchants, genuine = int(is_merchant.sum()), int((~is_merchant).sum())
    if min(merchants, genuine) < FEWEST_OF_A_KIND:
        return None
    wins = rankdata(values)[is_merchant].sum() - merchants * (merchants + 1) / 2
    area = wins / (merchants * genuine)
    area = max(area, 1 - area)
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (merchants - 1) * (one - area**2) + (genuine - 1) * (two - area**2)
    error = float(np.sqrt(max(variance, 0.0) / (merchants * genuine)))
    return float(area) if area - CERTAINTY * error > TOO_GOOD else None
