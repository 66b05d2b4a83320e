"""A jury of outlier detectors. Their disagreement sends someone to review, never to refusal.

The engine's scores are larger for more normal; this is the one place where the sign is turned round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from membergate.engine import KDistance, LocalOutlierFactor
from membergate.learning.model.prior import rank_among

NEIGHBOURS = 20
LARGEST_REFERENCE = 20_000
"""Rows that the detectors keep as their reference at most."""


@dataclass(frozen=True)
class Jury:
    """Fitted detectors with the sorted scores of a reference sample, so that their verdicts share one scale.

    Parameters
    ----------
    local
        Local outlier factor: odd for its neighbourhood.
    distant
        k-distance: far from everybody.
    local_ranks, distant_ranks
        Sorted outlierness of the reference rows, shape (m,).
    """

    local: LocalOutlierFactor
    distant: KDistance
    local_ranks: NDArray[np.float64]
    distant_ranks: NDArray[np.float64]

    @classmethod
    def fit(cls, deviations: NDArray[np.float64], rng: np.random.Generator) -> Self | None:
        """Fit on half of the rows and take the yardstick from the other half; None below 4 x 20 rows.

        A row that is in a detector's own reference finds itself at distance 0 and looks too normal; the other half
        does not.
        """
        rows = deviations.shape[0]
        if rows < 4 * NEIGHBOURS:
            return None
        order = rng.permutation(rows)[: 2 * LARGEST_REFERENCE]
        reference, yardstick = np.array_split(order, 2)
        local = LocalOutlierFactor(n_neighbors=NEIGHBOURS).fit(deviations[np.sort(reference)])
        distant = KDistance(n_neighbors=NEIGHBOURS).fit(deviations[np.sort(reference)])
        held_out = deviations[yardstick]
        return cls(
            local,
            distant,
            np.sort(outlierness(local, held_out)),
            np.sort(outlierness(distant, held_out)),
        )

    def hear(self, deviations: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rank each row's outlierness.

        Returns
        -------
        tuple of ndarray of shape (n,)
            Local and distant outlier rank, each strictly inside (0, 1), larger for odder.
        """
        return (
            rank_among(self.local_ranks, outlierness(self.local, deviations)),
            rank_among(self.distant_ranks, outlierness(self.distant, deviations)),
        )


def outlierness(detector: LocalOutlierFactor | KDistance, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn the engine's sign round: larger is odder."""
    if rows.shape[0] == 0:
        return np.zeros(0)
    return -np.asarray(detector.score_samples(rows), dtype=np.float64)


def disagreement(*opinions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread of opinions in [0, 1]: 0 all alike, 1 as far apart as opinions can be."""
    stacked = np.stack(opinions)
    return np.asarray(stacked.max(axis=0) - stacked.min(axis=0), dtype=np.float64)
