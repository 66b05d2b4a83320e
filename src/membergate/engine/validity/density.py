"""DBCV: does every cluster hang together more densely than it hangs on any other? In [-1, 1], larger is better.

Moulavi, Jaskowiak, Campello, Zimek and Sander, SDM 2014. Cost: quadratic in the
size of each cluster and in each pair of clusters; take a sample beyond 20,000 rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from membergate.engine.checking import checked_labels, checked_rows
from membergate.engine.errors import InvalidInputError


class _Cluster(NamedTuple):
    inner_rows: NDArray[np.float64]
    inner_core: NDArray[np.float64]
    sparseness: float
    share: float


def density_validity(X: ArrayLike, labels: ArrayLike) -> tuple[float, NDArray[np.float64]]:
    """Measure how valid a density clustering is.

    Parameters
    ----------
    X
        Rows, shape (n, d).
    labels
        Cluster of each row; -1 is noise, and counts against the whole.

    Returns
    -------
    index
        The weighted mean over clusters, in [-1, 1].
    by_cluster
        The index of each cluster, in the order of its label.
    """
    rows = checked_rows(X)
    found = checked_labels("labels", labels, len(rows))
    names = np.unique(found[found >= 0])
    if len(names) < 2:  # noqa: PLR2004 -- separation needs two
        raise InvalidInputError("labels", got=f"{len(names)} clusters", allowed="at least two clusters")
    clusters = [_describe(rows[found == name], len(rows)) for name in names]
    by_cluster = np.empty(len(clusters))
    for i, cluster in enumerate(clusters):
        separation = min(_separation(cluster, other) for j, other in enumerate(clusters) if j != i)
        by_cluster[i] = (separation - cluster.sparseness) / max(separation, cluster.sparseness)
    return float(sum(cluster.share * value for cluster, value in zip(clusters, by_cluster, strict=True))), by_cluster


def _describe(rows: NDArray[np.float64], n_all: int) -> _Cluster:
    distances = cdist(rows, rows)
    n_rows, n_axes = rows.shape
    with np.errstate(divide="ignore"):
        inverse = np.where(distances > 0, distances, np.inf) ** -1.0
    scale = inverse.max(axis=1, keepdims=True)  # keeps the power from overflowing
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = ((inverse / scale) ** n_axes).sum(axis=1) / max(n_rows - 1, 1)
        core = np.where(mean > 0, mean ** (-1.0 / n_axes) / scale[:, 0], 0.0)
    reach = np.maximum(distances, np.maximum(core[:, None], core[None, :]))
    ends, lengths = _tree(reach)
    degree = np.bincount(ends.ravel(), minlength=n_rows)
    inner = np.flatnonzero(degree > 1) if (degree > 1).any() else np.arange(n_rows)
    is_inner = (degree[ends] > 1).all(axis=1)
    among = lengths[is_inner] if is_inner.any() else lengths
    return _Cluster(rows[inner], core[inner], float(among.max(initial=0.0)), n_rows / n_all)


def _tree(reach: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Grow the minimum spanning tree of a dense matrix (Prim).

    Many edges are equally long; a row hangs on the first row that is as near, as in the `hdbscan` library.
    """
    n_rows = len(reach)
    ends, lengths = np.empty((n_rows - 1, 2), dtype=np.int64), np.empty(n_rows - 1)
    nearest = reach[0].copy()
    is_out = np.ones(n_rows, dtype=np.bool_)
    is_out[0] = False
    for step in range(n_rows - 1):
        row = int(np.argmin(np.where(is_out, nearest, np.inf)))
        equals = np.flatnonzero(~is_out & np.isclose(reach[row], nearest[row]))
        ends[step], lengths[step] = (equals[0], row), nearest[row]
        is_out[row] = False
        np.minimum(nearest, reach[row], out=nearest)
    return ends, lengths


def _separation(cluster: _Cluster, other: _Cluster) -> float:
    distances = cdist(cluster.inner_rows, other.inner_rows)
    return float(np.maximum(distances, np.maximum(cluster.inner_core[:, None], other.inner_core[None, :])).min())
