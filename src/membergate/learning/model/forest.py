"""Isolation forest, kept as arrays: scikit-learn grows the trees, and what is kept of them scores anyone.

References
----------
Liu, Ting and Zhou (2008), Isolation forest, ICDM, 10.1109/ICDM.2008.17.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

TREES = 50
SAMPLE = 256
"""Rows that a tree is grown on; more find no more outliers (section 4 of the paper)."""
_ROWS_AT_ONCE = 16_384
_EULER = 0.5772156649015329


@dataclass(frozen=True)
class IsolationTrees:
    """Grown trees, all nodes of all of them in one row after the other; a leaf's children are itself.

    Parameters
    ----------
    roots
        Shape (trees,): first node of each tree.
    feature, threshold
        Shape (nodes,): rows with a value of at most the threshold go left.
    left, right
        Shape (nodes,): the children.
    path
        Shape (nodes,): mean length of the paths that end in a leaf, 0 elsewhere.
    depth
        Steps after which every row is in a leaf.
    usual
        Mean length of a path among as many rows as a tree was grown on, > 0.
    """

    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    path: NDArray[np.float64]
    depth: int
    usual: float

    @classmethod
    def fit(cls, rows: NDArray[np.float64], rng: np.random.Generator) -> Self:
        """Grow the trees on rows of shape (n, f), finite, n >= 2."""
        forest = IsolationForest(
            n_estimators=TREES, max_samples=min(SAMPLE, len(rows)), random_state=int(rng.integers(2**31))
        )
        grown = [member.tree_ for member in forest.fit(rows).estimators_]
        sizes = np.array([tree.node_count for tree in grown])
        roots = np.r_[0, np.cumsum(sizes)[:-1]]

        def joined(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(tree, name) for tree in grown])

        offset = np.repeat(roots, sizes)
        is_leaf = joined("children_left") < 0
        own = np.arange(offset.size)
        depths = np.concatenate([_depths(tree.children_left, tree.children_right) for tree in grown])
        return cls(
            roots=roots,
            feature=np.maximum(joined("feature"), 0).astype(np.int64),
            threshold=joined("threshold").astype(np.float64),
            left=np.where(is_leaf, own, joined("children_left") + offset).astype(np.int64),
            right=np.where(is_leaf, own, joined("children_right") + offset).astype(np.int64),
            path=np.where(is_leaf, depths + _usual_path(joined("n_node_samples")), 0.0),
            depth=int(depths.max()),
            usual=float(_usual_path(np.array([min(SAMPLE, len(rows))]))[0]),
        )

    def outlierness(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give 2 to the minus (mean path / usual path), shape (n,), in (0, 1): larger is odder."""
        # scikit-learn compares in single precision; so does this, or a value at a threshold would go astray
        values = np.ascontiguousarray(rows, dtype=np.float32)
        found = np.empty(len(values))
        for start in range(0, len(values), _ROWS_AT_ONCE):
            part = values[start : start + _ROWS_AT_ONCE]
            found[start : start + _ROWS_AT_ONCE] = self._mean_path(part)
        return np.asarray(2.0 ** (-found / self.usual))

    def _mean_path(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        row = np.arange(len(values))
        total = np.zeros(len(values))
        for root in self.roots.tolist():
            node = np.full(len(values), root)
            for _ in range(self.depth):
                goes_left = values[row, self.feature[node]] <= self.threshold[node]
                node = np.where(goes_left, self.left[node], self.right[node])
            total += self.path[node]
        return total / len(self.roots)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Give everything that scoring needs, for storage."""
        return {name: np.asarray(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """Bring back what `to_arrays` gave."""
        roots, feature, threshold, left, right, path, depth, usual = (arrays[name] for name in cls.__dataclass_fields__)
        return cls(roots, feature, threshold, left, right, path, int(depth), float(usual))


def _depths(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.int64]:
    """Give each node's depth; scikit-learn numbers a parent before its children."""
    depths = np.zeros(len(left), dtype=np.int64)
    for node in np.flatnonzero(left >= 0).tolist():
        depths[[left[node], right[node]]] = depths[node] + 1
    return depths


def _usual_path(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Give the mean path length of an unsuccessful search among so many rows (equation 1 of the paper)."""
    many = np.maximum(rows.astype(np.float64), 3.0)
    usual = 2.0 * (np.log(many - 1.0) + _EULER) - 2.0 * (many - 1.0) / many
    return np.where(rows <= 1, 0.0, np.where(rows == 2, 1.0, usual))  # noqa: PLR2004 - the paper's own cases
