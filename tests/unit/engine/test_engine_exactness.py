"""Exactness where it is hardest: rows far from everything, and lists that few cells cannot fill."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from membergate.engine import (
    DBSCAN,
    HDBSCAN,
    MDCA,
    DensityPeaks,
    InvalidInputError,
    KDistance,
    LocalOutlierFactor,
    NeighbourGraph,
)

_FAR = [1e3, 1e9, 8e15, 1e16, 1e19, 3e19, 1e25, 1e39, 1e100]


@pytest.mark.parametrize("d", [1, 8])
@pytest.mark.parametrize("far", _FAR)
def test_a_row_far_from_every_other_is_measured_as_any_other(d: int, far: float) -> None:
    """However far an applicant lies, its neighbours are those of brute force; it had ended the process."""
    rows = np.random.default_rng(0).uniform(size=(300, d))
    new = np.array([np.full(d, far), np.full(d, -far)])
    distances = np.sort(np.sqrt(((new[:, None] - rows[None]) ** 2).sum(axis=2)), axis=1)
    np.testing.assert_allclose(-KDistance(5).fit(rows).score_samples(new), distances[:, 4], rtol=1e-12)
    assert DBSCAN(0.5).fit(rows).predict(new).tolist() == [-1, -1]
    assert MDCA(5).fit(rows).predict(new).min() >= 0
    assert LocalOutlierFactor(5).fit(rows).score_samples(new).max() < -100


def test_rows_beyond_what_can_be_squared_are_refused_at_predict_as_at_fit() -> None:
    """A value whose square is infinite has no distance: the error says so."""
    model = KDistance(5).fit(np.random.default_rng(0).uniform(size=(30, 2)))
    with pytest.raises(InvalidInputError, match=r"beyond 1e\+150"):
        model.score_samples([[1e200, -1e200]])


def _sparse_beside_dense(seed: int) -> Any:
    generator = np.random.default_rng(seed)
    blobs = [generator.normal(size=(500, 16)), generator.normal(size=(500, 16)) * 0.01 + 5]
    return np.concatenate([*blobs, generator.uniform(-50, 50, size=(10, 16))])


@pytest.mark.parametrize(("n_neighbors", "n_cells"), [(40, 1), (100, 2), (200, 4), (1009, 1)])
def test_an_approximate_list_is_full_and_never_too_near(n_neighbors: int, n_cells: int) -> None:
    """Cells with fewer points than a list asks for: it is filled by an exact search, and names no point twice."""
    rows = _sparse_beside_dense(13)
    graph = NeighbourGraph(rows, n_neighbors, exact=False, n_cells=n_cells, exact_share=0.0)
    assert graph.neighbours.min() >= 0
    assert graph.neighbours.max() < graph.points.n_points
    assert all(len(np.unique(listed)) == n_neighbors for listed in graph.neighbours)
    measured = np.linalg.norm(graph.points.index.rows[:, None] - graph.points.index.rows[graph.neighbours], axis=2)
    np.testing.assert_allclose(graph.distances, measured, rtol=1e-12)


@pytest.mark.parametrize(("n_neighbors", "n_cells"), [(100, 2), (1009, 1)])
def test_clusters_are_right_on_approximate_lists_that_few_cells_fill(n_neighbors: int, n_cells: int) -> None:
    """DBSCAN stays exact on them, and the spanning tree of HDBSCAN is found where every point lists all the others."""
    rows = _sparse_beside_dense(13)
    graph = NeighbourGraph(rows, n_neighbors, exact=False, n_cells=n_cells, exact_share=0.0)
    for eps in (0.05, 4.0, 5.0):
        exact, found = DBSCAN(eps, 60).fit(rows), DBSCAN(eps, 60).fit_graph(graph)
        assert np.array_equal(found.core_sample_indices_, exact.core_sample_indices_)
        assert np.array_equal(found.labels_, exact.labels_)
    if n_neighbors == len(rows) - 1:
        heights = HDBSCAN(8).fit_graph(graph).linkage_[:, 2]
        assert np.array_equal(heights, HDBSCAN(8).fit(rows).linkage_[:, 2])


def test_rows_whose_squared_distances_vanish_are_refused_and_equal_ones_are_not() -> None:
    """All distances of such a table would be 0 in silence; equal rows of any size are one point."""
    rows = np.random.default_rng(0).normal(size=(40, 2))
    for scale in (1e-160, 5e-322):
        with pytest.raises(InvalidInputError, match="vanish"):
            DBSCAN().fit(rows * scale)
    for value in (0.0, 1e-310, 1e-140, 1e140):
        assert DBSCAN(1.0).fit(np.full((30, 2), value)).labels_.tolist() == [0] * 30
    small = DBSCAN(0.5e-120).fit(rows * 1e-120)
    assert np.array_equal(small.labels_, DBSCAN(0.5).fit(rows).labels_)


def test_peaks_are_found_among_thousands_of_equal_rows() -> None:
    """Equal rows have a density near the largest float; times a distance beyond 1 it is still a number."""
    rows = np.repeat([[0.0, 0.0], [900.0, 0.0], [0.0, 800.0]], 40, axis=0)
    model = DensityPeaks(3, 6).fit(np.concatenate([rows, rows[::40] + np.array([[1.0, 0.5], [0.5, 1.0], [1.0, 1.0]])]))
    assert len(np.unique(model.labels_[:120:40])) == 3
    assert np.isfinite(model.delta_).all()
