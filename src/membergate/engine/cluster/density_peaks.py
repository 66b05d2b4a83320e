"""Density Peaks: centres are dense points far from any denser point; the rest follows its nearest denser point.

Rodriguez and Laio, Science 2014, doi:10.1126/science.1242072. Where we depart:
density is the inverse of the mean distance to the k nearest neighbours, which
needs no cut-off distance; ties of density are broken by content. The nearest
denser point is exact: taken from the list, or searched where the list has none.

Cost: the graph, plus one search for each local peak. Fails where one cluster
has several peaks: then it is cut.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from membergate.engine.checking import checked_integer
from membergate.engine.cluster.estimator import DensityClusterer
from membergate.engine.graph.compiling import kernel
from membergate.engine.graph.density import density_order, mean_density
from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.graph.reach import first_listed
from membergate.engine.graph.threads import Progress


class DensityPeaks(DensityClusterer):
    """A given number of clusters round the peaks of density; no noise.

    Parameters
    ----------
    n_clusters
        Number of centres: the points of largest density times distance to a denser point.
    n_neighbors
        Neighbours whose mean distance is the inverse of density.
    n_jobs
        Threads for the graph; None takes every core.

    Attributes
    ----------
    labels_
        Cluster of each row, densest centre first.
    density_, delta_
        Density, and distance to the nearest denser point, of each row.
    centers_
        Row of each centre.
    """

    _state = ("labels_", "density_", "delta_", "centers_", "anchor_labels_")

    def __init__(self, n_clusters: int = 8, n_neighbors: int = 16, *, n_jobs: int | None = None) -> None:
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.n_jobs = n_jobs

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Label new rows as their nearest point.

        Parameters
        ----------
        X
            Rows, shape (m, d) with m >= 1 and the d of the fit, finite.

        Returns
        -------
        numpy.ndarray
            Clusters of the fit, shape (m,).
        """
        return self._nearest_anchor_label(X, np.inf)

    def _check(self) -> None:
        checked_integer("n_clusters", self.n_clusters, 1)
        checked_integer("n_neighbors", self.n_neighbors, 1)

    def _neighbours_needed(self, n_rows: int) -> int:  # noqa: ARG002
        return self.n_neighbors

    def _fit(self, graph: NeighbourGraph, progress: Progress | None) -> Self:  # noqa: ARG002
        points = graph.points
        density = mean_density(graph, self.n_neighbors)
        order = density_order(points, density)
        keys = np.empty(points.n_points, dtype=np.int64)
        keys[order] = np.arange(points.n_points)
        delta, above = np.full(points.n_points, np.inf), np.full(points.n_points, -1, dtype=np.int64)
        first_listed(graph.distances, graph.neighbours, keys, keys, np.ones_like(graph.is_proven), delta, above)
        peaks = np.flatnonzero((above < 0) & (keys > 0))
        if len(peaks):
            delta[peaks], above[peaks] = points.nearest_of(
                points.index.rows[peaks], keys, points.smallest_in_cells(keys), keys[peaks], itself=peaks
            )
        delta[order[0]] = delta[order[1:]].max(initial=0.0)
        scale = -int(np.frexp(density.max())[1])  # among equal rows density is near the largest float
        prominence = np.ldexp(density, scale) * delta
        candidates = np.lexsort((keys, -prominence))[: self.n_clusters]
        centres = np.union1d(candidates[1:], order[:1]) if order[0] not in candidates else candidates
        centres = centres[np.argsort(keys[centres])]
        labels = np.full(points.n_points, -1, dtype=np.int64)
        labels[centres] = np.arange(len(centres))
        _follow(order, above, labels)
        self._points = points
        self.labels_, self.anchor_labels_ = labels[points.place_of_row], labels
        self.density_, self.delta_ = density[points.place_of_row], delta[points.place_of_row]
        self.centers_ = points.row_of_place[centres]
        self._restore()
        return self


@kernel
def _follow(order: NDArray[np.int64], above: NDArray[np.int64], labels: NDArray[np.int64]) -> None:
    """Label points in falling density as the denser point they follow."""
    for place in order:
        if labels[place] < 0:
            labels[place] = labels[above[place]]
