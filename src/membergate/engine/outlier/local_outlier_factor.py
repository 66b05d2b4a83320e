"""Local Outlier Factor: how much sparser a point is than its neighbours.

Breunig, Kriegel, Ng and Sander, SIGMOD 2000, doi:10.1145/335191.335388. Where
we depart: the factor is that of the distinct points, since thousands of equal
rows would have infinite density; on distinct rows it is scikit-learn's. So a
weight, which stands for repeated rows, would change nothing, and none is taken.
Cost: a few microseconds a point beyond the graph. Fails for groups of more
than k outliers, which are normal to each other: see `KDistance`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from membergate.engine.checking import checked_new_rows
from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.outlier.estimator import NeighbourDetector

_LEAST_REACH = 1e-10
"""Added to a mean reach, as scikit-learn does, so that density stays finite."""


class LocalOutlierFactor(NeighbourDetector):
    """Score = minus the outlier factor: about -1 inside a cluster, lower outside.

    Parameters
    ----------
    n_neighbors
        Neighbours compared with, the point itself not counted.
    contamination
        Share of the training rows that `predict` calls outliers, in (0, 0.5].
    n_jobs
        Threads for the graph; None takes every core.

    Attributes
    ----------
    training_scores_
        Scores of the training rows, each without itself; scikit-learn's `negative_outlier_factor_`.
    offset_
        Score below which `predict` calls a row an outlier.
    """

    _state = ("core_distances_", "local_density_", "point_scores_", "offset_")

    def __init__(self, n_neighbors: int = 20, contamination: float = 0.1, *, n_jobs: int | None = None) -> None:
        self.n_neighbors = n_neighbors
        self.contamination = contamination
        self.n_jobs = n_jobs

    @property
    def negative_outlier_factor_(self) -> NDArray[np.float64]:
        """Scores of the training rows, as scikit-learn names them."""
        return self.training_scores_

    def scores_and_distances(self, X: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Score rows as `score_samples`, and give the distance to their last neighbour, from one search.

        Parameters
        ----------
        X
            Rows, shape (n, d), finite.

        Returns
        -------
        tuple of numpy.ndarray
            Scores, larger is more normal, and distances to the `n_neighbors`-th distinct neighbour, shape (n,) each.
        """
        self._check_is_fitted()
        rows = checked_new_rows(X, self)
        distances, places = self._points.neighbours_of(rows, min(self.n_neighbors, self._points.n_points))
        scores = np.where(distances[:, 0] == 0, self.point_scores_[places[:, 0]], self._score(distances, places))
        return scores, np.asarray(distances[:, -1], dtype=np.float64)

    def _fit(self, graph: NeighbourGraph) -> NDArray[np.float64]:
        width = min(self.n_neighbors, graph.distances.shape[1])
        distances, neighbours = graph.distances[:, :width], graph.neighbours[:, :width]
        if graph.points.n_points == 1:
            self.core_distances_, self.local_density_ = np.zeros(1), np.full(1, 1 / _LEAST_REACH)
            return np.full(1, -1.0)
        self.core_distances_ = distances[:, -1].copy()
        self.local_density_ = self._density(distances, neighbours)
        return self._compared(self.local_density_, neighbours)

    def _score(self, distances: NDArray[np.float64], places: NDArray[np.int32]) -> NDArray[np.float64]:
        return self._compared(self._density(distances, places), places)

    def _density(self, distances: NDArray[np.float64], places: NDArray[np.int32]) -> NDArray[np.float64]:
        reach = np.maximum(distances, self.core_distances_[places])
        return 1.0 / (_row_mean(reach) + _LEAST_REACH)

    def _compared(self, density: NDArray[np.float64], places: NDArray[np.int32]) -> NDArray[np.float64]:
        return -_row_mean(self.local_density_[places]) / density


def _row_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the mean of each row, added column by column: the same sum whatever the number of rows."""
    total = values[:, 0].copy()
    for column in range(1, values.shape[1]):
        total += values[:, column]
    return np.asarray(total / values.shape[1])
