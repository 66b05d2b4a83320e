"""The neighbour graph: each point's nearest points and how far away they are, found once for every algorithm."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import KDTree
from sklearn.utils.validation import check_array

from membergate.engine.errors import InvalidInputError


class NeighbourGraph:
    """The k nearest neighbours of every point.

    Parameters
    ----------
    X
        Points, shape (n, d), finite.
    n_neighbors
        Neighbours kept for each point, itself not counted.
    exact
        Whether every list must be proven right.
    """

    def __init__(self, X: ArrayLike, n_neighbors: int = 32, *, exact: bool = True) -> None:
        self.points: NDArray[np.float64] = np.ascontiguousarray(check_array(X, dtype=np.float64))
        if n_neighbors < 1:
            raise InvalidInputError("n_neighbors", got=n_neighbors, allowed="an integer >= 1")
        self.exact = exact
        self.n_neighbors = min(n_neighbors, len(self.points) - 1)
        self.tree = KDTree(self.points)
        self.distances, self.indices = _without_self(self.tree, self.points, self.n_neighbors)


def _without_self(
    tree: KDTree, points: NDArray[np.float64], n_neighbors: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    distances, indices = tree.query(points, k=min(n_neighbors + 1, len(points)))
    rows = np.arange(len(points))
    is_self = indices == rows[:, None]
    is_self[~is_self.any(axis=1), -1] = True  # among many equal points, the point itself may not be listed
    kept = ~is_self
    shape = (len(points), indices.shape[1] - 1)
    return distances[kept].reshape(shape), indices[kept].reshape(shape)
