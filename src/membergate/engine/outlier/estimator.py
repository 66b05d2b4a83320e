"""What every outlier detector shares: larger scores are more normal; `predict` gives +1 or -1."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from membergate.engine.errors import InvalidInputError
from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.state import ArrayState


class NeighbourDetector(ArrayState, OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the detectors; a subclass writes `_fit` and `_score`."""

    n_neighbors: int
    contamination: float
    offset_: float
    training_scores_: NDArray[np.float64]

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002
        """Learn what is normal from the rows of `X`, shape (n, d); `y` is ignored."""
        rows = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        return self.fit_graph(NeighbourGraph(rows, self.n_neighbors))

    def fit_graph(self, graph: NeighbourGraph) -> Self:
        """Learn what is normal from a graph that is already there."""
        if not 0 < self.contamination <= 0.5:  # noqa: PLR2004
            raise InvalidInputError("contamination", got=self.contamination, allowed="a share in (0, 0.5]")
        if self.n_neighbors > graph.n_neighbors and graph.n_neighbors < len(graph.points) - 1:
            raise InvalidInputError(
                "n_neighbors", got=self.n_neighbors, allowed=f"1 to {graph.n_neighbors}, which the graph holds"
            )
        self.n_features_in_ = graph.points.shape[1]
        self._fit(graph)
        self.offset_ = float(np.percentile(self.training_scores_, 100.0 * self.contamination))
        return self

    def _fit(self, graph: NeighbourGraph) -> None:
        raise NotImplementedError

    def _score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        raise NotImplementedError

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score new rows, shape (n,); larger is more normal. A row's score does not depend on its batch."""
        check_is_fitted(self)
        return self._score(validate_data(self, X, reset=False, dtype=np.float64))

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
