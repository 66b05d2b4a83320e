"""The engine's public interface: what the identification model relies on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

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


@pytest.mark.parametrize("rows", ["numpy.eye(4)", "numpy.eye(4, order='F')", "numpy.eye(8, dtype='f4')[:, ::2]"])
def test_a_fit_of_a_table_of_floats_loads_no_other_library(rows: str) -> None:
    """A table of floats, however it is laid out, needs numpy and numba alone, no scikit-learn or pandas."""
    script = (
        f"import sys, numpy; from membergate.engine import DBSCAN; rows = {rows};"
        "DBSCAN(1.0, 2).fit(rows).predict(rows);"
        "print(*({'sklearn', 'pandas', 'scipy.stats', 'joblib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "\n"


def test_the_example_of_the_page_runs_as_it_is_pasted() -> None:
    """The first code of the engine's page finds its two blobs, and the row unlike any scores lowest."""
    page = Path(__file__).parents[3] / "docs/engine/index.md"
    names: dict[str, Any] = {}
    exec(page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0], names)  # noqa: S102 -- our own text
    assert names["clusters"].labels_.max() == 1
    assert names["scores"].argmin() == 1


@pytest.mark.parametrize("estimator", [*_CLUSTERERS, *_DETECTORS], ids=lambda estimator: type(estimator).__name__)
def test_an_estimator_is_cloned_and_printed_as_it_was_made(estimator: Any) -> None:
    """scikit-learn clones it by its parameters; it prints as the call that makes it; unknown parameters are named."""
    copy = clone(estimator)
    assert copy is not estimator
    assert copy.get_params() == estimator.get_params()
    assert repr(eval(repr(estimator))) == repr(estimator)  # noqa: S307 -- it is our own text
    with pytest.raises(InvalidInputError, match="allowed: one of"):
        copy.set_params(radius=1)
