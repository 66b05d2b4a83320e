"""What must not matter: the order of the rows, the number of threads; and what an approximate graph may cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from engine_shapes import SHAPES, scale_of  # type: ignore[import-not-found]
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from membergate.engine import DBSCAN, HDBSCAN, MDCA, OPTICS, DensityPeaks, KDistance, LocalOutlierFactor, NeighbourGraph

_SHAPES = ["eight axes", "duplicates", "lattice full of ties", "rings"]


def _clusterers(rows: Any, n_jobs: int) -> list[Any]:
    eps = scale_of(rows)
    return [
        DBSCAN(eps, n_jobs=n_jobs),
        HDBSCAN(6, n_jobs=n_jobs),
        HDBSCAN(6, cluster_selection_method="leaf", n_jobs=n_jobs),
        MDCA(6, n_jobs=n_jobs),
        MDCA(6, mode="literal", n_jobs=n_jobs),
        DensityPeaks(3, 6, n_jobs=n_jobs),
    ]


@pytest.mark.parametrize("name", _SHAPES)
def test_the_order_of_the_rows_does_not_matter(name: str) -> None:
    """Shuffled rows give the same clusters, probabilities and scores, among ties too."""
    rows = SHAPES[name]()
    order = np.random.default_rng(8).permutation(len(rows))
    for once, again in zip(_clusterers(rows, 1), _clusterers(rows, 1), strict=True):
        expected, found = once.fit(rows).labels_[order], again.fit(rows[order]).labels_
        assert np.array_equal(found == -1, expected == -1), once
        assert adjusted_rand_score(expected, found) == pytest.approx(1.0), once
        if isinstance(once, HDBSCAN):
            np.testing.assert_allclose(again.probabilities_, once.probabilities_[order])
    for detector in (KDistance(8), LocalOutlierFactor(8)):
        scores = detector.fit(rows).training_scores_[order]
        assert np.array_equal(detector.fit(rows[order]).training_scores_, scores)


@pytest.mark.parametrize("n_axes", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_another_machines_axes_do_not_matter(monkeypatch: pytest.MonkeyPatch, n_axes: int, seed: int) -> None:
    """Principal axes are rounded as the machine's linear algebra will; even on a lattice no label hangs on them."""
    rows = np.unique(np.random.default_rng(seed).integers(0, 9, size=(220, n_axes)).astype(float), axis=0)
    once = [clusterer.fit(rows).labels_ for clusterer in _clusterers(rows, 1)]
    basis = np.linalg.qr(np.random.default_rng(seed + 9).normal(size=(n_axes, n_axes)))[0]
    monkeypatch.setattr(np.linalg, "eigh", lambda scatter: (np.zeros(len(scatter)), basis))
    for clusterer, expected in zip(_clusterers(rows, 1), once, strict=True):
        assert np.array_equal(clusterer.fit(rows).labels_, expected), clusterer


@pytest.mark.parametrize("name", _SHAPES)
def test_the_optics_cut_keeps_its_dense_rows_together_in_any_order(name: str) -> None:
    """The walk begins at the first row; yet dense rows fall into the same clusters of the cut wherever it begins."""
    rows = SHAPES[name]()
    eps, order = scale_of(rows), np.random.default_rng(8).permutation(len(rows))
    once, again = (OPTICS(5, cluster_method="dbscan", eps=eps).fit(table) for table in (rows, rows[order]))
    assert np.array_equal(again.core_distances_, once.core_distances_[order])
    dense = again.core_distances_ <= eps
    assert adjusted_rand_score(again.labels_[dense], once.labels_[order][dense]) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["several cells", "duplicates"])
def test_the_number_of_threads_does_not_matter(name: str) -> None:
    """One thread and three give the same lists and the same labels, bit for bit."""
    rows = SHAPES[name]()
    one, three = NeighbourGraph(rows, 12, n_jobs=1), NeighbourGraph(rows, 12, n_jobs=3)
    assert np.array_equal(one.distances, three.distances)
    assert np.array_equal(one.neighbours, three.neighbours)
    pairs = [*zip(_clusterers(rows, 1), _clusterers(rows, 3), strict=True), (OPTICS(n_jobs=1), OPTICS(n_jobs=3))]
    for alone, together in pairs:
        assert np.array_equal(alone.fit(rows).labels_, together.fit(rows).labels_)


def test_an_approximate_graph_keeps_outliers_and_clusters() -> None:
    """Looking into few cells and again at the sparsest: noise is told as well as exactly, DBSCAN is the same.

    Area under the curve within 0.005, adjusted Rand index at least 0.99.
    """
    generator = np.random.default_rng(4)
    centres, spread = generator.uniform(-8, 8, size=(6, 12)), generator.uniform(0.4, 1.2, size=6)
    which = generator.integers(0, 6, size=2700)
    noise = generator.uniform(-10, 10, size=(300, 12))
    rows = np.concatenate([centres[which] + generator.normal(size=(2700, 12)) * spread[which, None], noise])
    is_noise = np.arange(3000) >= 2700
    exact, approximate = NeighbourGraph(rows, 20), NeighbourGraph(rows, 20, exact=False, n_cells=8)
    assert approximate.report["proven_share"] < exact.report["proven_share"] == 1.0
    for detector in (LocalOutlierFactor(), KDistance()):
        areas = [roc_auc_score(is_noise, -detector.fit_graph(graph).training_scores_) for graph in (exact, approximate)]
        assert abs(areas[0] - areas[1]) <= 0.005
    eps = float(np.median(exact.distances[:, 9]))
    labels = [DBSCAN(eps, 10).fit_graph(graph).labels_ for graph in (exact, approximate)]
    assert adjusted_rand_score(*labels) >= 0.99
