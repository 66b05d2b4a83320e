"""A jury of detectors that do not learn from labels. Their disagreement sends someone to review, never to refusal.

Five opinions: the local outlier factor (odd for its neighbourhood), k-distance (far from everybody), MDCA (far from the
nearest dense place), an isolation forest (easily split off), and the soft-link graph (shares things and company with
strangers). The first four look at all deviations, the last at what links accounts alone. The engine's scores are larger
for more normal; this is the one place where the sign is turned round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from membergate.engine import MDCA, KDistance, LocalOutlierFactor
from membergate.learning.model.forest import IsolationTrees
from membergate.learning.model.prior import rank_among

JURORS = ("local", "distant", "sparse", "forest", "linked")
"""Names of the opinions, in order."""
LINKS = ("E5", "E9", "E10", "F1", "G1", "H1", "H2", "H3", "H5", "H7", "H8", "H10", "L2")
"""Features that say how someone is linked to others: places, devices, cards, company, parcels that converge."""
NEIGHBOURS = 20
LARGEST_REFERENCE = 2_000
"""Rows that the detectors keep as their reference at most."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Jury:
    """Fitted detectors with the sorted scores of a reference sample, so that their verdicts share one scale.

    Parameters
    ----------
    local
        Local outlier factor; its search gives the k-distance too.
    sparse
        Distance to the nearest of MDCA's dense rows.
    forest
        Isolation forest.
    linked
        Shape (f,): which features link accounts; none where the data holds no such feature.
    ranks
        Shape (5, m): sorted outlierness of the reference rows by juror.
    """

    local: LocalOutlierFactor
    sparse: KDistance
    forest: IsolationTrees
    linked: NDArray[np.bool_]
    ranks: Floats

    @classmethod
    def fit(cls, deviations: Floats, features: tuple[str, ...], rng: np.random.Generator) -> Self | None:
        """Fit on half of the rows and take the yardstick from the other half; None below 4 x 20 rows.

        A row that is in a detector's own reference finds itself at distance 0 and looks too normal; the other half
        does not.

        Parameters
        ----------
        deviations
            Shape (n, f): rows in the context space.
        features
            Ids of the columns.
        rng
            Draws the halves.
        """
        rows = deviations.shape[0]
        if rows < 4 * NEIGHBOURS:
            return None
        order = rng.permutation(rows)[: 2 * LARGEST_REFERENCE]
        reference, yardstick = np.array_split(order, 2)
        known = deviations[np.sort(reference)]
        is_dense = MDCA(n_neighbors=NEIGHBOURS).fit(known).is_dense_
        fitted = cls(
            LocalOutlierFactor(n_neighbors=NEIGHBOURS).fit(known),
            KDistance(n_neighbors=1).fit(known[is_dense] if is_dense.any() else known),
            IsolationTrees.fit(known, rng),
            np.isin(features, LINKS),
            np.zeros((len(JURORS), 0)),
        )
        opinions = fitted._raw(deviations[yardstick])
        return cls(fitted.local, fitted.sparse, fitted.forest, fitted.linked, np.sort(opinions))

    def hear(self, deviations: Floats) -> Floats:
        """Rank each row's outlierness.

        Returns
        -------
        ndarray of shape (5, n)
            Ranks by juror, each strictly inside (0, 1), larger for odder.
        """
        raw = self._raw(deviations)
        return np.stack([rank_among(known, said) for known, said in zip(self.ranks, raw, strict=True)])

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Give everything that hearing needs, for storage."""
        arrays: dict[str, NDArray[Any]] = {"linked": self.linked, "ranks": self.ranks}
        for name in ("local", "sparse", "forest"):
            arrays |= {f"{name}.{part}": values for part, values in getattr(self, name).to_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """Bring back what `to_arrays` gave."""

        def under(name: str) -> dict[str, NDArray[Any]]:
            return {key[len(name) + 1 :]: values for key, values in arrays.items() if key.startswith(f"{name}.")}

        return cls(
            LocalOutlierFactor.from_arrays(under("local")),
            KDistance.from_arrays(under("sparse")),
            IsolationTrees.from_arrays(under("forest")),
            arrays["linked"],
            arrays["ranks"],
        )

    def _raw(self, deviations: Floats) -> Floats:
        """Give each juror's own score, shape (5, n), larger for odder; the graph's is 0 where nothing links anyone."""
        links = np.zeros(deviations.shape[0])
        for column in np.flatnonzero(self.linked):
            links += np.maximum(deviations[:, column], 0.0)
        if not len(deviations):
            return np.zeros((len(JURORS), 0))
        normal, distance = self.local.scores_and_distances(deviations)
        sparse = -np.asarray(self.sparse.score_samples(deviations), dtype=np.float64)
        return np.stack([-normal, distance, sparse, self.forest.outlierness(deviations), links])


def disagreement(opinions: Floats) -> Floats:
    """Spread of opinions of shape (k, n): twice their standard deviation, 0 all alike, 1 as far apart as can be."""
    mean = sum(opinions) / len(opinions)
    return np.asarray(2.0 * np.sqrt(sum((opinion - mean) ** 2 for opinion in opinions) / len(opinions)))
