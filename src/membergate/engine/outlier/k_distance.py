"""k-distance: how far the k-th neighbour is (Ramaswamy, Rastogi and Shim, SIGMOD 2000)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KDTree

from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.outlier.estimator import NeighbourDetector


class KDistance(NeighbourDetector):
    """Score = minus the distance to the k-th neighbour.

    Parameters
    ----------
    n_neighbors
        Which neighbour, the point itself not counted.
    contamination
        Share of the training rows that `predict` calls outliers, in (0, 0.5].
    """

    _state = ("points_", "training_scores_", "offset_", "n_features_in_")

    def __init__(self, n_neighbors: int = 20, contamination: float = 0.1) -> None:
        self.n_neighbors = n_neighbors
        self.contamination = contamination

    def _fit(self, graph: NeighbourGraph) -> None:
        self.points_ = graph.points
        self.training_scores_ = -graph.distances[:, min(self.n_neighbors, graph.n_neighbors) - 1]
        self._restore()

    def _restore(self) -> None:
        self._tree = KDTree(self.points_)

    def _score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = -self._tree.query(rows, k=min(self.n_neighbors, len(self.points_)))[0][:, -1]
        return scores
