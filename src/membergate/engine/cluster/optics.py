"""OPTICS: the order in which density is walked, and how far each point is from what was walked before.

Ankerst, Breunig, Kriegel and Sander, SIGMOD 1999. Exact for every `max_eps`,
infinity included, although only lists are kept: see `optics_walk`. The walk
begins at the first row and takes the first row among equals, as scikit-learn
does; with another order of the rows the same valleys come in another order.
Two kinds of equals are taken otherwise: a row equal to another follows it at
once, where scikit-learn's may wait and then be reached from a denser row just
as near; and points exactly as far as a list reaches come after those listed.
On a graph that is not exact the walk keeps to the lists: reachability is at
least the true one, and where no list leads on, it begins anew.

Cost: the graph, then about 10 to 60 microseconds a point. A small `max_eps` is
cheaper. Fails where valleys have no clear walls: then read the plot.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from membergate.engine.checking import checked_choice, checked_integer, checked_number
from membergate.engine.cluster.estimator import DensityClusterer
from membergate.engine.cluster.optics_walk import walk
from membergate.engine.errors import InvalidInputError
from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.graph.threads import Progress

_STEEPEST = 1.0 - 1e-9
"""At 1 no wall is steep enough."""
_FEWEST_LISTED = 16
_LISTED_SHARE = 1.6
"""Listing more neighbours than needed spares more searches than it costs."""


class OPTICS(DensityClusterer):
    """Every density at once, as a reachability plot; clusters are cut from it.

    Parameters
    ----------
    min_samples
        Points, itself counted, that set a point's core distance, >= 2; a float in (0, 1] is a share of the rows.
    max_eps
        Longest step considered, in the unit of the data.
    cluster_method
        'xi' (steep walls) or 'dbscan' (a cut at `eps`).
    eps
        Where 'dbscan' cuts; None takes `max_eps`.
    xi
        Steepness that bounds a cluster, in (0, 1).
    min_cluster_size
        Fewest rows of a 'xi' cluster; None takes `min_samples`.
    n_jobs
        Threads for the graph; None takes every core.

    Attributes
    ----------
    ordering_
        Rows in the order of the walk.
    reachability_, core_distances_, predecessor_
        By row, shape (n,); infinity, infinity and -1 where there is none.
    labels_
        Cluster of each row; -1 is noise.
    """

    _state = ("labels_", "ordering_", "reachability_", "core_distances_", "predecessor_", "anchor_labels_")

    def __init__(
        self,
        min_samples: float = 5,
        max_eps: float = np.inf,
        *,
        cluster_method: str = "xi",
        eps: float | None = None,
        xi: float = 0.05,
        min_cluster_size: int | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.min_samples = min_samples
        self.max_eps = max_eps
        self.cluster_method = cluster_method
        self.eps = eps
        self.xi = xi
        self.min_cluster_size = min_cluster_size
        self.n_jobs = n_jobs

    def extract_dbscan(self, eps: float) -> NDArray[np.int64]:
        """Cut the plot at `eps`; at most `max_eps`."""
        from sklearn.cluster import cluster_optics_dbscan  # noqa: PLC0415 -- it loads ten megabytes

        self._check_is_fitted()
        eps = checked_number("eps", eps, 0.0, up_to=self.max_eps)
        labels: NDArray[np.int64] = cluster_optics_dbscan(
            reachability=self.reachability_, core_distances=self.core_distances_, ordering=self.ordering_, eps=eps
        )
        return labels

    def extract_xi(self, xi: float | None = None, min_cluster_size: int | None = None) -> NDArray[np.int64]:
        """Cut the plot at walls of steepness `xi`."""
        from sklearn.cluster import cluster_optics_xi  # noqa: PLC0415 -- it loads ten megabytes

        self._check_is_fitted()
        steepness = checked_number("xi", self.xi if xi is None else xi, 0.0, up_to=_STEEPEST)
        n_rows, smallest = len(self.ordering_), self.min_cluster_size if min_cluster_size is None else min_cluster_size
        if smallest is not None and checked_integer("min_cluster_size", smallest, 2) > n_rows:
            got = f"{smallest} with n_samples = {n_rows}"
            raise InvalidInputError("min_cluster_size", got=got, allowed="at most n_samples")
        with np.errstate(divide="ignore"):  # reachability is 0 among equal rows
            labels: NDArray[np.int64] = cluster_optics_xi(
                reachability=self.reachability_,
                predecessor=self.predecessor_,
                ordering=self.ordering_,
                min_samples=self._needed(n_rows),
                min_cluster_size=smallest,
                xi=steepness,
            )[0]
        return labels

    def _check(self) -> None:
        share: Any = self.min_samples
        if isinstance(share, Integral):
            checked_integer("min_samples", self.min_samples, 2)
        else:
            checked_number("min_samples", self.min_samples, 0.0, up_to=1.0)
        checked_number("max_eps", self.max_eps, 0.0)
        checked_number("xi", self.xi, 0.0, up_to=_STEEPEST)
        if self.min_cluster_size is not None:
            checked_integer("min_cluster_size", self.min_cluster_size, 2)
        checked_choice("cluster_method", self.cluster_method, ("xi", "dbscan"))
        if self.eps is not None:
            checked_number("eps", self.eps, 0.0, up_to=self.max_eps)

    def _needed(self, n_rows: int) -> int:
        share: Any = self.min_samples
        return int(share) if isinstance(share, Integral) else max(2, int(share * n_rows))

    def _neighbours_needed(self, n_rows: int) -> int:
        return self._needed(n_rows) - 1

    def _neighbours_wanted(self, n_rows: int) -> int:
        return max(round(_LISTED_SHARE * self._neighbours_needed(n_rows)), _FEWEST_LISTED)

    def _fit(self, graph: NeighbourGraph, progress: Progress | None) -> Self:
        needed = self._needed(graph.n_rows)
        if self.cluster_method == "xi" and graph.total_weight != graph.n_rows:
            got = "weights, with cluster_method='xi'"
            allowed = "none: steepness counts the rows of the plot; take cluster_method='dbscan', or repeat the rows"
            raise InvalidInputError("sample_weight", got=got, allowed=allowed)
        if needed > graph.total_weight:
            raise InvalidInputError(
                "min_samples", got=f"{needed} with n_samples = {graph.n_rows}", allowed="at most n_samples"
            )
        points = graph.points
        core = graph.weighted_distance(needed)
        core[core > self.max_eps] = np.inf
        is_complete = graph.covers_everything or not graph.exact  # beyond approximate lists nothing is searched
        complete = np.full(points.n_points, np.inf) if is_complete else graph.distances[:, -1].copy()
        lists = (graph.distances, graph.neighbours)
        order, reachability, predecessor = walk(
            points.index, points.row_of_place, core, float(self.max_eps), lists, complete, progress
        )
        self._points = points
        self._spread(order, reachability, predecessor, core)
        is_cut = self.cluster_method == "dbscan"
        eps = self.max_eps if self.eps is None else self.eps
        self.labels_ = self.extract_dbscan(eps) if is_cut else self.extract_xi()
        self.anchor_labels_ = self.labels_[points.row_of_place]
        self._restore()
        return self

    def _spread(
        self,
        order: NDArray[np.int64],
        reachability: NDArray[np.float64],
        predecessor: NDArray[np.int64],
        core: NDArray[np.float64],
    ) -> None:
        """Go from points to rows: a row equal to another follows it at once, at its core distance."""
        points = self._points
        rows_by_place = np.argsort(points.place_of_row, kind="stable")
        begins = np.searchsorted(points.place_of_row[rows_by_place], np.arange(points.n_points + 1))
        counts = np.diff(begins)[order]
        starts = np.repeat(begins[order] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        self.ordering_ = rows_by_place[starts + np.arange(counts.sum())]
        first = points.row_of_place[points.place_of_row]
        is_copy = first != np.arange(len(first))
        self.core_distances_ = core[points.place_of_row]
        reach = reachability[points.place_of_row]
        self.reachability_ = np.where(is_copy, np.minimum(reach, self.core_distances_), reach)
        rows_before = np.where(predecessor >= 0, points.row_of_place[predecessor], -1)[points.place_of_row]
        self.predecessor_ = np.where(is_copy & (self.core_distances_ <= reach), first, rows_before)
