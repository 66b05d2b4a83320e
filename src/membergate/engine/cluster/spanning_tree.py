"""The exact minimum spanning tree over mutual reachability, grown by Boruvka's rounds from the lists.

Each round, every component takes its lightest edge to another. Listed edges
give a bound; a point is searched in the index only if the lightest edge beyond
its list could still be lighter, and cells that belong to the component as a
whole are passed over. What a search has excluded stays excluded, since
components only grow.

Many edges are equally long, since a core distance counts for every edge of a
point that is shorter. Among equals the one whose two ends come first in the
content order is taken: the tree does not depend on the order of the rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.cells import CellIndex
from membergate.engine.graph.compiling import inner, kernel, part
from membergate.engine.graph.components import find, unite
from membergate.engine.graph.search import (
    Scratch,
    begin_search,
    exact_distance,
    index_length,
    make_scratch,
    next_near,
    scan_near,
)
from membergate.engine.graph.threads import Progress, over_ranges


class _Forest(NamedTuple):
    """The components of a round over u points in c cells, and what is known of their edges.

    Attributes
    ----------
    parent
        Union-find, shape (u,); at the beginning of a round every point names its component.
    core, distances, neighbours
        Core distances, shape (u,), and lists, shape (u, k).
    own, own_to
        Each point's lightest known edge out of its component: weight, and the other end or -1.
    beyond
        Weight that no unknown edge of a point is below, shape (u,).
    best, edge_from, edge_to
        Lightest known edge of each component, by its representative.
    owner, lowest_core
        Component that a cell belongs to as a whole, or -1; smallest core distance in a cell, shape (c,).
    """

    parent: NDArray[np.int32]
    core: NDArray[np.float64]
    distances: NDArray[np.float64]
    neighbours: NDArray[np.int32]
    own: NDArray[np.float64]
    own_to: NDArray[np.int64]
    beyond: NDArray[np.float64]
    best: NDArray[np.float64]
    edge_from: NDArray[np.int64]
    edge_to: NDArray[np.int64]
    owner: NDArray[np.int64]
    lowest_core: NDArray[np.float64]


def spanning_tree(
    index: CellIndex,
    core: NDArray[np.float64],
    lists: tuple[NDArray[np.float64], NDArray[np.int32]],
    known_within: NDArray[np.float64],
    progress: Progress | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Grow the tree.

    Parameters
    ----------
    index
        The cell index over u points.
    core
        Core distances, shape (u,).
    lists
        Distances and neighbours, shapes (u, k).
    known_within
        Distance up to which each list is complete, shape (u,).
    progress
        Told how much of the tree has grown.

    Returns
    -------
    ends, weights
        Places that each edge joins, shape (u - 1, 2), and mutual reachability distances, shape (u - 1,).
    """
    n_points = len(core)
    ends, weights = np.empty((n_points - 1, 2), dtype=np.int64), np.empty(n_points - 1)
    forest = _Forest(
        parent=np.arange(n_points, dtype=np.int32),
        core=core,
        distances=lists[0],
        neighbours=lists[1],
        own=np.full(n_points, np.inf),
        own_to=np.full(n_points, -1, dtype=np.int64),
        beyond=np.maximum(known_within, core),
        best=np.empty(n_points),
        edge_from=np.empty(n_points, dtype=np.int64),
        edge_to=np.empty(n_points, dtype=np.int64),
        owner=np.empty(len(index.centres), dtype=np.int64),
        lowest_core=np.minimum.reduceat(core, index.first[:-1]),
    )
    n_edges = 0
    while n_edges < len(weights):
        _begin_round(index, forest)
        over_ranges(lambda begin, end: _search_round(index, forest, begin, end), n_points, n_jobs=1)
        n_edges = _join(forest, ends, weights, n_edges)
        if progress is not None:
            progress("spanning tree", n_edges / len(weights))
    return ends, weights


@kernel
def _search_round(index: CellIndex, forest: _Forest, begin: int, end: int) -> None:
    """Search round the points whose lightest edge beyond the list could be their component's lightest."""
    scratch = make_scratch(index)
    for place in range(begin, end):
        if forest.beyond[place] < forest.best[forest.parent[place]]:
            _search_outside(index, forest, place, scratch)
            _propose(forest, place, index.rank)


@kernel
def _begin_round(index: CellIndex, forest: _Forest) -> None:
    """Name each point's component, note which cells belong to one as a whole, and take what the lists give."""
    parent = forest.parent
    for place in range(len(parent)):
        parent[place] = find(parent, place)
        forest.best[place] = np.inf
    for cell in range(len(forest.owner)):
        forest.owner[cell] = parent[index.first[cell]]
        for place in range(index.first[cell], index.first[cell + 1]):
            if parent[place] != forest.owner[cell]:
                forest.owner[cell] = -1
                break
    for place in range(len(parent)):
        _look_at_list(forest, place, index.rank)
        _propose(forest, place, index.rank)


@kernel
def _join(forest: _Forest, ends: NDArray[np.int64], weights: NDArray[np.float64], n_edges: int) -> int:
    """Join every component along its lightest edge; give how many edges the tree has now."""
    for root in range(len(forest.parent)):
        start, end = forest.edge_from[root], forest.edge_to[root]
        if forest.best[root] < np.inf and unite(forest.parent, start, end):
            ends[n_edges, 0], ends[n_edges, 1], weights[n_edges] = start, end, forest.best[root]
            n_edges += 1
    return n_edges


@part
def _look_at_list(forest: _Forest, place: int, rank: NDArray[np.int64]) -> None:
    """Keep a point's lightest known edge out of its component."""
    parent, core = forest.parent, forest.core
    known = forest.own_to[place]
    if known >= 0 and parent[known] != parent[place]:
        return
    listed, lengths = forest.neighbours[place], forest.distances[place]
    lightest, nearest = np.inf, -1
    for slot in range(len(listed)):
        other = listed[slot]
        if other < 0 or lengths[slot] > lightest:
            break
        if parent[other] == parent[place]:
            continue
        weight = max(core[place], core[other], lengths[slot])
        if weight < lightest or (weight == lightest and rank[other] < rank[nearest]):
            lightest, nearest = weight, other
    forest.own[place], forest.own_to[place] = lightest, nearest


@inner
def _propose(forest: _Forest, place: int, rank: NDArray[np.int64]) -> None:
    """Let a component take a point's edge if it is lighter; among equals the one whose ends come first."""
    root, other, weight = forest.parent[place], forest.own_to[place], forest.own[place]
    if other < 0 or weight > forest.best[root]:
        return
    if weight == forest.best[root]:
        low, high = min(rank[place], rank[other]), max(rank[place], rank[other])
        start, end = rank[forest.edge_from[root]], rank[forest.edge_to[root]]
        if (low, high) >= (min(start, end), max(start, end)):
            return
    forest.best[root], forest.edge_from[root], forest.edge_to[root] = weight, place, other


@part
def _search_outside(index: CellIndex, forest: _Forest, place: int, scratch: Scratch) -> None:
    """Look for a point's edge out of its component that is lighter than any known, and note how far that was."""
    home, row, root, nearest = index.cell_of[place], index.rows[place], forest.parent[place], -1
    lightest, core = forest.best[root], forest.core
    _, radius = begin_search(index, row, home, scratch)
    cell, turn = next_near(index, home, radius, index_length(index, lightest), index.reach, scratch, 0)
    while cell >= 0:
        if forest.owner[cell] != root and forest.lowest_core[cell] < lightest:
            within = index_length(index, lightest)
            found, _ = scan_near(index, home, cell, radius, within, index.reach[cell], scratch)
            for j in range(found):
                other = scratch.places[j]
                if forest.parent[other] != root and core[other] < lightest:
                    weight = max(core[place], core[other], exact_distance(row, index.rows[other]))
                    if weight < lightest:
                        lightest, nearest = weight, other
        cell, turn = next_near(index, home, radius, index_length(index, lightest), index.reach, scratch, turn)
    forest.beyond[place] = lightest
    if nearest >= 0:
        forest.own[place], forest.own_to[place] = lightest, nearest


@kernel
def single_linkage(
    ends: NDArray[np.int64], weights: NDArray[np.float64], order: NDArray[np.int64], row_weight: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Merge along the edges in `order`: children (m, 2), heights (m,) and sizes (m,), node n + i being merge i.

    A size is the weight of the rows below a merge, `row_weight` that of each row.
    """
    n_rows = len(weights) + 1
    children, heights = np.empty((n_rows - 1, 2), dtype=np.int64), np.empty(n_rows - 1)
    sizes, node_of = np.empty(n_rows - 1), np.arange(n_rows)
    parent = np.arange(n_rows).astype(np.int32)
    for step in range(n_rows - 1):
        edge = order[step]
        left, right = find(parent, ends[edge, 0]), find(parent, ends[edge, 1])
        children[step, 0], children[step, 1] = node_of[left], node_of[right]
        heights[step] = weights[edge]
        sizes[step] = 0
        for node in children[step]:
            sizes[step] += row_weight[node] if node < n_rows else sizes[node - n_rows]
        unite(parent, left, right)
        node_of[find(parent, left)] = n_rows + step
    return children, heights, sizes
