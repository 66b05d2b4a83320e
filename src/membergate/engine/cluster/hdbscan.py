"""HDBSCAN (Campello, Moulavi and Sander, PAKDD 2013)."""

from __future__ import annotations

from typing import Self

from numpy.typing import ArrayLike
from sklearn.cluster import HDBSCAN as SCIKIT_HDBSCAN

from membergate.engine.cluster.estimator import DensityClusterer
from membergate.engine.graph.neighbours import NeighbourGraph


class HDBSCAN(DensityClusterer):
    """DBSCAN at every density at once; the clusters that last longest are kept.

    Parameters
    ----------
    min_cluster_size
        Points that make a cluster.
    min_samples
        Points, itself counted, that set a core distance; None takes `min_cluster_size`.
    """

    _state = ("labels_", "probabilities_", "n_features_in_")

    def __init__(self, min_cluster_size: int = 5, min_samples: int | None = None) -> None:
        self.min_cluster_size = min_cluster_size
        self.min_samples = min_samples

    def _fit(self, graph: NeighbourGraph, sample_weight: ArrayLike | None) -> Self:  # noqa: ARG002
        tree = SCIKIT_HDBSCAN(min_cluster_size=self.min_cluster_size, min_samples=self.min_samples, copy=True)
        tree.fit(graph.points)
        self.labels_ = tree.labels_
        self.probabilities_ = tree.probabilities_
        return self
