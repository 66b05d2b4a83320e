"""Detectors that other libraries hold, with the engine's manners: isolation forest, and PyOD's (ECOD and the like).

They are not rewritten here. What is added: the sign (larger is more normal),
the threshold, and the checks of what comes in. Their state is their library's:
it cannot be given out as plain arrays.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils.validation import check_is_fitted

from membergate.engine.checking import checked_integer, checked_number, checked_rows

_LARGEST_SHARE = 0.5


class OutlierModel(Protocol):
    """What is asked of a library's detector; PyOD's detectors have it."""

    def fit(self, X: NDArray[np.float64]) -> Any:
        """Learn what is normal."""

    def decision_function(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score rows."""


class LibraryDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """A library's outlier detector that scores and predicts as the engine's own do.

    Parameters
    ----------
    model
        An unfitted detector; it is copied before it is fitted.
    larger_is_odder
        Whether the model's scores grow with oddness, as PyOD's do; scikit-learn's fall.
    contamination
        Share of the training rows that `predict` calls outliers, in (0, 0.5].
    one_by_one
        Whether rows are scored one at a time: for models whose score of a row depends on the rows that it is asked
        with, as ECOD's and COPOD's does.

    Attributes
    ----------
    model_
        The fitted model.
    training_scores_
        Scores of the training rows, shape (n,).
    offset_
        Score below which `predict` calls a row an outlier.
    """

    def __init__(
        self,
        model: OutlierModel,
        *,
        larger_is_odder: bool = True,
        contamination: float = 0.1,
        one_by_one: bool = False,
    ) -> None:
        self.model = model
        self.one_by_one = one_by_one
        self.larger_is_odder = larger_is_odder
        self.contamination = contamination

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002
        """Learn what is normal.

        Parameters
        ----------
        X
            Rows, shape (n, d), finite.
        y
            Ignored.

        Returns
        -------
        Self
        """
        checked_number("contamination", self.contamination, 0.0, up_to=_LARGEST_SHARE)
        rows = checked_rows(X, self)
        self.model_ = clone(self.model, safe=False)
        self.model_.fit(rows)
        self.training_scores_ = self._score(rows)
        self.offset_ = float(np.percentile(self.training_scores_, 100.0 * self.contamination))
        return self

    def _score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        scores = np.asarray(self.model_.decision_function(rows), dtype=np.float64)
        return -scores if self.larger_is_odder else scores

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score rows, shape (n,); larger is more normal.

        Parameters
        ----------
        X
            Rows, shape (m, d) with the d of the fit, finite.

        Returns
        -------
        numpy.ndarray
            Scores, shape (m,).
        """
        check_is_fitted(self)
        rows = checked_rows(X, self, reset=False)
        if not self.one_by_one:
            return self._score(rows)
        return np.concatenate([self._score(rows[i : i + 1]) for i in range(len(rows))])

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score new rows, shifted so that outliers are negative.

        Parameters
        ----------
        X
            Rows, shape (m, d) with the d of the fit, finite.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Tell +1 (normal) from -1 (outlier).

        Parameters
        ----------
        X
            Rows, shape (m, d) with the d of the fit, finite.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def fit_predict(self, X: ArrayLike, y: object = None) -> NDArray[np.int64]:  # noqa: ARG002
        """Fit, and tell +1 from -1 for the training rows.

        Parameters
        ----------
        X
            Rows, shape (n, d), finite.
        y
            Ignored.
        """
        self.fit(X)
        return np.where(self.training_scores_ < self.offset_, -1, 1)


def isolation_forest(n_trees: int = 100, *, contamination: float = 0.1, seed: int = 0) -> LibraryDetector:
    """Give scikit-learn's isolation forest: for points that are odd to everybody, whatever the distance.

    Liu, Ting and Zhou, ICDM 2008, doi:10.1109/ICDM.2008.17.

    Parameters
    ----------
    n_trees
        Trees, >= 1.
    contamination
        Share of the training rows that `predict` calls outliers, in (0, 0.5].
    seed
        Seed of the trees, >= 0.

    Returns
    -------
    LibraryDetector
    """
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 -- it loads the trees of scikit-learn

    forest = IsolationForest(
        n_estimators=checked_integer("n_trees", n_trees, 1), random_state=checked_integer("seed", seed, 0)
    )
    return LibraryDetector(forest, larger_is_odder=False, contamination=contamination)
