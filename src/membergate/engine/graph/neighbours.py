"""The neighbour graph: each point's nearest points and how far away they are, found once for every algorithm."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from membergate.engine.checking import checked_flag, checked_integer, checked_number, checked_table, checked_weights
from membergate.engine.errors import InvalidInputError
from membergate.engine.graph.cells import COARSE, FINE
from membergate.engine.graph.elbow import elbow
from membergate.engine.graph.points import IndexedPoints
from membergate.engine.graph.threads import Progress

_SHARES_AGAIN = (0.1, 0.2)
"""Least and largest share of the points, the sparsest, that an approximate graph searches again."""


class NeighbourGraph:
    """The k nearest neighbours of every distinct point.

    Equal rows are one point with a count. Points are listed by place, their
    position in the index; `points.place_of_row` leads from rows to places.

    Parameters
    ----------
    X
        Rows, shape (n, d), finite.
    n_neighbors
        Neighbours kept for each point, itself not counted; at least the largest `min_samples` - 1 and
        `n_neighbors` that will be asked for.
    exact
        Whether every list must be right. If not, each point looks into its `n_cells` nearest cells only, and the
        sparsest points, whose scores matter most, are searched again exactly, and so are points whose cells cannot fill
        a list.
    n_cells
        Cells looked into where the graph is not exact. Fewer make clustered points look sparser than they are, and
        move the local outlier factor: its area under the curve for noise by 0.001 at eight, 0.004 at four and 0.011 at
        two cells (200,000 points on 48 axes).
    exact_share
        Share of the points, those with the largest k-distance, that are searched again, in [0, 1]; None takes those
        beyond the elbow of the k-distances, a tenth at least and a fifth at most.
    n_jobs
        Threads; None takes every core. No result depends on it.
    progress
        Called with the name of a phase and the share done.

    Attributes
    ----------
    points
        The indexed points.
    distances, neighbours
        Shape (u, k), sorted by distance and content; infinity and -1 beyond the last point.
    is_proven
        Whether a point's list is proven right, shape (u,).
    report
        What was done: points, duplicates, cells, share proven, share searched again.

    Notes
    -----
    Cost at 100k x 48: about 5 CPU seconds exact, 12 k bytes a point beside two copies of the data. Results
    depend neither on the order of the rows nor on threads or machine, since candidates are only screened in
    float32 and always decided in float64.
    """

    def __init__(
        self,
        X: ArrayLike,
        n_neighbors: int = 32,
        *,
        exact: bool = True,
        n_cells: int = 8,
        exact_share: float | None = None,
        n_jobs: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        rows = checked_table(X)
        n_neighbors = checked_integer("n_neighbors", n_neighbors, 1)
        n_cells = checked_integer("n_cells", n_cells, 1)
        self.n_features = rows.shape[1]
        self.n_rows = len(rows)
        self.exact = checked_flag("exact", exact)
        fineness = FINE if exact else COARSE
        self.points = IndexedPoints.of(rows, fineness=fineness, n_jobs=n_jobs, progress=progress)
        self.n_neighbors = n_neighbors
        width = max(1, min(n_neighbors, self.points.n_points - 1))
        searched = n_cells if not exact else None
        lists = self.points.listed(width, searched, n_jobs=n_jobs, progress=progress)
        self.distances, self.neighbours, self.is_proven = lists
        n_again = 0 if exact else self._search_again(exact_share, n_jobs, progress)
        self.report: dict[str, Any] = {
            "rows": self.n_rows,
            "distinct_points": self.points.n_points,
            "cells": self.points.n_cells,
            "proven_share": float(self.is_proven.mean()),
            "searched_again_share": n_again / self.points.n_points,
        }

    def _share_again(self, exact_share: float | None) -> float:
        if exact_share is not None:
            return 0.0 if exact_share == 0 else checked_number("exact_share", exact_share, 0.0, up_to=1.0)
        reach = self.distances[:, -1]
        return float(np.clip((reach > elbow(reach)).mean(), *_SHARES_AGAIN))

    def _search_again(self, exact_share: float | None, n_jobs: int | None, progress: Progress | None) -> int:
        """Search exactly for the sparsest points, and for those that the cells looked into cannot fill a list of."""
        n_sparsest = round(self._share_again(exact_share) * self.points.n_points)
        wanted = self.neighbours[:, -1] < 0 if self.points.n_points > 1 else ~self.is_proven
        wanted[np.argpartition(-self.distances[:, -1], max(n_sparsest - 1, 0))[:n_sparsest]] = True
        if wanted.any():
            lists = (self.distances, self.neighbours, self.is_proven)
            self.points.list_again(lists, wanted, n_jobs=n_jobs, progress=progress)
        return int(wanted.sum())

    @staticmethod
    def checked(graph: object) -> NeighbourGraph:
        """Give the graph, or say that it is none.

        Parameters
        ----------
        graph
            What was given as a graph.

        Returns
        -------
        NeighbourGraph

        Raises
        ------
        InvalidInputError
            For anything else.
        """
        if not isinstance(graph, NeighbourGraph):
            allowed = "a NeighbourGraph: NeighbourGraph(rows) makes one"
            raise InvalidInputError("graph", got=f"a {type(graph).__name__}", allowed=allowed)
        return graph

    def weighted(self, sample_weight: ArrayLike) -> NeighbourGraph:
        """Give the same graph, a row of weight w standing for w equal rows; nothing is searched again.

        Parameters
        ----------
        sample_weight
            Weights >= 1 of the rows, shape (n,). (Lighter rows would need longer lists; `DBSCAN` takes them.)

        Returns
        -------
        NeighbourGraph
            Shares every array with this one but the counts of the points.
        """
        weights = checked_weights(sample_weight, self.n_rows, least=1.0)
        twin = copy.copy(self)
        if weights is not None:
            twin.points = self.points.weighted(weights)
        return twin

    @property
    def total_weight(self) -> float:
        """Rows, or what they weigh together."""
        return float(self.points.counts.sum())

    @property
    def covers_everything(self) -> bool:
        """Whether every point lists all the others."""
        return bool(self.distances.shape[1] >= self.points.n_points - 1)

    def weighted_distance(self, needed: float, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Give the distance within which each point's neighbours, itself counted, weigh at least `needed`.

        Infinity where the list does not reach that far.

        Parameters
        ----------
        needed
            Weight to be reached, > 0.
        weights
            Weights >= 0 of the points by place, shape (u,); None takes the number of rows that each stands for.

        Returns
        -------
        numpy.ndarray
            Distances >= 0, shape (u,); 0 where a point weighs enough by itself.
        """
        weights = self.points.counts.astype(np.float64) if weights is None else weights
        if (weights == 1).all():
            column = int(np.ceil(needed)) - 2
            if column < 0:
                return np.zeros(len(weights))
            if column >= self.distances.shape[1]:
                return np.full(len(weights), np.inf)
            return self.distances[:, column].copy()
        listed = np.where(self.neighbours >= 0, weights[self.neighbours], 0.0)
        total = weights[:, None] + np.cumsum(listed, axis=1)
        is_enough = total >= needed
        slot = is_enough.argmax(axis=1)
        reached = np.where(is_enough.any(axis=1), self.distances[np.arange(len(slot)), slot], np.inf)
        return np.where(weights >= needed, 0.0, reached)
