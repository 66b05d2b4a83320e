"""DBSCAN: clusters are what can be walked through dense points in steps of at most eps.

Ester, Kriegel, Sander and Xu, KDD 1996. Exact: core points, noise and
clusters are those of the definition. Where we depart: a border point within
reach of two clusters goes to the *nearest* core point (ties by content), not
to the cluster that happened to reach it first.

Cost: the eps-graph is never stored. Each point is counted until it is known to
be dense; then pairs of cells are joined, most of them in one step.
Fails where clusters have unequal density: one eps cannot serve both.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from membergate.engine.checking import checked_integer, checked_number, checked_table, checked_weights
from membergate.engine.cluster.estimator import DensityClusterer
from membergate.engine.graph.components import flatten, unite_listed
from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.graph.points import IndexedPoints
from membergate.engine.graph.reach import count_within, first_listed, link_cells
from membergate.engine.graph.threads import Progress, over_ranges

_FIRST_CELLS = 8


class DBSCAN(DensityClusterer):
    """Clusters of any shape at one density; the rest is noise (-1).

    Parameters
    ----------
    eps
        Longest step, in the unit of the data, > 0.
    min_samples
        Weight within `eps`, the point itself counted, that makes a point dense.
    n_jobs
        Threads; None takes every core. The result does not depend on it.

    Attributes
    ----------
    labels_
        Cluster of each row, shape (n,); -1 is noise. Clusters are numbered by their first dense row.
    core_sample_indices_
        Rows that are dense.
    """

    _state = ("labels_", "core_sample_indices_", "anchor_labels_")

    def __init__(self, eps: float = 0.5, min_samples: int = 5, *, n_jobs: int | None = None) -> None:
        self.eps = eps
        self.min_samples = min_samples
        self.n_jobs = n_jobs

    def fit(
        self,
        X: ArrayLike,
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
        *,
        progress: Progress | None = None,
    ) -> Self:
        """Cluster rows, each with a weight of 1 or of `sample_weight`.

        Parameters
        ----------
        X
            Rows, shape (n, d), finite.
        y
            Ignored.
        sample_weight
            Weights >= 0, not all 0, shape (n,); None is 1 each.
        progress
            Called with the name of a phase and the share of it that is done, in [0, 1].

        Returns
        -------
        Self
        """
        self._check()
        rows = checked_table(X, self)
        points = IndexedPoints.of(rows, n_jobs=self.n_jobs, progress=progress)
        weights = _weights_of(points, sample_weight)
        is_core = self._count(points, weights, np.ones(points.n_points, dtype=np.bool_), progress)
        return self._finish(points, is_core, np.arange(points.n_points, dtype=np.int32), None, progress)

    def fit_graph(
        self, graph: NeighbourGraph, sample_weight: ArrayLike | None = None, *, progress: Progress | None = None
    ) -> Self:
        """Cluster the rows of a graph; its lists spare most of the counting, and exactness is kept.

        So it is on a graph that is not exact: a listed distance is never too small, and what its lists leave open is
        counted.

        Parameters
        ----------
        graph
            A graph of n rows, with lists of any length.
        sample_weight
            Weights >= 0 of the rows, not all 0, shape (n,); None is 1 each.
        progress
            As for `fit`.

        Returns
        -------
        Self
        """
        self._check()
        self.n_features_in_ = NeighbourGraph.checked(graph).n_features
        points, weights = graph.points, _weights_of(graph.points, sample_weight)
        is_core = graph.weighted_distance(self.min_samples, weights) <= self.eps
        is_settled = is_core | (graph.is_proven & ((graph.distances[:, -1] > self.eps) | graph.covers_everything))
        if not is_settled.all():
            is_core |= self._count(points, weights, ~is_settled, progress)
        parent = np.arange(points.n_points, dtype=np.int32)
        unite_listed(parent, is_core, float(self.eps), graph.distances, graph.neighbours)
        return self._finish(points, is_core, parent, graph, progress)

    def _fit(self, graph: NeighbourGraph, progress: Progress | None) -> Self:
        return self.fit_graph(graph, progress=progress)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Label new rows as their nearest dense point within `eps`, else -1; never makes or joins clusters.

        Parameters
        ----------
        X
            Rows, shape (m, d) with m >= 1 and the d of the fit, finite.

        Returns
        -------
        numpy.ndarray
            Clusters of the fit, or -1, shape (m,).
        """
        return self._nearest_anchor_label(X, self.eps)

    def _check(self) -> None:
        checked_number("eps", self.eps, 0.0)
        checked_integer("min_samples", self.min_samples, 1)

    def _neighbours_needed(self, n_rows: int) -> int:  # noqa: ARG002
        return 1

    def _count(
        self,
        points: IndexedPoints,
        weights: NDArray[np.float64],
        wanted: NDArray[np.bool_],
        progress: Progress | None,
    ) -> NDArray[np.bool_]:
        is_core = np.zeros(points.n_points, dtype=np.bool_)
        eps, needed = float(self.eps), float(self.min_samples)

        def work(begin: int, end: int) -> None:
            count_within(points.index, begin, end, wanted, eps, weights, needed, is_core)

        over_ranges(work, points.n_cells, n_jobs=self.n_jobs, progress=progress, phase="counting")
        return is_core

    def _finish(
        self,
        points: IndexedPoints,
        is_core: NDArray[np.bool_],
        parent: NDArray[np.int32],
        graph: NeighbourGraph | None,
        progress: Progress | None,
    ) -> Self:
        groups = joined_within(points, is_core, float(self.eps), parent, progress)
        labels = points.first_rows(np.where(is_core, groups, -1))
        self._points = points
        self._set_anchors(is_core, labels)
        self._restore()
        others = np.flatnonzero(~is_core)
        nearest = self._nearest_core(points, others, graph)
        labels[others] = np.where(nearest >= 0, labels[nearest], -1)
        self.labels_ = labels[points.place_of_row]
        self.core_sample_indices_ = np.flatnonzero(is_core[points.place_of_row])
        return self

    def _nearest_core(
        self, points: IndexedPoints, others: NDArray[np.int64], graph: NeighbourGraph | None
    ) -> NDArray[np.int64]:
        """Find the nearest core of each of the other points within eps, or -1: listed, or else searched."""
        eps, nearest = float(self.eps), np.full(points.n_points, -1, dtype=np.int64)
        is_open = np.ones(points.n_points, dtype=np.bool_)
        if graph is not None:
            distances = np.full(points.n_points, np.inf)
            first_listed(
                graph.distances,
                graph.neighbours,
                self._keys,
                np.ones_like(nearest),
                graph.is_proven,
                distances,
                nearest,
            )
            is_complete = graph.is_proven & ((graph.distances[:, -1] > eps) | graph.covers_everything)
            is_open = (nearest < 0) & ~is_complete
            nearest[distances > eps] = -1
        rest = others[is_open[others]]
        _, nearest[rest] = points.nearest_of(
            points.index.rows[rest], self._keys, self._cell_keys, within=eps, reach=self._reach, itself=rest
        )
        return nearest[others]


def _weights_of(points: IndexedPoints, sample_weight: ArrayLike | None) -> NDArray[np.float64]:
    weights = checked_weights(sample_weight, len(points.place_of_row))
    if weights is None:
        return points.counts.astype(np.float64)
    return np.bincount(points.place_of_row, weights, minlength=points.n_points).astype(np.float64)


def joined_within(
    points: IndexedPoints,
    is_member: NDArray[np.bool_],
    eps: float,
    parent: NDArray[np.int32],
    progress: Progress | None = None,
) -> NDArray[np.int64]:
    """Give the component of each member, where members within `eps` of each other are joined.

    `parent` may already hold joins that are known to be right. Nearest cells
    go first: most pairs of cells are then one component when their turn comes.
    """
    index = points.index
    core_reach = points.reach_of(is_member)
    delegate = np.minimum.reduceat(np.where(is_member, np.arange(points.n_points), points.n_points), index.first[:-1])
    is_whole = np.zeros(points.n_cells, dtype=np.bool_)
    if is_member.any():
        for n_nearest in (min(_FIRST_CELLS, points.n_cells - 1), points.n_cells):

            def work(begin: int, end: int, n_nearest: int = n_nearest) -> None:
                cells = (begin, end, n_nearest)
                link_cells(index, is_member, eps, cells, parent, core_reach, is_whole, delegate)

            over_ranges(work, points.n_cells, n_jobs=1, progress=progress, phase="joining")
    flatten(parent)
    return parent.astype(np.int64)
