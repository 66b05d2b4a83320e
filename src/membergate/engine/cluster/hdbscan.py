"""HDBSCAN: DBSCAN at every density at once; the clusters that last longest are kept.

Campello, Moulavi and Sander, PAKDD 2013; excess of mass: Campello et al., TKDD
2015; selection epsilon: Malzer and Baum, MFI 2020. The spanning tree is exact:
see `spanning_tree`. Rows that are equal hang together at their core distance; a
weight stands for equal rows, and where one weighs as much as a cluster, many
edges are equally long and the content order decides. Of edges equally long, those
listed are taken first: there, heights never depend on how many neighbours a
graph lists, but labels may.

Cost: the graph, then about 10 to 40 microseconds a point. Fails where clusters
touch in a long even slope: no split lasts, and neighbours melt into one.
"""

from __future__ import annotations

from numbers import Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from membergate.engine.checking import checked_choice, checked_flag, checked_integer, checked_number
from membergate.engine.cluster.condensed_tree import (
    CondensedTree,
    condense,
    largest_density,
    raise_to_distance,
    select_by_mass,
    select_leaves,
    selected_ancestor,
    stabilities,
)
from membergate.engine.cluster.estimator import DensityClusterer
from membergate.engine.cluster.spanning_tree import single_linkage, spanning_tree
from membergate.engine.errors import InvalidInputError
from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.graph.threads import Progress

_FEWEST_LISTED = 8
"""Listing a few neighbours more than needed spares more searches than it costs."""


class HDBSCAN(DensityClusterer):
    """Clusters of unequal density, with how surely each row belongs.

    Parameters
    ----------
    min_cluster_size
        Rows that make a cluster, >= 2.
    min_samples
        Points, itself counted, that set a core distance; None takes `min_cluster_size`.
    cluster_selection_method
        'eom' (excess of mass) or 'leaf'.
    cluster_selection_epsilon
        Splits below this distance are undone.
    allow_single_cluster
        Whether all rows may be one cluster.
    max_cluster_size
        Largest cluster that 'eom' may select; None sets no limit.
    n_jobs
        Threads for the graph; None takes every core.

    Attributes
    ----------
    labels_, probabilities_
        Cluster of each row (-1: noise), and how far inside it lies, in [0, 1].
    persistence_
        Excess of mass of each cluster.
    condensed_tree_
        See `CondensedTree`.
    spanning_tree_
        Edges of the spanning tree as (row, row, mutual reachability), lightest first, shape (n - 1, 3).
    linkage_
        Single-linkage merges as (node, node, height, size), as SciPy has them, shape (n - 1, 4).
    """

    _state = ("labels_", "probabilities_", "persistence_", "core_distances_", "anchor_labels_")

    def __init__(
        self,
        min_cluster_size: int = 5,
        min_samples: int | None = None,
        *,
        cluster_selection_method: str = "eom",
        cluster_selection_epsilon: float = 0.0,
        allow_single_cluster: bool = False,
        max_cluster_size: int | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.min_cluster_size = min_cluster_size
        self.min_samples = min_samples
        self.cluster_selection_method = cluster_selection_method
        self.cluster_selection_epsilon = cluster_selection_epsilon
        self.allow_single_cluster = allow_single_cluster
        self.max_cluster_size = max_cluster_size
        self.n_jobs = n_jobs

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Label new rows as their nearest clustered point, within the largest core distance of any such; else -1.

        Parameters
        ----------
        X
            Rows, shape (m, d) with m >= 1 and the d of the fit, finite.

        Returns
        -------
        numpy.ndarray
            Clusters of the fit, or -1, shape (m,).
        """
        within = float(self.core_distances_[self.labels_ >= 0].max(initial=0.0)) if hasattr(self, "labels_") else 0.0
        return self._nearest_anchor_label(X, within)

    def _check(self) -> None:
        checked_integer("min_cluster_size", self.min_cluster_size, 2)
        if self.min_samples is not None:
            checked_integer("min_samples", self.min_samples, 1)
        if self.max_cluster_size is not None:
            checked_integer("max_cluster_size", self.max_cluster_size, 1)
        checked_choice("cluster_selection_method", self.cluster_selection_method, ("eom", "leaf"))
        checked_flag("allow_single_cluster", self.allow_single_cluster)
        if not (isinstance(self.cluster_selection_epsilon, Real) and self.cluster_selection_epsilon == 0):
            checked_number("cluster_selection_epsilon", self.cluster_selection_epsilon, 0.0)

    def _neighbours_needed(self, n_rows: int) -> int:  # noqa: ARG002
        return (self.min_samples or self.min_cluster_size) - 1

    def _neighbours_wanted(self, n_rows: int) -> int:
        return max(self._neighbours_needed(n_rows), _FEWEST_LISTED)

    def _fit(self, graph: NeighbourGraph, progress: Progress | None) -> Self:
        n_core = self.min_samples or self.min_cluster_size
        if n_core > graph.total_weight:
            got = f"{n_core} with n_samples = {graph.n_rows}"
            raise InvalidInputError("min_samples", got=got, allowed="at most n_samples")
        points = graph.points
        core = graph.weighted_distance(n_core)
        complete = np.full(points.n_points, np.inf) if graph.covers_everything else graph.distances[:, -1]
        ends, weights = spanning_tree(points.index, core, (graph.distances, graph.neighbours), complete, progress)
        self._points = points
        self.core_distances_ = core[points.place_of_row]
        edges, lengths = self._with_copies(points.row_of_place[ends], weights)
        rank = points.index.rank[points.place_of_row][edges]  # which of equally long edges was found first depends on
        order = np.lexsort((rank.max(axis=1), rank.min(axis=1), lengths))  # the machine's axes; contents do not
        self.spanning_tree_ = np.column_stack([edges[order], lengths[order]])
        weights_of_rows = self._row_weights(graph)
        children, heights, sizes = single_linkage(edges, lengths, order, weights_of_rows)
        self.linkage_ = np.column_stack([children, heights, sizes])
        rows = (weights_of_rows, self.core_distances_)
        self._select(condense(children, heights, sizes, rows, self.min_cluster_size))
        self.anchor_labels_ = self.labels_[points.row_of_place]
        self._restore()
        return self

    def _row_weights(self, graph: NeighbourGraph) -> NDArray[np.float64]:
        """Give 1 to each row that equals an earlier one, and what is left of the point's weight to the first."""
        weights, points = np.ones(graph.n_rows), graph.points
        weights[points.row_of_place] = points.counts - np.bincount(points.place_of_row) + 1.0
        return weights

    def _with_copies(
        self, ends: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Hang equal rows on the first of them."""
        first = self._points.row_of_place[self._points.place_of_row]
        copies = np.flatnonzero(first != np.arange(len(first)))
        edges = np.concatenate([ends, np.column_stack([first[copies], copies])])
        return edges, np.concatenate([weights, self.core_distances_[copies]])

    def _select(self, tree: CondensedTree) -> None:
        single = bool(self.allow_single_cluster)
        if self.cluster_selection_method == "leaf":
            is_selected = select_leaves(tree, allow_single_cluster=single)
        else:
            is_selected = select_by_mass(tree, allow_single_cluster=single, max_cluster_size=self.max_cluster_size)
        if self.cluster_selection_epsilon > 0 and not is_selected[0]:
            is_selected = raise_to_distance(
                tree, is_selected, self.cluster_selection_epsilon, allow_single_cluster=single
            )
        ancestor = selected_ancestor(tree, is_selected)[tree.row_cluster]
        largest = largest_density(tree)
        if is_selected[0]:
            epsilon = self.cluster_selection_epsilon
            needed = 1 / epsilon if epsilon > 0 else largest[0]
            ancestor = np.where(tree.row_density >= needed, ancestor, -1)
        number = np.cumsum(is_selected) - 1
        self.labels_ = np.where(ancestor >= 0, number[ancestor], -1)
        limit = np.where(ancestor >= 0, largest[ancestor], np.inf)
        density = np.minimum(tree.row_density, limit)
        is_sure = (limit == 0) | np.isinf(tree.row_density)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(is_sure, 1.0, density / limit)
        self.probabilities_ = np.where(ancestor >= 0, share, 0.0)
        self.persistence_ = stabilities(tree)[is_selected]
        self.condensed_tree_ = tree
