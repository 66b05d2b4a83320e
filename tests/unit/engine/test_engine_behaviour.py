"""How the engine behaves: prediction, weights, one point, approximate mode, bad input, interruption."""

from __future__ import annotations

import io
import threading
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from engine_shapes import SHAPES, scale_of  # type: ignore[import-not-found]
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import check_estimator

from membergate.engine import (
    DBSCAN,
    HDBSCAN,
    MDCA,
    OPTICS,
    DensityPeaks,
    InvalidInputError,
    KDistance,
    LocalOutlierFactor,
    NeighbourGraph,
)

_ZERO_WEIGHT = {"check_sample_weight_equivalence_on_dense_data": "weights count rows: one below 1 is refused by name"}
_XI = "steepness counts the rows of the plot: cluster_method='xi' takes no weights, and says so"
_EXPECTED_FAILURES = dict.fromkeys(("HDBSCAN", "MDCA", "DensityPeaks", "KDistance"), _ZERO_WEIGHT) | {
    "OPTICS": _ZERO_WEIGHT | dict.fromkeys(("check_sample_weights_list", "check_sample_weights_not_overwritten"), _XI)
}
"""Every other check of scikit-learn passes, with its reason where one cannot. DBSCAN takes weights of 0 too."""
_NO_NUMBER: Any = "all"
_NO_GRAPH: Any = np.eye(3)


def _without_blocks(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: array for name, array in arrays.items() if "blocks" not in name}


_COMPARED = ("labels_", "core_distances_", "probabilities_", "density_", "is_small_", "training_scores_")


@pytest.mark.parametrize(
    "estimator",
    [
        DBSCAN(),
        OPTICS(),
        HDBSCAN(),
        MDCA(n_neighbors=4),
        DensityPeaks(n_clusters=2, n_neighbors=4),
        LocalOutlierFactor(n_neighbors=5),
        KDistance(n_neighbors=5),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings(
    "ignore:.*does not inherit from `sklearn.base.BaseEstimator`"
)  # on purpose: see `Estimator`
def test_every_estimator_passes_scikit_learns_checks(estimator: Any) -> None:
    """An engine estimator can stand wherever a scikit-learn estimator can."""
    check_estimator(estimator, expected_failed_checks=_EXPECTED_FAILURES.get(type(estimator).__name__))


def test_dbscan_predicts_the_nearest_dense_point_within_eps() -> None:
    """A new row takes the label of its nearest dense point within eps, else -1; brute force agrees."""
    rows = SHAPES["several cells"]()
    model = DBSCAN(eps=scale_of(rows)).fit(rows)
    new = rows + np.random.default_rng(0).normal(scale=0.5, size=rows.shape)
    core = model.core_sample_indices_
    distances = np.linalg.norm(new[:, None] - rows[core][None], axis=2)
    expected = np.where(distances.min(axis=1) <= model.eps, model.labels_[core][distances.argmin(axis=1)], -1)
    assert np.array_equal(model.predict(new), expected)
    assert np.array_equal(model.predict(rows[core]), model.labels_[core])


def test_weights_count_as_repeated_rows() -> None:
    """A row of weight three is as three equal rows."""
    rows = SHAPES["two axes"]()
    weights = np.random.default_rng(1).integers(1, 4, size=len(rows))
    model = DBSCAN(eps=scale_of(rows, 3), min_samples=9)
    weighted = model.fit(rows, sample_weight=weights).labels_
    repeated = model.fit(np.repeat(rows, weights, axis=0)).labels_
    assert np.array_equal(np.repeat(weighted, weights), repeated)


@pytest.mark.parametrize("name", ["two axes", "duplicates"])
@pytest.mark.parametrize(
    "estimator",
    [
        DBSCAN(eps=1.1, min_samples=9),
        OPTICS(9, cluster_method="dbscan", eps=1.1),
        HDBSCAN(12, 9),
        HDBSCAN(12, 9, cluster_selection_method="leaf"),
        MDCA(9, min_cluster_size=30),
        DensityPeaks(3, 9),
        KDistance(9),
    ],
    ids=repr,
)
def test_weights_are_repeated_rows(estimator: Any, name: str) -> None:
    """A row of weight w has the labels, the strengths and the scores that w equal rows have, from rows or a graph."""
    rows = SHAPES[name]()
    weights = np.random.default_rng(1).integers(1, 4, size=len(rows))
    weighted = estimator.fit(rows, sample_weight=weights)
    kept = {key: getattr(weighted, key) for key in _COMPARED if hasattr(weighted, key)}
    by_graph = clone(estimator).fit_graph(NeighbourGraph(rows, 20), sample_weight=weights)
    new = rows[::5] + 0.2
    scores = weighted.score_samples(new) if hasattr(weighted, "score_samples") else None
    repeated = clone(estimator).fit(np.repeat(rows, weights, axis=0))
    first = np.cumsum(weights) - weights
    assert "labels_" in kept or "training_scores_" in kept
    for key, values in kept.items():
        np.testing.assert_array_equal(getattr(by_graph, key), values)
        expected = getattr(repeated, key)[first]
        if key != "labels_":
            np.testing.assert_allclose(values, expected, rtol=1e-12)
        elif not isinstance(estimator, HDBSCAN) or name != "duplicates":  # there, ties are broken by other copies
            assert adjusted_rand_score(values, expected) == pytest.approx(1.0)
    if scores is not None:
        np.testing.assert_array_equal(scores, repeated.score_samples(new))


def test_weights_that_are_no_repeated_rows_are_refused() -> None:
    """Lighter than one row, or where the plot of OPTICS counts rows: the error says what to do instead."""
    rows = SHAPES["two axes"]()
    for weight, word in ((0.5, "leave out"), (0.0, "leave out")):
        with pytest.raises(InvalidInputError, match=word):
            HDBSCAN().fit(rows, sample_weight=np.full(len(rows), weight))
    with pytest.raises(InvalidInputError, match="repeat the rows"):
        OPTICS().fit(rows, sample_weight=np.full(len(rows), 2))


def test_state_survives_a_file_without_pickle() -> None:
    """Arrays written by numpy and read back without pickle give the same predictions, bit for bit."""
    rows = SHAPES["eight axes"]()
    for model in (DBSCAN(eps=scale_of(rows)), LocalOutlierFactor(), MDCA(), HDBSCAN(), DensityPeaks()):
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **model.fit(rows).to_arrays())
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            again = type(model).from_arrays(dict(arrays))
        assert np.array_equal(again.predict(rows[::3] + 0.1), model.predict(rows[::3] + 0.1))


@pytest.mark.parametrize("cut", ["extract_dbscan", "extract_xi"])
def test_a_plot_that_is_not_there_yet_is_not_cut(cut: str) -> None:
    """Before `fit` the error is the one that scikit-learn's users catch."""
    with pytest.raises(NotFittedError, match="call fit first"):
        getattr(OPTICS(), cut)(1.0)


def test_parameters_may_be_numbers_of_numpys() -> None:
    """What a grid of NumPy's gives as a parameter is written to the arrays as a plain number, and read back."""
    rows = SHAPES["two axes"]()
    model = DBSCAN(eps=np.float32(0.5), min_samples=np.int64(4)).fit(rows)  # type: ignore[arg-type]
    again = DBSCAN.from_arrays(model.to_arrays())
    assert again.get_params() == {"eps": 0.5, "min_samples": 4, "n_jobs": None}
    assert np.array_equal(again.predict(rows), model.predict(rows))


def test_an_error_about_rows_is_one_line() -> None:
    """What scikit-learn says about missing values is told without its advice on other estimators."""
    with pytest.raises(InvalidInputError, match=r"^X: got Input X contains NaN; allowed: [^\n]*$"):
        DBSCAN().fit([[np.nan]])


@pytest.mark.parametrize("rows", [np.zeros((1, 3)), np.ones((50, 2))], ids=["one point", "all equal"])
def test_degenerate_tables_have_an_answer(rows: Any) -> None:
    """One point, and many equal points, are clustered and scored without error."""
    assert DBSCAN(min_samples=1).fit(rows).labels_.tolist() == [0] * len(rows)
    assert len(MDCA(n_neighbors=3).fit(rows).labels_) == len(rows)
    assert len(DensityPeaks(2, 3).fit(rows).labels_) == len(rows)
    if len(rows) > 1:
        assert HDBSCAN(allow_single_cluster=True).fit(rows).labels_.tolist() == [0] * len(rows)
        assert len(OPTICS().fit(rows).labels_) == len(rows)
        assert np.isfinite(LocalOutlierFactor().fit(rows).training_scores_).all()


def test_an_approximate_graph_keeps_the_outliers() -> None:
    """The sparsest points are searched again exactly, and the graph says so."""
    rows = SHAPES["several cells"]()
    exact = NeighbourGraph(rows, 20)
    approximate = NeighbourGraph(rows, 20, exact=False, n_cells=2)
    assert approximate.report["searched_again_share"] == pytest.approx(2 / 15)  # beyond the elbow
    assert 2 / 15 <= approximate.report["proven_share"] <= 1.0
    assert (approximate.distances >= exact.distances - 1e-12).all()
    sparse = np.argsort(-exact.distances[:, -1])[: len(rows) // 10]
    assert np.array_equal(approximate.distances[sparse], exact.distances[sparse])
    eps = scale_of(rows)
    labels = DBSCAN(eps=eps).fit_graph(approximate).labels_
    assert np.array_equal(labels, DBSCAN(eps=eps).fit_graph(exact).labels_)


@pytest.mark.parametrize(
    ("call", "parameter"),
    [
        (lambda: DBSCAN().fit([[np.nan]]), "X"),
        (lambda: DBSCAN().fit([[np.inf]]), "X"),
        (lambda: DBSCAN().fit([["a"]]), "X"),
        (lambda: DBSCAN().fit(scipy.sparse.eye_array(3)), "X"),
        (lambda: DBSCAN().fit(np.zeros((3, 0))), "X"),
        (lambda: DBSCAN().fit([[1e200]]), "X"),
        (lambda: DBSCAN(eps=0).fit([[0.0]]), "eps"),
        (lambda: DBSCAN(min_samples=0).fit([[0.0]]), "min_samples"),
        (lambda: DBSCAN().fit([[0.0]], sample_weight=[-1.0]), "sample_weight"),
        (lambda: OPTICS(min_samples=5).fit([[0.0], [1.0]]), "min_samples"),
        (lambda: HDBSCAN(min_cluster_size=5).fit([[0.0], [1.0]]), "min_samples"),
        (lambda: HDBSCAN(cluster_selection_method="best").fit([[0.0], [1.0]]), "cluster_selection_method"),
        (lambda: DBSCAN().fit([[0.0, 1.0]]).predict([[0.0]]), "X"),
        (lambda: LocalOutlierFactor(n_neighbors=30).fit_graph(NeighbourGraph(np.eye(40), 4)), "n_neighbors"),
        (lambda: MDCA(density0=-1.0).fit([[0.0]]), "density0"),
        (lambda: DBSCAN.from_arrays({}), "arrays"),
        (lambda: DBSCAN(n_jobs=0).fit([[0.0]]), "n_jobs"),
        (lambda: DBSCAN(n_jobs=_NO_NUMBER).fit([[0.0]]), "n_jobs"),
        (lambda: DBSCAN().fit_graph(_NO_GRAPH), "graph"),
        (lambda: HDBSCAN().fit_graph(_NO_GRAPH), "graph"),
        (lambda: KDistance().fit_graph(_NO_GRAPH), "graph"),
        (lambda: KDistance().fit_graph(NeighbourGraph(np.eye(30)), sample_weight=[1.0]), "sample_weight"),
        (lambda: DBSCAN().to_arrays(), "DBSCAN"),
        (lambda: DBSCAN(eps=10**400).fit([[0.0]]), "eps"),
        (lambda: DBSCAN(min_samples=10**400).fit([[0.0]]), "min_samples"),
        (lambda: DBSCAN().fit([[10**400]]), "X"),
        (lambda: DBSCAN().fit([[0.0]], sample_weight=np.array([1j])), "sample_weight"),
        (lambda: DBSCAN().fit([[0.0]], sample_weight=[1e308]), "sample_weight"),
        (lambda: DBSCAN(n_jobs=np.array([1, 2])).fit([[0.0]]), "n_jobs"),  # type: ignore[arg-type]
        (lambda: HDBSCAN(allow_single_cluster="no").fit(np.eye(9)), "allow_single_cluster"),  # type: ignore[arg-type]
        (lambda: HDBSCAN(cluster_selection_method=np.eye(2)).fit(np.eye(9)), "cluster_selection_method"),  # type: ignore[arg-type]
        (lambda: OPTICS(min_cluster_size=-1).fit(np.eye(9)), "min_cluster_size"),
        (lambda: OPTICS(min_cluster_size=10).fit(np.eye(9)), "min_cluster_size"),
        (lambda: OPTICS(xi=1.0).fit(np.eye(9)), "xi"),
        (lambda: OPTICS().fit(np.eye(9)).extract_xi(-1.0), "xi"),
        (lambda: OPTICS().fit(np.eye(9)).extract_xi(min_cluster_size=0), "min_cluster_size"),
        (lambda: MDCA(4, density0=np.inf).fit(np.eye(9)), "density0"),
        (lambda: NeighbourGraph(np.eye(9), exact="no"), "exact"),  # type: ignore[arg-type]
        (lambda: DBSCAN.from_arrays(_without_blocks(DBSCAN().fit(np.eye(9)).to_arrays())), "arrays"),
    ],
)
def test_bad_input_is_named(call: Any, parameter: str) -> None:
    """One error says which parameter, what it got and what is allowed."""
    with pytest.raises(InvalidInputError) as caught:
        call()
    assert caught.value.parameter == parameter
    assert "got" in str(caught.value)
    assert "allowed" in str(caught.value)


def test_a_long_fit_tells_progress_and_an_interrupt_leaves_no_thread() -> None:
    """Progress comes by phase up to 1; an interrupt raised meanwhile ends every thread of the engine."""
    rows, told = SHAPES["several cells"](), []
    NeighbourGraph(rows, 8, n_jobs=2, progress=lambda phase, share: told.append((phase, share)))
    assert {phase for phase, _ in told} >= {"cells", "neighbours"}
    assert told[-1][1] == 1.0

    def interrupt(_phase: str, _share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        NeighbourGraph(rows, 8, n_jobs=2, progress=interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("engine")]


@pytest.mark.parametrize(
    ("estimator", "phases"),
    [
        (DBSCAN(2.0), {"cells", "counting", "joining"}),
        (OPTICS(), {"cells", "neighbours", "walk"}),
        (HDBSCAN(), {"cells", "neighbours", "spanning tree"}),
        (MDCA(), {"cells", "neighbours", "joining"}),
        (DensityPeaks(), {"cells", "neighbours"}),
        (LocalOutlierFactor(), {"cells", "neighbours"}),
        (KDistance(), {"cells", "neighbours"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_fit_tells_progress_and_can_be_interrupted_in_every_phase(estimator: Any, phases: set[str]) -> None:
    """Shares go up to 1 within a phase; an interrupt in any phase ends the fit and leaves no thread of the engine."""
    rows, told = SHAPES["several cells"](), []
    estimator.fit(rows, progress=lambda phase, share: told.append((phase, share)))
    assert {phase for phase, _ in told} == phases
    for phase in phases:
        shares = [share for name, share in told if name == phase]
        assert shares[-1] == pytest.approx(1.0)

        def interrupt(name: str, _share: float, phase: str = phase) -> None:
            if name == phase:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            estimator.fit(rows, progress=interrupt)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("engine")]


def test_optics_and_mdca_on_an_approximate_graph_keep_to_its_lists() -> None:
    """The walk finds the clusters of the exact one; rows that list nothing dense follow their neighbours."""
    rows = SHAPES["several cells"]()
    exact, approximate = NeighbourGraph(rows, 20), NeighbourGraph(rows, 20, exact=False)
    eps = scale_of(rows)
    cut = [OPTICS(5, cluster_method="dbscan", eps=eps).fit_graph(graph) for graph in (exact, approximate)]
    assert adjusted_rand_score(cut[0].labels_, cut[1].labels_) >= 0.99
    assert (cut[1].core_distances_ >= cut[0].core_distances_ - 1e-12).all()
    by_density = [MDCA(8).fit_graph(graph) for graph in (exact, approximate)]
    assert by_density[1].labels_.min() >= 0
    assert adjusted_rand_score(by_density[0].labels_, by_density[1].labels_) >= 0.95
    assert (by_density[1].outlierness_ >= 0).all()
