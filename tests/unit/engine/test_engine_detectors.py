"""One suite for every outlier detector, the engine's own and those of other libraries."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
import pytest
from engine_shapes import SHAPES  # type: ignore[import-not-found]
from numpy.typing import NDArray

from membergate.engine import InvalidInputError, KDistance, LocalOutlierFactor
from membergate.engine.outlier import LibraryDetector, isolation_forest


class _TailDetector:
    """A detector with PyOD's interface, larger being odder: how far in its tail the worst column is, as ECOD asks."""

    def fit(self, X: NDArray[np.float64]) -> _TailDetector:
        self.sorted_ = np.sort(X, axis=0)
        return self

    def decision_function(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        shares = np.stack([np.searchsorted(self.sorted_[:, i], X[:, i]) for i in range(X.shape[1])], axis=1)
        tails = np.minimum(shares, len(self.sorted_) - shares) / len(self.sorted_)
        return np.asarray(-np.log(np.maximum(tails, 1e-3)).max(axis=1))


_DETECTORS: list[Any] = [
    KDistance(contamination=0.05),
    LocalOutlierFactor(contamination=0.05),
    isolation_forest(50, contamination=0.05),
    LibraryDetector(_TailDetector(), contamination=0.05),
]
if importlib.util.find_spec("pyod"):
    _ECOD = importlib.import_module("pyod.models.ecod").ECOD()
    _DETECTORS.append(LibraryDetector(_ECOD, contamination=0.05, one_by_one=True))


class _BatchRanks(_TailDetector):
    """A detector that, as ECOD does, ranks the rows it is asked with among each other."""

    def decision_function(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.argsort(np.argsort(X[:, 0])) + super().decision_function(X))


def test_a_model_that_ranks_its_batch_is_asked_one_by_one(rows: Any) -> None:
    """With `one_by_one` a row's score is the same alone and among others, whatever the model does."""
    detector = LibraryDetector(_BatchRanks(), one_by_one=True).fit(rows)
    scores = detector.score_samples(rows[:5])
    assert scores.tolist() == [detector.score_samples(row[None])[0] for row in rows[:5]]
    batch = LibraryDetector(_BatchRanks()).fit(rows)
    assert not np.array_equal(batch.score_samples(rows[:5]), scores)


@pytest.fixture(params=_DETECTORS, ids=lambda detector: type(getattr(detector, "model", detector)).__name__)
def detector(request: Any) -> Any:
    """Give one detector."""
    return request.param


@pytest.fixture(scope="module")
def rows() -> Any:
    """Two hundred ordinary rows, and ten that lie far out."""
    generator = np.random.default_rng(0)
    return np.concatenate([generator.normal(size=(200, 4)), generator.normal(size=(10, 4)) * 3 + 12])


def test_the_odd_score_lowest_and_are_called_minus_one(detector: Any, rows: Any) -> None:
    """Larger is more normal; `predict` and `fit_predict` call the share asked for outliers, the far rows first."""
    verdict = detector.fit_predict(rows)
    assert (verdict == -1).sum() == pytest.approx(0.05 * len(rows), abs=1)
    assert detector.training_scores_[200:].mean() < detector.training_scores_[:200].mean()
    far = np.full((1, 4), 60.0)
    assert detector.predict(far).tolist() == [-1]
    assert detector.score_samples(far)[0] <= np.median(detector.training_scores_)
    assert np.array_equal(detector.decision_function(rows) < 0, detector.predict(rows) == -1)


def test_a_score_depends_neither_on_the_batch_nor_on_the_row_order(detector: Any, rows: Any) -> None:
    """One row alone scores as in a batch; a second fit gives the same scores."""
    new = rows[::10] + 0.25
    scores = detector.fit(rows).score_samples(new)
    assert scores.tolist() == [detector.score_samples(row[None])[0] for row in new]
    assert np.array_equal(detector.fit(rows).score_samples(new), scores)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("bad", [[[np.nan] * 4], [["a"] * 4], np.zeros((3, 0))], ids=["NaN", "text", "no columns"])
def test_bad_rows_are_named(detector: Any, rows: Any, bad: Any) -> None:
    """Every detector refuses rows that it cannot work with, and rows of another width, by the same error."""
    with pytest.raises(InvalidInputError, match="X: got"):
        detector.fit(bad)
    with pytest.raises(InvalidInputError, match="X: got"):
        detector.fit(rows).score_samples([[0.0, 1.0]])


def test_heavy_tails_have_finite_scores(detector: Any) -> None:
    """Rows thousands of spreads away do not break a detector."""
    table = SHAPES["heavy tails"]()
    assert np.isfinite(detector.fit(table).training_scores_).all()
