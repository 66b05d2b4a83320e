"""What every clusterer shares: fitted from rows or from a graph, label -1 for noise, anchors for prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from membergate.engine.checking import checked_new_rows, checked_table, checked_weights
from membergate.engine.errors import InvalidInputError
from membergate.engine.estimator import Estimator
from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.graph.threads import Progress


class DensityClusterer(Estimator, ABC):
    """Base of the clusterers; a subclass writes `_check`, `_neighbours_needed` and `_fit`."""

    _kind = "clusterer"
    labels_: NDArray[np.int64]
    n_jobs: int | None

    def fit(
        self,
        X: ArrayLike,
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
        *,
        progress: Progress | None = None,
    ) -> Self:
        """Cluster rows.

        Parameters
        ----------
        X
            Rows, shape (n, d), finite.
        y
            Ignored.
        sample_weight
            Weights >= 1, shape (n,): a row of weight w stands for w equal rows; None is 1 each.
        progress
            Called with the name of a phase and the share of it that is done, in [0, 1].

        Returns
        -------
        Self

        Raises
        ------
        InvalidInputError
            For rows or a parameter that cannot be worked with.
        """
        self._check()
        rows = checked_table(X, self)
        if sample_weight is not None:
            checked_weights(sample_weight, len(rows), least=1.0)
        graph = NeighbourGraph(rows, self._neighbours_wanted(len(rows)), n_jobs=self.n_jobs, progress=progress)
        return self._fit(graph if sample_weight is None else graph.weighted(sample_weight), progress)

    def fit_predict(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> NDArray[np.int64]:
        """Cluster rows and give their labels; see `fit`.

        Parameters
        ----------
        X
            Rows, shape (n, d), finite.
        y
            Ignored.
        sample_weight
            As for `fit`.

        Returns
        -------
        numpy.ndarray
            `labels_`, shape (n,).
        """
        return self.fit(X, y, sample_weight).labels_

    def fit_graph(
        self, graph: NeighbourGraph, sample_weight: ArrayLike | None = None, *, progress: Progress | None = None
    ) -> Self:
        """Cluster the rows of a graph that is already there.

        Parameters
        ----------
        graph
            A graph that lists at least as many neighbours as the parameters ask for.
        sample_weight
            Weights >= 1 of the rows, shape (n,); None is 1 each.
        progress
            As for `fit`.

        Returns
        -------
        Self
        """
        self._check()
        needed = self._neighbours_needed(NeighbourGraph.checked(graph).n_rows)
        if graph.n_neighbors < needed and not graph.covers_everything:
            raise InvalidInputError("graph", got=f"{graph.n_neighbors} neighbours", allowed=f"at least {needed}")
        self.n_features_in_ = graph.n_features
        return self._fit(graph if sample_weight is None else graph.weighted(sample_weight), progress)

    @abstractmethod
    def _check(self) -> None:
        """Refuse parameters that cannot be worked with."""

    @abstractmethod
    def _neighbours_needed(self, n_rows: int) -> int:
        """Give how many neighbours of each row a graph must list."""

    def _neighbours_wanted(self, n_rows: int) -> int:
        """Give how many neighbours `fit` lists: more than needed where searches cost more than lists."""
        return self._neighbours_needed(n_rows)

    @abstractmethod
    def _fit(self, graph: NeighbourGraph, progress: Progress | None) -> Self:
        """Cluster a graph's rows."""

    def _set_anchors(self, is_anchor: NDArray[np.bool_], labels: NDArray[np.int64]) -> None:
        """Keep which points give their label to new rows."""
        self.anchor_labels_ = np.where(is_anchor, labels, -1)

    def _restore(self) -> None:
        self._keys = np.where(self.anchor_labels_ >= 0, 0, 1).astype(np.int64)
        self._cell_keys = self._points.smallest_in_cells(self._keys)
        self._reach = self._points.reach_of(self.anchor_labels_ >= 0)

    def _nearest_anchor_label(self, X: ArrayLike, within: float) -> NDArray[np.int64]:
        """Label each row as its nearest anchor within a distance, else -1."""
        self._check_is_fitted()
        rows = checked_new_rows(X, self)
        _, nearest = self._points.nearest_of(rows, self._keys, self._cell_keys, within=within, reach=self._reach)
        return np.where(nearest >= 0, self.anchor_labels_[nearest], -1)
