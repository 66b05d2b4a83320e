"""What every outlier detector shares: larger scores are more normal; `predict` gives +1 or -1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from membergate.engine.checking import checked_integer, checked_new_rows, checked_number, checked_table
from membergate.engine.errors import InvalidInputError
from membergate.engine.estimator import Estimator
from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.graph.threads import Progress

_LARGEST_SHARE = 0.5


class NeighbourDetector(Estimator, ABC):
    """Base of the detectors; a subclass writes `_fit` and `_score`."""

    _kind = "outlier_detector"
    n_neighbors: int
    contamination: float
    n_jobs: int | None
    offset_: float
    point_scores_: NDArray[np.float64]
    training_scores_: NDArray[np.float64]

    def fit(self, X: ArrayLike, y: object = None, *, progress: Progress | None = None) -> Self:  # noqa: ARG002
        """Learn what is normal.

        Parameters
        ----------
        X
            Rows, shape (n, d), finite.
        y
            Ignored.
        progress
            Called with the name of a phase and the share of it that is done, in [0, 1].

        Returns
        -------
        Self
        """
        return self._finish(self._graph_of(X, progress))

    def _graph_of(self, X: ArrayLike, progress: Progress | None) -> NeighbourGraph:
        self._check()
        return NeighbourGraph(checked_table(X, self), self.n_neighbors, n_jobs=self.n_jobs, progress=progress)

    def fit_graph(self, graph: NeighbourGraph) -> Self:
        """Learn what is normal from a graph that lists at least `n_neighbors` neighbours."""
        self._check()
        if NeighbourGraph.checked(graph).n_neighbors < self.n_neighbors and not graph.covers_everything:
            raise InvalidInputError(
                "n_neighbors", got=self.n_neighbors, allowed=f"1 to {graph.n_neighbors}, as the graph lists"
            )
        self.n_features_in_ = graph.n_features
        return self._finish(graph)

    def _restore(self) -> None:
        self.training_scores_ = self.point_scores_[self._points.place_of_row]

    def _check(self) -> None:
        checked_integer("n_neighbors", self.n_neighbors, 1)
        checked_number("contamination", self.contamination, 0.0, up_to=_LARGEST_SHARE)

    def _finish(self, graph: NeighbourGraph) -> Self:
        self._points = graph.points
        self.point_scores_ = self._fit(graph)
        self.training_scores_ = self.point_scores_[graph.points.place_of_row]
        self.offset_ = float(np.percentile(self.training_scores_, 100.0 * self.contamination))
        return self

    @abstractmethod
    def _fit(self, graph: NeighbourGraph) -> NDArray[np.float64]:
        """Give the score of each point."""

    @abstractmethod
    def _score(self, distances: NDArray[np.float64], places: NDArray[np.int32]) -> NDArray[np.float64]:
        """Score rows by their nearest points."""

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score rows, shape (n,); larger is more normal. A row's score does not depend on its batch.

        A row equal to a training point is taken to be that point, and has its score.
        """
        self._check_is_fitted()
        rows = checked_new_rows(X, self)
        distances, places = self._points.neighbours_of(rows, min(self.n_neighbors, self._points.n_points))
        return np.where(distances[:, 0] == 0, self.point_scores_[places[:, 0]], self._score(distances, places))

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score new rows, shifted so that outliers are negative."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Tell +1 (normal) from -1 (outlier)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def fit_predict(self, X: ArrayLike, y: object = None) -> NDArray[np.int64]:  # noqa: ARG002
        """Fit, and tell +1 from -1 for the training rows."""
        self.fit(X)
        return np.where(self.training_scores_ < self.offset_, -1, 1)
