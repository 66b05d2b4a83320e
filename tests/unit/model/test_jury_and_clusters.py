"""The jury hears five independent opinions; clusters are named by evidence and never by being dense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from membergate.learning.model import Labelling
from membergate.learning.model.clusters import (
    GENUINE,
    MERCHANTS,
    SMALLEST_EPS,
    UNTYPED,
    RegionClustering,
    RegionRows,
    TypedClusters,
)
from membergate.learning.model.forest import IsolationTrees
from membergate.learning.model.jury import JURORS, Jury, disagreement

if TYPE_CHECKING:  # pytest would take a class of this name for a test
    from tests.unit.model.conftest import Population

    from membergate.learning.model import IdentificationModel

COLUMNS = ("A2", "B3", "D5", "H5", "E5")


def crowd(rows: int = 600, seed: int = 0) -> np.ndarray:
    """Draw ordinary people in five columns."""
    return np.random.default_rng(seed).normal(0, 1, (rows, len(COLUMNS)))


def test_trees_kept_as_arrays_score_like_the_forest_that_grew_them() -> None:
    """What is stored gives scikit-learn's own scores, for rows that it has seen and for others."""
    seen, others = crowd(), crowd(seed=1)
    trees = IsolationTrees.fit(seen, np.random.default_rng(3))
    seed = int(np.random.default_rng(3).integers(2**31))
    oracle = IsolationForest(n_estimators=50, max_samples=256, random_state=seed).fit(seen)
    for rows in (seen, others):
        np.testing.assert_allclose(trees.outlierness(rows), -oracle.score_samples(rows), atol=1e-12)
    loaded = IsolationTrees.from_arrays(trees.to_arrays())
    np.testing.assert_array_equal(loaded.outlierness(others), trees.outlierness(others))


def test_each_juror_finds_what_is_its_to_find() -> None:
    """Someone far from everybody is odd to the detectors; someone who is only linked is odd to the graph alone."""
    jury = Jury.fit(crowd(), COLUMNS, np.random.default_rng(0))
    assert jury is not None
    typical, far, linked = np.zeros(5), np.array([6.0, -6.0, 6.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 2.5, 2.5])
    heard = dict(zip(JURORS, jury.hear(np.stack([typical, far, linked])), strict=True))
    for name in ("local", "distant", "sparse", "forest"):
        assert heard[name][1] > 0.95
        assert heard[name][0] < 0.7
    assert heard["linked"][2] > 0.95
    assert heard["linked"][1] < 0.6


def test_opinions_that_differ_are_a_disagreement() -> None:
    """All alike is 0, half against half is 1."""
    np.testing.assert_allclose(disagreement(np.array([[0.3, 0.0], [0.3, 1.0], [0.3, 0.0], [0.3, 1.0]])), [0.0, 1.0])


def groups(labelled: str) -> TypedClusters:
    """Cluster two equally dense groups, students and others, of the rest; review the others as told."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(3, 0.2, (80, 3)), rng.normal(-3, 0.2, (80, 3))])
    is_student = np.arange(160) < 80
    verdict = {"merchants": 1.0, "genuine": 0.0, "nobody": np.nan}[labelled]
    known = np.where(is_student, np.nan, verdict)
    known[rng.permutation(80)[:10]] = 0.0 if labelled != "nobody" else np.nan
    labels = Labelling(known, np.where(np.isfinite(known), "L3", ""), np.where(np.isfinite(known), 1.0, np.nan))
    return TypedClusters.fit(RegionRows(rows, np.full(160, 0.2), labels, np.where(is_student, "dorm", "")), rng)


@pytest.mark.parametrize(
    ("labelled", "expected"), [("merchants", MERCHANTS), ("genuine", GENUINE), ("nobody", UNTYPED)]
)
def test_evidence_names_a_cluster_and_density_does_not(labelled: str, expected: str) -> None:
    """Of two equally dense groups the guard names one; the other is named by its reviews, or not at all."""
    clusters = groups(labelled)
    place = clusters.place(np.array([[3.0, 3, 3], [-3.0, -3, -3], [40.0, 40, 40]]), np.full(3, 0.2))
    assert place.types.tolist() == ["dorm", expected, ""]
    region, number = clusters.find(place.cluster_ids[0])
    assert 70 <= region.sizes[number] <= 80
    assert region.look_alike_shares[number] == 1.0
    assert region.stability[number] > 0.9
    np.testing.assert_allclose(region.centres[number], 3, atol=0.1)


def test_newcomers_who_all_lie_at_one_point_leave_the_reach_alone() -> None:
    """However many of whom nothing is known coincide, groups are sought as far as the others lie from one another."""
    people, newcomers = crowd(400), np.zeros((300, len(COLUMNS)))
    alone = RegionClustering().fit(people).clusterer_.eps
    together = RegionClustering().fit(np.vstack([people, newcomers])).clusterer_.eps
    assert alone == pytest.approx(together, rel=0.2)
    assert RegionClustering().fit(newcomers).clusterer_.eps == SMALLEST_EPS


def test_a_testimony_names_types_and_noise_has_none(reviewed: IdentificationModel, others: Population) -> None:
    """Whoever lies in no cluster has no type; nobody in a cluster is without one."""
    placement = reviewed.witness(others.table).placement
    assert np.array_equal(placement.types == "", placement.cluster_ids == "")


def test_a_market_without_links_has_a_jury_all_the_same() -> None:
    """Where no feature links anyone, the graph says the same of everybody."""
    jury = Jury.fit(crowd(), ("A2", "A3", "A4", "B3", "D5"), np.random.default_rng(0))
    assert jury is not None
    assert len(set(jury.hear(crowd(seed=1))[JURORS.index("linked")].tolist())) == 1
