"""Local Outlier Factor (Breunig, Kriegel, Ng and Sander, SIGMOD 2000, doi:10.1145/335191.335388)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KDTree

from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.outlier.estimator import NeighbourDetector


class LocalOutlierFactor(NeighbourDetector):
    """Score = minus how much sparser a point is than its neighbours; about -1 inside a cluster.

    Parameters
    ----------
    n_neighbors
        Neighbours compared with, the point itself not counted.
    contamination
        Share of the training rows that `predict` calls outliers, in (0, 0.5].
    """

    _state = ("points_", "core_distances_", "local_density_", "training_scores_", "offset_", "n_features_in_")

    def __init__(self, n_neighbors: int = 20, contamination: float = 0.1) -> None:
        self.n_neighbors = n_neighbors
        self.contamination = contamination

    def _fit(self, graph: NeighbourGraph) -> None:
        k = min(self.n_neighbors, graph.n_neighbors)
        distances, indices = graph.distances[:, :k], graph.indices[:, :k]
        self.points_ = graph.points
        self.core_distances_ = distances[:, -1].copy()
        self.local_density_ = _local_density(distances, self.core_distances_[indices])
        self.training_scores_ = -self.local_density_[indices].mean(axis=1) / self.local_density_
        self._restore()

    def _restore(self) -> None:
        self._tree = KDTree(self.points_)

    @property
    def negative_outlier_factor_(self) -> NDArray[np.float64]:
        """Scores of the training rows, as scikit-learn names them."""
        return self.training_scores_

    def _score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        distances, indices = self._tree.query(rows, k=min(self.n_neighbors, len(self.points_)))
        density = _local_density(distances, self.core_distances_[indices])
        scores: NDArray[np.float64] = -self.local_density_[indices].mean(axis=1) / density
        return scores


def _local_density(distances: NDArray[np.float64], core_distances: NDArray[np.float64]) -> NDArray[np.float64]:
    reach = np.maximum(distances, core_distances)
    density: NDArray[np.float64] = 1.0 / (reach.mean(axis=1) + 1e-10)
    return density
