"""What every clusterer shares: fitted from rows or from a graph, label -1 for noise."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.neighbors import KDTree
from sklearn.utils.validation import check_is_fitted, validate_data

from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.state import ArrayState


class DensityClusterer(ArrayState, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the clusterers; a subclass writes `_fit_graph`."""

    labels_: NDArray[np.int64]

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:  # noqa: ARG002
        """Cluster the rows of `X`, shape (n, d); `y` is ignored."""
        rows = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        return self._fit(NeighbourGraph(rows, self._neighbours_wanted()), sample_weight)

    def fit_graph(self, graph: NeighbourGraph, sample_weight: ArrayLike | None = None) -> Self:
        """Cluster the points of a graph that is already there."""
        self.n_features_in_ = graph.points.shape[1]
        return self._fit(graph, sample_weight)

    def _neighbours_wanted(self) -> int:
        return 32

    def _fit(self, graph: NeighbourGraph, sample_weight: ArrayLike | None) -> Self:
        raise NotImplementedError

    def _anchored(self, X: Any, anchors: NDArray[np.float64], labels: NDArray[np.int64], limit: float) -> NDArray[Any]:
        """Label each row as its nearest anchor within `limit`, else -1."""
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        if len(anchors) == 0:
            return np.full(len(rows), -1, dtype=np.int64)
        distances, nearest = KDTree(anchors).query(rows, k=1)
        return np.where(distances[:, 0] <= limit, labels[nearest[:, 0]], -1)
