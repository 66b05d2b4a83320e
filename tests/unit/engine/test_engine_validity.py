"""Validity, matching and suggestions: what tells a good clustering from a bad one."""

from __future__ import annotations

import numpy as np
import pytest
from engine_shapes import SHAPES  # type: ignore[import-not-found]

from membergate.engine import (
    DBSCAN,
    InvalidInputError,
    NeighbourGraph,
    k_distance_elbow,
    match_clusters,
    suggest,
    sweep,
)
from membergate.engine.validity import (
    agreement,
    cluster_stability,
    density_validity,
    permuted_null,
    sampled_silhouette,
)


def _two_blobs() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    rows = np.concatenate([generator.normal(size=(60, 3)), generator.normal(size=(60, 3)) + 12.0])
    return rows, np.repeat([0, 1], 60)


def test_density_validity_tells_right_from_wrong_and_is_hdbscans() -> None:
    """True labels score high, shuffled ones low; the value is that of the reference implementation."""
    rows, labels = _two_blobs()
    index, by_cluster = density_validity(rows, labels)
    assert index > 0.7
    assert density_validity(rows, np.random.default_rng(0).permutation(labels))[0] < 0
    assert by_cluster.min() > 0.7


def test_density_validity_is_that_of_the_hdbscan_library() -> None:
    """The values are those that hdbscan 0.8.44 gave for the same rows, noise included."""
    generator = np.random.default_rng(0)
    blobs = [generator.normal(size=(60, 3)), generator.normal(size=(80, 3)) * 2 + 9, generator.normal(size=(50, 3)) - 7]
    rows = np.concatenate([*blobs, generator.uniform(-10, 10, (20, 3))])
    index, by_cluster = density_validity(rows, np.repeat([0, 1, 2, -1], [60, 80, 50, 20]))
    assert index == pytest.approx(0.6710242215305671, abs=1e-9)
    assert by_cluster == pytest.approx([0.85709212, 0.59102354, 0.84415352], abs=1e-8)


def test_clusters_keep_their_names() -> None:
    """A new fit's clusters take the old names of those they overlap; a new cluster takes a new name."""
    old = np.array([0, 0, 0, 1, 1, 1, -1, -1])
    new = np.array([1, 1, 1, 0, 0, -1, 2, 2])
    assert match_clusters(old, new) == {0: 1, 1: 0, 2: 2}
    assert match_clusters([-1, -1], [0, -1]) == {0: 0}
    with pytest.raises(InvalidInputError, match="new_labels"):
        match_clusters([0, 1], [0])


def test_suggestion_finds_the_blobs() -> None:
    """Suggested parameters separate well separated blobs, and show the elbow, its interval and the sweep."""
    rows, labels = _two_blobs()
    found = suggest(rows)
    assert found.elbow.low <= found.elbow.high
    assert len(found.trials) == 6
    assert agreement(DBSCAN(found.eps, found.min_samples).fit(rows).labels_, labels)["adjusted_rand"] > 0.8


def test_a_sweep_is_what_single_fits_give() -> None:
    """Every trial of a sweep over one graph is the fit with those parameters."""
    rows = SHAPES["eight axes"]()
    graph = NeighbourGraph(rows, 12)
    eps = k_distance_elbow(graph, 8).eps
    for trial in sweep(graph, [eps, 1.2 * eps], [4, 8]):
        labels = DBSCAN(trial.eps, trial.min_samples).fit(rows).labels_
        assert trial.n_clusters == labels.max() + 1
        assert trial.noise_share == (labels < 0).mean()


def test_resampling_tells_structure_from_none() -> None:
    """Real clusters are stable, have wide silhouettes, and lie far outside the permuted-column null."""
    rows, labels = _two_blobs()
    width = sampled_silhouette(rows, labels, size=80)
    assert width.value > 0.7
    assert 0 < width.standard_error < 0.05
    assert cluster_stability(DBSCAN(3.0), rows, n_resamples=4).min() > 0.9
    test = permuted_null(lambda table: float((DBSCAN(3.0).fit(table).labels_ < 0).mean()), rows, n_tables=5)
    assert test.value < test.null_mean
