"""Validity, matching and suggestions: what tells a good clustering from a bad one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from engine_shapes import SHAPES  # type: ignore[import-not-found]

from membergate.engine import (
    DBSCAN,
    InvalidInputError,
    NeighbourGraph,
    k_distance_elbow,
    match_clusters,
    stability_selection,
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

_WRONG: Any = (4, "a", 1.5)


def _two_blobs() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    rows = np.concatenate([generator.normal(size=(60, 3)), generator.normal(size=(60, 3)) + 12.0])
    return rows, np.repeat([0, 1], 60)


class Counted(DBSCAN):
    """Count how often anybody is clustered."""

    fits = 0

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Cluster, and count it."""
        Counted.fits += 1
        return super().fit_predict(X, y, sample_weight)


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
    assert (test.p_value, test.n_tables) == (1.0, 5)


def test_tables_stop_where_the_answer_is_known() -> None:
    """What many tables reach is given up after twenty; what none reaches is held against them all, at 1 / 51."""
    rows, _ = _two_blobs()
    largest = permuted_null(lambda table: float(table.max()), rows, n_tables=50, stop_after=10)
    assert largest.n_tables == 20
    assert largest.p_value == 1.0
    together = permuted_null(
        lambda table: float(np.corrcoef(table[:, 0], table[:, 1]).min()), rows, n_tables=50, stop_after=10
    )
    assert (together.n_tables, together.p_value) == (50, 1 / 51)


def test_sequential_p_values_are_valid() -> None:
    """On rows without structure the p-value is at most 0.1 in a tenth of the draws, however early each stops."""
    small = 0
    for seed in range(300):
        rows = np.random.default_rng(seed).normal(size=(12, 2))
        test = permuted_null(
            lambda table: float(np.corrcoef(table[:, 0], table[:, 1]).min()), rows, n_tables=50, stop_after=5, seed=seed
        )
        small += test.p_value <= 0.1
    assert 300 * 0.04 < small < 300 * 0.16


def test_subsamples_stop_where_every_cluster_is_clear() -> None:
    """Clear clusters are looked for twenty times, whatever is allowed; one at a bound as often as may be."""
    rows, _ = _two_blobs()
    counted = Counted(3.0)
    Counted.fits = 0
    assert cluster_stability(counted, rows, n_resamples=60, bounds=(0.5, 0.75)).min() > 0.9
    assert Counted.fits == 21  # the reference, and twenty
    overlap = float(cluster_stability(counted, rows, n_resamples=60, reference=np.arange(len(rows)) % 2)[0])
    Counted.fits = 0
    cluster_stability(counted, rows, n_resamples=60, reference=np.arange(len(rows)) % 2, bounds=(overlap,))
    assert Counted.fits == 60


def test_stability_selection_takes_the_radius_that_finds_the_blobs() -> None:
    """Of a radius that shreds, one that finds both blobs and one that swallows everything, the second is chosen."""
    rows, labels = _two_blobs()
    graph = NeighbourGraph(rows, 12)
    found = stability_selection(graph, [0.4, 2.5, 60.0], [6], n_resamples=6)
    assert len(found.trials) == 3
    assert found.chosen.eps == 2.5
    assert found.chosen.n_clusters == 2
    assert found.chosen.stability > 0.9 > found.trials[0].stability
    fitted = DBSCAN(found.chosen.eps, found.chosen.min_samples).fit_graph(graph).labels_
    assert agreement(fitted, labels)["adjusted_rand"] > 0.9
    assert stability_selection(graph, [0.4, 2.5, 60.0], [6], n_resamples=6) == found
    with pytest.raises(InvalidInputError, match="elbow"):
        stability_selection(graph, [60.0], [6])


def test_a_half_whose_rows_weigh_double_is_that_half_alone() -> None:
    """A subsample as a weighting of the whole graph has the dense points of a fit of the subsample."""
    rows, _ = _two_blobs()
    weights = np.where(np.arange(len(rows)) % 2 == 0, 2.0, 0.0)
    whole = DBSCAN(1.5, 8).fit_graph(NeighbourGraph(rows, 12), sample_weight=weights)
    half = DBSCAN(1.5, 4).fit(rows[::2])
    dense = np.intersect1d(whole.core_sample_indices_, np.arange(0, len(rows), 2)) // 2
    assert np.array_equal(dense, half.core_sample_indices_)


@pytest.mark.parametrize(
    ("call", "parameter"),
    [
        (lambda rows: sampled_silhouette(rows, np.zeros(120)), "labels"),
        (lambda rows: sampled_silhouette(rows, [0, 1]), "labels"),
        (lambda _: agreement([0, 1], [0]), "other"),
        (lambda _: agreement([[0, 1]], [0, 1]), "labels"),
        (lambda rows: density_validity(rows, np.zeros(120)), "labels"),
        (lambda rows: cluster_stability(DBSCAN(), rows, n_resamples=0), "n_resamples"),
        (lambda rows: cluster_stability(DBSCAN(), rows, share=0.0), "share"),
        (lambda rows: permuted_null(np.mean, rows, n_tables=1), "n_tables"),
        (lambda rows: k_distance_elbow(NeighbourGraph(rows, 4), 10), "min_samples"),
        (lambda rows: k_distance_elbow(rows, 4), "graph"),
        (lambda rows: sweep(rows, [1.0], [4]), "graph"),
        (lambda rows: sweep(NeighbourGraph(rows, 4), [], [4]), "eps"),
        (lambda _: suggest(np.ones((20, 2))), "X"),
        (lambda rows: stability_selection(rows, [1.0], [4]), "graph"),
        (lambda rows: stability_selection(NeighbourGraph(rows, 4), _WRONG[0], [4]), "eps"),
        (lambda rows: sweep(NeighbourGraph(rows, 4), [1.0], _WRONG[0]), "min_samples"),
        (lambda rows: sweep(NeighbourGraph(rows, 4), [1.0, _WRONG[1]], [4]), "eps"),
        (lambda rows: suggest(rows, min_samples=0), "min_samples"),
        (lambda rows: k_distance_elbow(NeighbourGraph(rows, 4), 3, seed=-1), "seed"),
        (lambda rows: sampled_silhouette(rows, np.repeat([0, 1], 60), seed=_WRONG[2]), "seed"),
        (lambda rows: density_validity(rows, ["a", "b"] * 60), "labels"),
        (lambda rows: sampled_silhouette(rows, ["a", "b"] * 60), "labels"),
        (lambda _: match_clusters(["a"], ["b"]), "old_labels"),
        (lambda _: match_clusters([0], [0], least_overlap=2.0), "least_overlap"),
    ],
)
def test_bad_input_to_a_measure_is_named(call: Any, parameter: str) -> None:
    """One error says which parameter, what it got and what is allowed."""
    with pytest.raises(InvalidInputError) as caught:
        call(_two_blobs()[0])
    assert caught.value.parameter == parameter
    assert "allowed" in str(caught.value)
