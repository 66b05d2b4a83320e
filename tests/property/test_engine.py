"""The engine against brute force on small random tables, full of equal rows and of distances exactly at eps."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from membergate.engine import DBSCAN, KDistance, NeighbourGraph

_TABLES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=60).map(
    lambda rows: np.array(rows, dtype=np.float64)
)


@settings(max_examples=60, deadline=None)
@given(rows=_TABLES, eps=st.sampled_from([1.0, 2.0**0.5, 2.0, 5.0**0.5]), min_samples=st.integers(1, 6))
def test_dbscan_is_its_definition(rows: np.ndarray, eps: float, min_samples: int) -> None:
    """Dense points, their partition, borders and noise are those of the definition; predict agrees with fit."""
    model = DBSCAN(eps=eps, min_samples=min_samples).fit(rows)
    distances = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(axis=2))
    is_core = (distances <= eps).sum(axis=1) >= min_samples
    assert np.array_equal(np.flatnonzero(is_core), model.core_sample_indices_)
    joined = (distances <= eps) & is_core[:, None] & is_core[None]
    groups = connected_components(joined, directed=False)[1]
    pairs = is_core[:, None] & is_core[None]
    same_label = model.labels_[:, None] == model.labels_[None]
    assert np.array_equal(same_label[pairs], (groups[:, None] == groups[None])[pairs])
    reached = (np.where(is_core[None], distances, np.inf) <= eps).any(axis=1)
    assert np.array_equal(model.labels_ >= 0, reached)
    assert np.array_equal(model.predict(rows), model.labels_)


@settings(max_examples=40, deadline=None)
@given(rows=_TABLES, k=st.integers(1, 5), seed=st.integers(0, 99))
def test_k_distance_is_brute_force_whatever_the_row_order(rows: np.ndarray, k: int, seed: int) -> None:
    """The k-th distance counts equal rows, and follows its row when rows are shuffled."""
    wanted = min(k, len(rows) - 1)
    distances = np.sort(np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(axis=2)), axis=1)[:, wanted]
    scores = KDistance(n_neighbors=k).fit_graph(NeighbourGraph(rows, 8)).training_scores_
    assert np.array_equal(-scores, distances)
    order = np.random.default_rng(seed).permutation(len(rows))
    assert np.array_equal(KDistance(n_neighbors=k).fit(rows[order]).training_scores_, scores[order])
