"""The condensed tree of HDBSCAN: which clusters split from which, and at what density each row falls out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.compiling import inner, kernel


class CondensedTree(NamedTuple):
    """Clusters are numbered from the root, 0, parents before children.

    Attributes
    ----------
    cluster_parent, birth, size
        Parent (-1 for the root), density (1 / distance) at which it splits off, and rows, of each cluster.
    row_cluster, row_density, row_weight
        Cluster out of which each row falls, the density at which it does, and how many rows it stands for.
    """

    cluster_parent: NDArray[np.int64]
    birth: NDArray[np.float64]
    size: NDArray[np.float64]
    row_cluster: NDArray[np.int64]
    row_density: NDArray[np.float64]
    row_weight: NDArray[np.float64]


def condense(
    children: NDArray[np.int64],
    heights: NDArray[np.float64],
    sizes: NDArray[np.float64],
    rows: tuple[NDArray[np.float64], NDArray[np.float64]],
    min_cluster_size: int,
) -> CondensedTree:
    """Drop every split of which one side is smaller than a cluster; `rows` are their weights and core distances."""
    n_rows = len(heights) + 1
    largest = 2 * min(n_rows, int(rows[0].sum()) // max(min_cluster_size, 1)) + 3
    above, birth, size = np.full(largest, -1), np.zeros(largest), np.zeros(largest)
    row_cluster, row_density = np.zeros(n_rows, dtype=np.int64), np.zeros(n_rows)
    if n_rows == 1:  # one row that weighs as much as many
        size[0], row_density[0] = rows[0][0], 1.0 / rows[1][0] if rows[1][0] > 0 else np.inf
        return CondensedTree(above[:1], birth[:1], size[:1], row_cluster, row_density, rows[0])
    n_clusters = _condense(
        children, heights, sizes, *rows, min_cluster_size, above, birth, size, row_cluster, row_density
    )
    return CondensedTree(above[:n_clusters], birth[:n_clusters], size[:n_clusters], row_cluster, row_density, rows[0])


@kernel
def _condense(
    children: NDArray[np.int64],
    heights: NDArray[np.float64],
    sizes: NDArray[np.float64],
    row_weight: NDArray[np.float64],
    row_core: NDArray[np.float64],
    smallest: int,
    cluster_parent: NDArray[np.int64],
    birth: NDArray[np.float64],
    size: NDArray[np.float64],
    row_cluster: NDArray[np.int64],
    row_density: NDArray[np.float64],
) -> int:
    n_rows = len(heights) + 1
    cluster_of = np.full(n_rows - 1, -1, dtype=np.int64)  # by merge
    fallen = np.full(n_rows - 1, -1.0)  # density at which all of a merge's rows fell out, where they did
    cluster_of[n_rows - 2], size[0], n_clusters = 0, row_weight.sum(), 1
    for merge in range(n_rows - 2, -1, -1):
        cluster = cluster_of[merge]
        density = _inverse(heights[merge])
        left, right = children[merge]
        left_size = row_weight[left] if left < n_rows else sizes[left - n_rows]
        right_size = row_weight[right] if right < n_rows else sizes[right - n_rows]
        is_split = fallen[merge] < 0 and left_size >= smallest and right_size >= smallest
        for child, child_size in ((left, left_size), (right, right_size)):
            child_cluster, fell = cluster, fallen[merge]
            if is_split:
                child_cluster = n_clusters
                cluster_parent[n_clusters], birth[n_clusters], size[n_clusters] = cluster, density, child_size
                n_clusters += 1
            elif fell < 0 and child_size < smallest:
                fell = density
            if child < n_rows:
                row_cluster[child] = child_cluster
                if fell < 0:  # it weighs as much as a cluster: rows as equal hang together at their core distance
                    fell = _inverse(row_core[child])
                row_density[child] = fell
            else:
                cluster_of[child - n_rows], fallen[child - n_rows] = child_cluster, fell
    return n_clusters


@inner
def _inverse(distance: float) -> float:
    return 1.0 / distance if distance > 0 else np.inf


def stabilities(tree: CondensedTree) -> NDArray[np.float64]:
    """Give each cluster's excess of mass: how long its rows stay in it, in density."""
    n_clusters = len(tree.size)
    with np.errstate(invalid="ignore"):
        by_row = (tree.row_density - tree.birth[tree.row_cluster]) * tree.row_weight
        total = np.bincount(tree.row_cluster, by_row, minlength=n_clusters).astype(np.float64)
        inner = np.arange(1, n_clusters)
        by_child = (tree.birth[inner] - tree.birth[tree.cluster_parent[inner]]) * tree.size[inner]
        total += np.bincount(tree.cluster_parent[inner], by_child, minlength=n_clusters)
    return total


def select_by_mass(
    tree: CondensedTree, *, allow_single_cluster: bool, max_cluster_size: int | None
) -> NDArray[np.bool_]:
    """Select the clusters of largest total excess of mass, none within another."""
    mass = stabilities(tree)
    n_clusters = len(mass)
    limit = max_cluster_size or int(tree.size[0]) + 1
    below = np.zeros(n_clusters)
    is_selected = np.zeros(n_clusters, dtype=np.bool_)
    first = 0 if allow_single_cluster else 1
    for cluster in range(n_clusters - 1, first - 1, -1):
        is_selected[cluster] = below[cluster] <= mass[cluster] and tree.size[cluster] <= limit
        if not is_selected[cluster]:
            mass[cluster] = below[cluster]
        if cluster > 0:
            below[tree.cluster_parent[cluster]] += mass[cluster]
    return _topmost(tree, is_selected)


def select_leaves(tree: CondensedTree, *, allow_single_cluster: bool) -> NDArray[np.bool_]:
    """Select the clusters that do not split further."""
    is_leaf = np.ones(len(tree.size), dtype=np.bool_)
    is_leaf[tree.cluster_parent[1:]] = False
    if len(is_leaf) == 1:
        is_leaf[0] = allow_single_cluster
    return is_leaf


def raise_to_distance(
    tree: CondensedTree, is_selected: NDArray[np.bool_], epsilon: float, *, allow_single_cluster: bool
) -> NDArray[np.bool_]:
    """Replace clusters born below a distance by their nearest ancestor born at or above it."""
    with np.errstate(divide="ignore"):
        born_at = 1.0 / tree.birth
    raised = np.zeros_like(is_selected)
    for cluster in np.flatnonzero(is_selected):
        top = cluster
        while born_at[top] < epsilon:
            above = tree.cluster_parent[top]
            if above <= 0 and not allow_single_cluster:
                break
            top = above
            if top == 0:
                break
        raised[top] = True
    return _topmost(tree, raised)


def _topmost(tree: CondensedTree, is_selected: NDArray[np.bool_]) -> NDArray[np.bool_]:
    is_covered = np.zeros_like(is_selected)
    for cluster in range(1, len(is_selected)):
        above = tree.cluster_parent[cluster]
        is_covered[cluster] = is_covered[above] or is_selected[above]
    topmost: NDArray[np.bool_] = is_selected & ~is_covered
    return topmost


def selected_ancestor(tree: CondensedTree, is_selected: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give for each cluster the selected cluster that holds it, or -1."""
    ancestor = np.full(len(is_selected), -1, dtype=np.int64)
    for cluster in range(len(is_selected)):
        if is_selected[cluster]:
            ancestor[cluster] = cluster
        elif cluster > 0:
            ancestor[cluster] = ancestor[tree.cluster_parent[cluster]]
    return ancestor


def largest_density(tree: CondensedTree) -> NDArray[np.float64]:
    """Give the largest density at which a row or a child cluster leaves each cluster."""
    largest = np.zeros(len(tree.size))
    np.maximum.at(largest, tree.row_cluster, tree.row_density)
    np.maximum.at(largest, tree.cluster_parent[1:], tree.birth[1:])
    return largest
