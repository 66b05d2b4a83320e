"""OPTICS (Ankerst, Breunig, Kriegel and Sander, SIGMOD 1999)."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.cluster import OPTICS as SCIKIT_OPTICS

from membergate.engine.cluster.estimator import DensityClusterer
from membergate.engine.graph.neighbours import NeighbourGraph


class OPTICS(DensityClusterer):
    """The order in which density is walked, and the reachability of each point.

    Parameters
    ----------
    min_samples
        Points, itself counted, that set a point's core distance.
    max_eps
        Longest step considered.
    xi
        Steepness that bounds a cluster, in (0, 1).
    """

    _state = ("labels_", "ordering_", "reachability_", "core_distances_", "n_features_in_")

    def __init__(self, min_samples: int = 5, max_eps: float = np.inf, xi: float = 0.05) -> None:
        self.min_samples = min_samples
        self.max_eps = max_eps
        self.xi = xi

    def _fit(self, graph: NeighbourGraph, sample_weight: ArrayLike | None) -> Self:  # noqa: ARG002
        walk = SCIKIT_OPTICS(min_samples=self.min_samples, max_eps=self.max_eps, xi=self.xi).fit(graph.points)
        self.labels_ = walk.labels_
        self.ordering_ = walk.ordering_
        self.reachability_ = walk.reachability_
        self.core_distances_ = walk.core_distances_
        return self
