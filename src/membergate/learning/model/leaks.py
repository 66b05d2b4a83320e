"""The leak detector: what tells merchants too well to be honest.

No behaviour tells merchants from genuine applicants alone: of honest features none exceeds an area under the ROC curve
of 0.9 on simulated markets (the simulator's first test of realism). A column that does was probably filled in after the
answer was known: a status that a penalty sets, a table written by those who label, the label itself. So does the mere
presence of a value, where it is only looked up for those who are suspected.

Labels err, and even the truth itself then agrees with them to an area of 0.96 or less; so the bound lies where honest
behaviour ends and not where certainty begins. Reviews of a sample err least, and are also asked by themselves.

References
----------
Hanley and McNeil (1982), Radiology 143(1), for the standard error, 10.1148/radiology.143.1.7063747.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from membergate.domain.labels import SAMPLED_GRADE
from membergate.learning.features import FeatureTable
from membergate.learning.model.labelling import ECHOES, Labelling

TOO_GOOD = 0.9
"""Area under the ROC curve that no honest behaviour exceeds alone."""
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

    Labels that a rule or a penalty made are left out: features agree with rules by construction. The rest is asked
    twice, the reviews of the probability sample by themselves too; a feature that either convicts is named once for its
    value and once for its presence, with the larger area.

    Parameters
    ----------
    table
        Features of n applications.
    labels
        What is known of them.
    """
    known = labels.is_labelled & (labels.training_weight > 0)
    known &= ~np.isin(labels.grade, [grade.value for grade in ECHOES])
    found: dict[tuple[str, str], Leak] = {}
    for rows in (known, known & (labels.grade == SAMPLED_GRADE.value)):
        for leak in _leaks_among(table, labels.is_merchant == 1, rows):
            key = leak.feature, leak.by
            found[key] = max(leak, found.get(key, leak), key=lambda each: each.area)
    return tuple(found.values())


def _leaks_among(table: FeatureTable, is_merchant: NDArray[np.bool_], rows: NDArray[np.bool_]) -> Iterator[Leak]:
    is_merchant = is_merchant[rows]
    for column, feature in enumerate(table.features):
        values = table.values[rows, column]
        seen = np.isfinite(values)
        for by, said, among in (("value", values, seen), ("presence", seen.astype(np.float64), np.ones_like(seen))):
            area = _area(said[among], is_merchant[among])
            if area is not None:
                yield Leak(feature, by, area)


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
