"""Density Peaks (Rodriguez and Laio, Science 2014, doi:10.1126/science.1242072)."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from membergate.engine.cluster.estimator import DensityClusterer
from membergate.engine.graph.neighbours import NeighbourGraph


class DensityPeaks(DensityClusterer):
    """Centres are dense points far from any denser point; every other point follows its nearest denser point.

    Parameters
    ----------
    n_clusters
        Number of centres: the points with the largest density times distance to a denser point.
    n_neighbors
        Neighbours whose mean distance is the inverse of density.
    """

    _state = ("labels_", "density_", "delta_", "centers_", "n_features_in_")

    def __init__(self, n_clusters: int = 8, n_neighbors: int = 16) -> None:
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors

    def _fit(self, graph: NeighbourGraph, sample_weight: ArrayLike | None) -> Self:  # noqa: ARG002
        lists = graph.distances[:, : self.n_neighbors]
        self.density_ = 1.0 / np.maximum(lists.mean(axis=1), np.finfo(float).tiny)
        order = np.lexsort((np.arange(len(lists)), -self.density_))
        parents = np.full(len(lists), -1)
        self.delta_ = np.zeros(len(lists))
        for position, row in enumerate(order[1:], start=1):
            denser = order[:position]
            distances = np.linalg.norm(graph.points[denser] - graph.points[row], axis=1)
            parents[row] = denser[distances.argmin()]
            self.delta_[row] = distances.min()
        self.delta_[order[0]] = self.delta_.max()
        self.centers_ = np.argsort(-self.density_ * self.delta_, kind="stable")[: self.n_clusters]
        self.labels_ = np.full(len(lists), -1, dtype=np.int64)
        self.labels_[self.centers_] = np.arange(len(self.centers_))
        for row in order:
            if self.labels_[row] < 0:
                self.labels_[row] = self.labels_[parents[row]]
        return self
