"""Clusters that belong to the data are told from those that do not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from membergate.engine import InvalidInputError
from membergate.engine.validity import cluster_stability
from membergate.verification.structure import Region, measure_agreement, measure_region, tiers


def region(rows: np.ndarray, cluster_ids: np.ndarray, operators: np.ndarray | None = None) -> Region:
    """Make a region in which labels have said nothing."""
    names = np.arange(len(rows)) if operators is None else operators
    return Region("suspicious", rows, names.astype(np.str_), cluster_ids, np.full(len(rows), np.nan))


def two_groups(n: int, apart: float) -> np.ndarray:
    """Draw two groups of rows, so far apart."""
    rows = np.random.default_rng(0).normal(size=(n, 4))
    rows[: n // 2] += apart
    return rows


def test_clusters_of_the_data_come_back() -> None:
    """Two clear groups are stable, and denser than permuted columns let anybody expect."""
    rows = two_groups(200, 8.0)
    found = measure_region(region(rows, np.repeat(["s0", "s1"], 100)), DBSCAN(eps=2.5, min_samples=5), seed=1)
    assert {row.verdict for row in found.clusters} == {"stable"}
    assert found.placed == 200
    assert found.dissolved == 0
    closeness = found.nulls[1]
    assert closeness.z_score is not None
    assert closeness.z_score > 5


def test_clusters_of_nothing_dissolve() -> None:
    """Two names dealt out by chance to one cloud overlap with no clustering of it."""
    rows = two_groups(200, 0.0)
    names = np.random.default_rng(3).permutation(np.repeat(["s0", "s1"], 100))
    found = measure_region(region(rows, names), DBSCAN(eps=2.5, min_samples=5), seed=1)
    assert {row.verdict for row in found.clusters} <= {"dissolved", "uncertain"}
    assert all(row.jaccard < 0.6 for row in found.clusters)


def test_a_large_region_is_sampled_by_whole_operators() -> None:
    """An operator's rows stay together, and about as many rows are kept as allowed."""
    operators = np.repeat(np.arange(400), 3)
    rows = np.random.default_rng(0).normal(size=(1200, 2))
    kept = region(rows, np.full(1200, ""), operators).sampled(300, np.random.default_rng(0))
    assert 300 <= len(kept.rows) <= 303
    assert (np.unique(kept.operator_ids, return_counts=True)[1] == 3).all()


def test_a_tiny_region_is_not_judged() -> None:
    """Too few rows give neither nulls nor clusters, and no error."""
    found = measure_region(region(np.zeros((3, 2)), np.full(3, "")), DBSCAN(), seed=0)
    assert (found.nulls, found.clusters) == ((), ())


def test_subsamples_draw_groups_whole() -> None:
    """A cluster of one operator is met only where the operator is drawn; a reference of the wrong length is named."""
    rows = np.concatenate([np.zeros((10, 2)), np.full((10, 2), 9.0)]) + np.arange(20)[:, None] * 1e-3
    groups = np.concatenate([np.zeros(10), np.arange(1, 11)])
    stability = cluster_stability(DBSCAN(eps=1, min_samples=2), rows, groups=groups, n_resamples=10)
    assert stability.tolist() == [1.0, 1.0]
    with pytest.raises(InvalidInputError, match="one value a row"):
        cluster_stability(DBSCAN(), rows, reference=np.zeros(3))


def test_agreement_is_corrected_for_chance() -> None:
    """Equal labellings agree by 1, labellings dealt out by chance by about 0; tiers hold the shares that they name."""
    generator = np.random.default_rng(0)
    one, other = generator.integers(0, 3, 1000), generator.integers(0, 3, 1000)
    same, chance = measure_agreement("clusters", {"a": one, "b": one, "c": other}, [("a", "b"), ("a", "c")])
    assert same.adjusted_rand == pytest.approx(1.0)
    assert abs(chance.adjusted_mutual_information) < 0.02
    assert np.bincount(tiers(generator.random(1000))).tolist() == [800, 150, 50]
