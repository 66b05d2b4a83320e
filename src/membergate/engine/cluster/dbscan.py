"""DBSCAN (Ester, Kriegel, Sander and Xu, KDD 1996)."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import dbscan

from membergate.engine.cluster.estimator import DensityClusterer
from membergate.engine.errors import InvalidInputError
from membergate.engine.graph.neighbours import NeighbourGraph


class DBSCAN(DensityClusterer):
    """Clusters are what can be walked through dense points in steps of at most `eps`.

    Parameters
    ----------
    eps
        Longest step, in the unit of the data, > 0.
    min_samples
        Points within `eps`, itself counted, that make a point dense.
    """

    _state = ("labels_", "core_sample_indices_", "components_", "n_features_in_")

    def __init__(self, eps: float = 0.5, min_samples: int = 5) -> None:
        self.eps = eps
        self.min_samples = min_samples

    def _fit(self, graph: NeighbourGraph, sample_weight: ArrayLike | None) -> Self:
        if not self.eps > 0:
            raise InvalidInputError("eps", got=self.eps, allowed="a number > 0")
        core, labels = dbscan(graph.points, eps=self.eps, min_samples=self.min_samples, sample_weight=sample_weight)
        self.core_sample_indices_: NDArray[np.int64] = core
        self.labels_ = labels
        self.components_ = graph.points[core]
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Label new rows as their nearest core point within `eps`, else -1."""
        labels = self.labels_[self.core_sample_indices_]
        return self._anchored(X, self.components_, labels, self.eps)
