"""MDCA, the maximum density clustering application, as we reconstruct it."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import KDTree

from membergate.engine.cluster.estimator import DensityClusterer
from membergate.engine.graph.neighbours import NeighbourGraph


class MDCA(DensityClusterer):
    """Dense points linked at a distance; every other point joins its nearest dense point.

    Parameters
    ----------
    n_neighbors
        Neighbours whose mean distance is the inverse of density.
    density0
        Density from which a point is dense; None takes the median.
    dist0
        Distance up to which dense points are linked; None takes the largest k-distance of a dense point.
    """

    _state = ("labels_", "density_", "is_dense_", "dense_points_", "n_features_in_")

    def __init__(self, n_neighbors: int = 16, density0: float | None = None, dist0: float | None = None) -> None:
        self.n_neighbors = n_neighbors
        self.density0 = density0
        self.dist0 = dist0

    def _fit(self, graph: NeighbourGraph, sample_weight: ArrayLike | None) -> Self:  # noqa: ARG002
        lists = graph.distances[:, : self.n_neighbors]
        self.density_ = 1.0 / np.maximum(lists.mean(axis=1), np.finfo(float).tiny)
        density0 = np.median(self.density_) if self.density0 is None else self.density0
        self.is_dense_: NDArray[np.bool_] = self.density_ >= density0
        self.dense_points_ = graph.points[self.is_dense_]
        dist0 = lists[self.is_dense_].max(initial=0.0) if self.dist0 is None else self.dist0
        tree = KDTree(self.dense_points_)
        near = tree.query_radius(self.dense_points_, dist0)
        rows = np.repeat(np.arange(len(near)), [len(row) for row in near])
        links = coo_array((np.ones(len(rows)), (rows, np.concatenate(near))), shape=(len(near), len(near)))
        self._dense_labels = connected_components(links, directed=False)[1].astype(np.int64)
        self.labels_ = self._dense_labels[tree.query(graph.points, k=1)[1][:, 0]]
        return self

    def _restore(self) -> None:
        self._dense_labels = self.labels_[self.is_dense_]

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Label new rows as their nearest dense point."""
        return self._anchored(X, self.dense_points_, self._dense_labels, np.inf)
