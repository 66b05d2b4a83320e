"""MDCA, the maximum density clustering application (密度最大值聚类算法), **as we reconstruct it**.

Public course notes list it after DBSCAN: density, not initial points, decides
membership; it finds the number of clusters and any shape; it keeps no noise;
it starts from the densest object. The full steps we could not read (the source
is believed to be Wang, Xia and Jing, 2009, unverified); these are ours:

1. The densest point not yet assigned; if its density is below `density0`, go to 4.
2. The unassigned points by distance to it: the leading run of dense ones is a basic cluster.
3. Remove it and go to 1.
4. Merge basic clusters while the closest two are at most `dist0` apart, member to member.
5. Every other point joins the cluster of its nearest dense point.

Mode 'literal' does that. Mode 'graph' joins dense points within `dist0` of each
other; on dense points its partition equals the literal one or refines it.
On a graph that is not exact, step 5 takes the dense point of the nearest listed
neighbour where none is listed; on an exact one the nearest is searched.
The outlier extension (`is_residual_`, `outlierness_`, `is_small_`) is ours, not MDCA.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from membergate.engine.checking import checked_choice, checked_integer, checked_number
from membergate.engine.cluster.dbscan import joined_within
from membergate.engine.cluster.estimator import DensityClusterer
from membergate.engine.errors import InvalidInputError
from membergate.engine.graph.compiling import kernel
from membergate.engine.graph.components import flatten, unite, unite_listed
from membergate.engine.graph.density import density_order, mean_density
from membergate.engine.graph.elbow import elbow
from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.graph.reach import first_listed
from membergate.engine.graph.search import exact_distance
from membergate.engine.graph.threads import Progress


class MDCA(DensityClusterer):
    """Dense points linked at a distance; every other point joins its nearest dense point.

    Parameters
    ----------
    n_neighbors
        Neighbours whose mean distance is the inverse of density.
    density0
        Density from which a point is dense, > 0; None takes the inverse of the elbow of the sorted mean distances.
        (The elbow of the densities themselves keeps only the densest clusters.)
    dist0
        Distance up to which dense points are linked, > 0; None takes 1 / `density0_`, the mean distance at which a
        point is just dense.
    mode
        'graph' or 'literal' (quadratic in the worst case: the reference).
    min_cluster_size
        Clusters with fewer rows are flagged small.
    n_jobs
        Threads for the graph; None takes every core.

    Attributes
    ----------
    labels_
        Cluster of each row; none is noise.
    density_, is_dense_
        By row.
    density0_, dist0_
        What was used.
    is_residual_, outlierness_, is_small_
        Our extension: rows that are not dense; distance to the nearest dense point / `dist0_`; rows of clusters
        that are small.
    """

    _state = (
        "labels_", "density_", "is_dense_", "density0_", "dist0_", "is_residual_", "outlierness_", "is_small_",
        "anchor_labels_",
    )  # fmt: skip

    def __init__(
        self,
        n_neighbors: int = 16,
        density0: float | None = None,
        dist0: float | None = None,
        *,
        mode: str = "graph",
        min_cluster_size: int = 5,
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.density0 = density0
        self.dist0 = dist0
        self.mode = mode
        self.min_cluster_size = min_cluster_size
        self.n_jobs = n_jobs

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Label new rows as their nearest dense point.

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
        checked_integer("n_neighbors", self.n_neighbors, 1)
        checked_integer("min_cluster_size", self.min_cluster_size, 1)
        checked_choice("mode", self.mode, ("graph", "literal"))
        for name in ("density0", "dist0"):
            if getattr(self, name) is not None:
                checked_number(name, getattr(self, name), 0.0)

    def _neighbours_needed(self, n_rows: int) -> int:  # noqa: ARG002
        return self.n_neighbors

    def _fit(self, graph: NeighbourGraph, progress: Progress | None) -> Self:
        points = graph.points
        density = mean_density(graph, self.n_neighbors)
        self.density0_ = 1.0 / elbow(1.0 / density) if self.density0 is None else float(self.density0)
        is_dense = density >= self.density0_
        if not is_dense.any():
            allowed = f"at most {density.max():g}, the largest density of these rows"
            raise InvalidInputError("density0", got=self.density0, allowed=allowed)
        self.dist0_ = 1.0 / self.density0_ if self.dist0 is None else float(self.dist0)
        parent = np.arange(points.n_points, dtype=np.int32)
        if self.mode == "literal":
            order = density_order(points, density)
            _unite_runs(points.index.rows, points.index.rank, order, is_dense, parent)
        unite_listed(parent, is_dense, self.dist0_, graph.distances, graph.neighbours)
        groups = joined_within(points, is_dense, self.dist0_, parent, progress) if self.dist0_ > 0 else _flat(parent)
        labels = points.first_rows(np.where(is_dense, groups, -1))
        self._points = points
        self._set_anchors(is_dense, labels)
        self._restore()
        to_dense, nearest = self._nearest_dense(graph, density, is_dense)
        labels = np.where(is_dense, labels, labels[nearest])
        self._publish(density, is_dense, to_dense / self.dist0_ if self.dist0_ > 0 else to_dense, labels)
        return self

    def _nearest_dense(
        self, graph: NeighbourGraph, density: NDArray[np.float64], is_dense: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Find each point's nearest dense point, itself where it is dense: listed, or else searched."""
        distances, nearest = np.full(len(is_dense), np.inf), np.full(len(is_dense), -1, dtype=np.int64)
        first_listed(
            graph.distances,
            graph.neighbours,
            self._keys,
            np.ones_like(nearest),
            np.ones_like(graph.is_proven),
            distances,
            nearest,
        )
        if not graph.exact:
            order = density_order(graph.points, density)
            _follow_listed(graph.points.index.rows, graph.neighbours, order[~is_dense[order]], distances, nearest)
        alone = np.flatnonzero(~is_dense & (nearest < 0))
        rows = graph.points.index.rows[alone]
        distances[alone], nearest[alone] = graph.points.nearest_of(
            rows, self._keys, self._cell_keys, reach=self._reach, itself=alone
        )
        places = np.arange(len(is_dense))
        return np.where(is_dense, 0.0, distances), np.where(is_dense, places, nearest)

    def _publish(
        self,
        density: NDArray[np.float64],
        is_dense: NDArray[np.bool_],
        outlierness: NDArray[np.float64],
        labels: NDArray[np.int64],
    ) -> None:
        place_of_row = self._points.place_of_row
        self.labels_ = labels[place_of_row]
        self.density_, self.is_dense_ = density[place_of_row], is_dense[place_of_row]
        self.is_residual_, self.outlierness_ = ~self.is_dense_, outlierness[place_of_row]
        self.is_small_ = np.bincount(labels, self._points.counts)[self.labels_] < self.min_cluster_size


@kernel
def _follow_listed(
    rows: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    order: NDArray[np.int64],
    distances: NDArray[np.float64],
    nearest: NDArray[np.int64],
) -> None:
    """Give points that list no dense point the one that their nearest listed neighbour has, in the order given."""
    for place in order:
        if nearest[place] >= 0:
            continue
        for other in neighbours[place]:
            if other >= 0 and nearest[other] >= 0:
                nearest[place] = nearest[other]
                distances[place] = exact_distance(rows[place], rows[nearest[other]])
                break


def _flat(parent: NDArray[np.int32]) -> NDArray[np.int64]:
    flatten(parent)
    return parent.astype(np.int64)


@kernel
def _unite_runs(
    rows: NDArray[np.float64],
    rank: NDArray[np.int64],
    order: NDArray[np.int64],
    is_dense: NDArray[np.bool_],
    parent: NDArray[np.int32],
) -> None:
    """Join each basic cluster: the run of dense points nearest to the densest point left, up to a sparse one."""
    is_left = np.ones(len(order), dtype=np.bool_)
    distances = np.empty(len(order))
    for peak in order:
        if not is_dense[peak]:
            break
        if not is_left[peak]:
            continue
        stop, stop_rank = np.inf, len(order)
        for place in range(len(order)):
            distances[place] = exact_distance(rows[peak], rows[place])
            if not is_dense[place] and (
                distances[place] < stop or (distances[place] == stop and rank[place] < stop_rank)
            ):
                stop, stop_rank = distances[place], rank[place]
        for place in range(len(order)):
            is_before = distances[place] < stop or (distances[place] == stop and rank[place] < stop_rank)
            if is_left[place] and is_dense[place] and (is_before or place == peak):
                unite(parent, peak, place)
                is_left[place] = False
