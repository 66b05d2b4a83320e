"""k-distance: how far the k-th neighbour is.

Ramaswamy, Rastogi and Shim, SIGMOD 2000. Equal rows count as neighbours at
distance 0. Cost: none beyond the graph. Fails for points that are sparse only
beside a dense cluster: see `LocalOutlierFactor`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.outlier.estimator import NeighbourDetector


class KDistance(NeighbourDetector):
    """Score = minus the distance to the k-th neighbour.

    Parameters
    ----------
    n_neighbors
        Which neighbour, the row itself not counted.
    contamination
        Share of the training rows that `predict` calls outliers, in (0, 0.5].
    n_jobs
        Threads for the graph; None takes every core.

    Attributes
    ----------
    training_scores_
        Scores of the training rows, each without itself.
    offset_
        Score below which `predict` calls a row an outlier.
    """

    _state = ("point_scores_", "offset_")

    def __init__(self, n_neighbors: int = 20, contamination: float = 0.1, *, n_jobs: int | None = None) -> None:
        self.n_neighbors = n_neighbors
        self.contamination = contamination
        self.n_jobs = n_jobs

    def _fit(self, graph: NeighbourGraph) -> NDArray[np.float64]:
        return -graph.weighted_distance(min(self.n_neighbors, graph.n_rows - 1) + 1)

    def _score(self, distances: NDArray[np.float64], places: NDArray[np.int32]) -> NDArray[np.float64]:
        counts = self._points.counts
        reached = np.cumsum(counts[places], axis=1) >= min(self.n_neighbors, len(self._points.place_of_row))
        return np.asarray(-distances[np.arange(len(distances)), reached.argmax(axis=1)])
