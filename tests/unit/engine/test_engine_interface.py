"""The engine's public interface: what the identification model relies on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from membergate.engine import DBSCAN, HDBSCAN, MDCA, OPTICS, DensityPeaks, KDistance, LocalOutlierFactor, NeighbourGraph

_CLUSTERERS = [
    DBSCAN(eps=1.0),
    OPTICS(),
    HDBSCAN(min_cluster_size=10),
    MDCA(),
    DensityPeaks(n_clusters=3),
]
_DETECTORS = [LocalOutlierFactor(), KDistance()]


@pytest.fixture
def rows() -> Any:
    """Three blobs of sixty points in four dimensions."""
    generator = np.random.default_rng(5)
    centres = np.array([[0.0, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0]])
    return np.concatenate([centre + generator.normal(scale=0.5, size=(60, 4)) for centre in centres])


@pytest.mark.parametrize("estimator", _CLUSTERERS, ids=lambda estimator: type(estimator).__name__)
def test_fit_and_fit_graph_agree(estimator: Any, rows: Any) -> None:
    """An algorithm gives the same labels from rows as from a graph of those rows."""
    direct = estimator.fit(rows).labels_.copy()
    assert np.array_equal(direct, estimator.fit_graph(NeighbourGraph(rows)).labels_)


@pytest.mark.parametrize("estimator", [DBSCAN(eps=1.0), MDCA()], ids=lambda estimator: type(estimator).__name__)
def test_one_row_is_predicted_as_in_a_batch(estimator: Any, rows: Any) -> None:
    """A label does not depend on the rows it is asked with, and survives a round trip through arrays."""
    new = rows + np.random.default_rng(1).normal(scale=0.2, size=rows.shape)
    batch = estimator.fit(rows).predict(new)
    again = type(estimator).from_arrays(estimator.to_arrays())
    assert batch.tolist() == [estimator.predict(row[None])[0] for row in new]
    assert batch.tolist() == again.predict(new).tolist()


@pytest.mark.parametrize("estimator", _DETECTORS, ids=lambda estimator: type(estimator).__name__)
def test_one_row_is_scored_as_in_a_batch_bit_for_bit(estimator: Any, rows: Any) -> None:
    """A score does not depend on the rows it is asked with, and survives a round trip through arrays."""
    new = rows + np.random.default_rng(1).normal(scale=0.2, size=rows.shape)
    batch = estimator.fit(rows).score_samples(new)
    again = type(estimator).from_arrays(estimator.to_arrays())
    assert batch.tolist() == [estimator.score_samples(row[None])[0] for row in new]
    assert batch.tolist() == again.score_samples(new).tolist()
    assert estimator.score_samples(np.full((1, 4), 99.0)) < batch.min()
