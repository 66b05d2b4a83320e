"""Every algorithm against an independent implementation, on fourteen shapes of data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.cluster
import sklearn.neighbors
from engine_shapes import SHAPES, layouts, scale_of  # type: ignore[import-not-found]
from sklearn.metrics import adjusted_rand_score

from membergate.engine import DBSCAN, HDBSCAN, MDCA, OPTICS, DensityPeaks, KDistance, LocalOutlierFactor, NeighbourGraph

_DISTINCT = [name for name in SHAPES if name not in {"duplicates", "tiny"}]


@pytest.fixture(params=list(SHAPES), scope="module")
def rows(request: Any) -> Any:
    """Give one shape of data."""
    return SHAPES[request.param]()


@pytest.fixture(scope="module")
def graph(rows: Any) -> NeighbourGraph:
    """Give the graph of that data."""
    return NeighbourGraph(rows, 24)


def test_lists_are_those_of_brute_force(rows: Any, graph: NeighbourGraph) -> None:
    """Every listed distance is the brute-force one, sorted, and every list is proven."""
    points = graph.points.index.rows
    brute = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    np.fill_diagonal(brute, np.inf)
    expected = np.sort(brute, axis=1)[:, : graph.distances.shape[1]]
    np.testing.assert_allclose(graph.distances[:, : expected.shape[1]], expected, rtol=1e-12)
    assert graph.is_proven.all()


@pytest.mark.parametrize("min_samples", [1, 6])
def test_dbscan_is_scikit_learns_up_to_border_ties(rows: Any, graph: NeighbourGraph, min_samples: int) -> None:
    """Dense points and noise are identical; dense points share a partition; borders go to the nearest dense point."""
    eps = scale_of(rows)
    ours = DBSCAN(eps=eps, min_samples=min_samples).fit(rows)
    theirs = sklearn.cluster.DBSCAN(eps=eps, min_samples=min_samples, algorithm="kd_tree").fit(rows)
    core = ours.core_sample_indices_
    assert np.array_equal(core, theirs.core_sample_indices_)
    assert np.array_equal(ours.labels_ == -1, theirs.labels_ == -1)
    assert np.array_equal(ours.labels_[core], theirs.labels_[core])
    border = np.setdiff1d(np.flatnonzero(ours.labels_ >= 0), core)
    for row in border:
        distances = np.linalg.norm(rows[core] - rows[row], axis=1)
        assert ours.labels_[row] in ours.labels_[core][distances <= distances.min() * (1 + 1e-12)]
    assert np.array_equal(ours.labels_, DBSCAN(eps=eps, min_samples=min_samples).fit_graph(graph).labels_)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning:sklearn")  # scikit-learn's own, among equal rows
@pytest.mark.parametrize("share", [np.inf, 2.0])
def test_optics_is_scikit_learns(rows: Any, graph: NeighbourGraph, share: float) -> None:
    """Reachability is equal as a multiset, row by row where no tie reorders the walk, and so is the cut at eps."""
    eps = scale_of(rows)
    ours = OPTICS(min_samples=5, max_eps=eps * share).fit_graph(graph)
    theirs = sklearn.cluster.OPTICS(min_samples=5, max_eps=eps * share, algorithm="kd_tree").fit(rows)
    np.testing.assert_allclose(
        np.sort(ours.reachability_), np.sort(theirs.reachability_), rtol=1e-6, atol=1e-9 * max(1.0, np.abs(rows).max())
    )
    cut = sklearn.cluster.cluster_optics_dbscan(
        reachability=theirs.reachability_, core_distances=theirs.core_distances_, ordering=theirs.ordering_, eps=eps
    )
    dense = theirs.core_distances_ <= eps
    assert adjusted_rand_score(ours.extract_dbscan(eps)[dense], cut[dense]) == pytest.approx(1.0)


@pytest.mark.parametrize("method", ["eom", "leaf"])
@pytest.mark.parametrize("min_samples", [1, 6])
def test_hdbscan_is_scikit_learns(rows: Any, graph: NeighbourGraph, method: str, min_samples: int) -> None:
    """Heights are equal, and labels agree to an adjusted Rand index of 0.99 where no two edges are equally long.

    With more than one sample, core distances make many edges equally long, and which is cut first decides.
    scikit-learn takes the rows as they come, and so differs from itself on shuffled rows (down to 0.97 here); ours
    take the content order (`test_engine_invariance`). There, excess of mass agrees to 0.98. A lattice, whose edges are
    all equally long, is not compared; nor are leaves among ties, which hang on single edges.
    """
    ours = HDBSCAN(min_cluster_size=6, min_samples=min_samples, cluster_selection_method=method).fit_graph(graph)
    theirs = sklearn.cluster.HDBSCAN(
        min_cluster_size=6, min_samples=min_samples, cluster_selection_method=method, algorithm="kd_tree", copy=True
    ).fit(rows)
    expected = np.sort(theirs._single_linkage_tree_["value"])
    np.testing.assert_allclose(ours.linkage_[:, 2], expected, rtol=1e-9, atol=1e-12)
    n_lengths = len(np.unique(expected))
    has_no_ties = n_lengths == len(expected)
    if has_no_ties or (method == "eom" and n_lengths > 2):
        assert adjusted_rand_score(ours.labels_, theirs.labels_) >= (0.99 if has_no_ties else 0.98)
    if has_no_ties:
        np.testing.assert_allclose(ours.probabilities_, theirs.probabilities_, rtol=1e-6)
    assert ours.probabilities_.min() >= 0.0
    assert ours.probabilities_.max() <= 1.0
    assert len(ours.persistence_) == ours.labels_.max() + 1


def test_k_distance_is_scikit_learns(rows: Any, graph: NeighbourGraph) -> None:
    """The k-th distance is scikit-learn's, equal rows counted."""
    k = min(7, len(rows) - 1)
    expected = sklearn.neighbors.KDTree(rows).query(rows, k=k + 1)[0][:, -1]
    scores = KDistance(n_neighbors=k).fit_graph(graph).training_scores_
    np.testing.assert_allclose(-scores, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", _DISTINCT)
def test_local_outlier_factor_is_scikit_learns(name: str) -> None:
    """On distinct rows without tied neighbours the factor is scikit-learn's, for old rows and for new ones."""
    rows = SHAPES[name]()
    if name == "lattice full of ties":
        rows = rows + np.random.default_rng(1).normal(scale=0.01, size=rows.shape)
    new = rows[::7] + 0.1 * scale_of(rows)
    ours = LocalOutlierFactor(n_neighbors=10).fit(rows)
    theirs = sklearn.neighbors.LocalOutlierFactor(n_neighbors=10, novelty=True, algorithm="kd_tree").fit(rows)
    np.testing.assert_allclose(ours.training_scores_, theirs.negative_outlier_factor_, rtol=1e-6)
    np.testing.assert_allclose(ours.score_samples(new), theirs.score_samples(new), rtol=1e-6)


def test_density_peaks_follow_the_nearest_denser_point(rows: Any, graph: NeighbourGraph) -> None:
    """Delta is the brute-force distance to the nearest denser point; labels follow it."""
    peaks = DensityPeaks(n_clusters=3, n_neighbors=6).fit_graph(graph)
    density = peaks.density_
    for row in range(0, len(rows), max(1, len(rows) // 60)):
        denser = density > density[row] * (1 + 1e-12)
        if denser.any():
            distance = np.linalg.norm(rows[denser] - rows[row], axis=1).min()
            assert peaks.delta_[row] <= distance * (1 + 1e-12) + 1e-12
    assert set(peaks.labels_) == set(range(len(peaks.centers_)))


def test_literal_mdca_equals_or_coarsens_the_graph_mode(rows: Any, graph: NeighbourGraph) -> None:
    """On dense points, every graph cluster lies within one literal cluster, and no row is noise."""
    by_graph = MDCA(n_neighbors=6).fit_graph(graph)
    literal = MDCA(n_neighbors=6, mode="literal").fit_graph(graph)
    assert by_graph.labels_.min() >= 0
    for label in np.unique(by_graph.labels_[by_graph.is_dense_]):
        inside = by_graph.is_dense_ & (by_graph.labels_ == label)
        assert len(np.unique(literal.labels_[inside])) == 1


@pytest.mark.parametrize("name", ["eight axes", "duplicates", "lattice full of ties"])
def test_row_order_layout_and_threads_do_not_matter(name: str) -> None:
    """Shuffled rows, other memory layouts and other thread counts give the same partition and the same scores."""
    rows = SHAPES[name]()
    eps, order = scale_of(rows), np.random.default_rng(8).permutation(len(rows))
    once, scores = DBSCAN(eps=eps).fit(rows), LocalOutlierFactor(n_neighbors=8).fit(rows).training_scores_
    shuffled = DBSCAN(eps=eps, n_jobs=3).fit(rows[order])
    assert np.array_equal(shuffled.labels_ == -1, once.labels_[order] == -1)
    assert adjusted_rand_score(shuffled.labels_, once.labels_[order]) == pytest.approx(1.0)
    assert np.array_equal(LocalOutlierFactor(n_neighbors=8).fit(rows[order]).training_scores_, scores[order])
    for layout in layouts(rows).values():
        assert np.array_equal(DBSCAN(eps=eps, n_jobs=1).fit(layout).labels_, once.labels_)


def test_float32_rows_are_taken_at_their_value() -> None:
    """A float32 table gives what the same numbers give as float64."""
    rows = SHAPES["eight axes"]().astype(np.float32)
    eps = scale_of(rows.astype(np.float64))
    assert np.array_equal(DBSCAN(eps=eps).fit(rows).labels_, DBSCAN(eps=eps).fit(rows.astype(np.float64)).labels_)
