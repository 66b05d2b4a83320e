"""k-distance: how far the k-th neighbour is.

Ramaswamy, Rastogi and Shim, SIGMOD 2000. Equal rows count as neighbours at
distance 0. Cost: none beyond the graph. Fails for points that are sparse only
beside a dense cluster: see `LocalOutlierFactor`.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.graph.threads import Progress
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

    def fit(
        self,
        X: ArrayLike,
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
        *,
        progress: Progress | None = None,
    ) -> Self:
        """Learn what is normal.

        Parameters
        ----------
        X
            Rows, shape (n, d), finite.
        y
            Ignored.
        sample_weight
            Weights >= 1, shape (n,): a row of weight w stands for w equal rows; None is 1 each.
        progress
            Called with the name of a phase and the share of it that is done, in [0, 1].

        Returns
        -------
        Self
        """
        graph = self._graph_of(X, progress)
        return self._finish(graph if sample_weight is None else graph.weighted(sample_weight))

    def fit_graph(self, graph: NeighbourGraph, sample_weight: ArrayLike | None = None) -> Self:
        """Learn what is normal from a graph.

        Parameters
        ----------
        graph
            A graph of n rows that lists at least `n_neighbors` neighbours.
        sample_weight
            Weights >= 1 of the rows, shape (n,); None is 1 each.

        Returns
        -------
        Self
        """
        graph = NeighbourGraph.checked(graph)
        return super().fit_graph(graph if sample_weight is None else graph.weighted(sample_weight))

    def _fit(self, graph: NeighbourGraph) -> NDArray[np.float64]:
        return -graph.weighted_distance(min(self.n_neighbors, graph.total_weight - 1) + 1)

    def _score(self, distances: NDArray[np.float64], places: NDArray[np.int32]) -> NDArray[np.float64]:
        counts = self._points.counts
        reached = np.cumsum(counts[places], axis=1) >= min(self.n_neighbors, counts.sum())
        return np.asarray(-distances[np.arange(len(distances)), reached.argmax(axis=1)])
