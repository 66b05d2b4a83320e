"""The exact minimum spanning tree over mutual reachability, grown by Boruvka's rounds from the lists.

Each round, every component takes its lightest edge to another. Listed edges
give a bound; a point is searched in the index only if the lightest edge beyond
its list could still be lighter, and cells that belong to the component as a
whole are passed over. What a search has excluded stays excluded, since
components only grow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.cells import CellIndex
from membergate.engine.graph.compiling import inner, kernel
from membergate.engine.graph.components import find, unite
from membergate.engine.graph.reach import index_length
from membergate.engine.graph.search import Scratch, exact_distance, make_scratch, scan_cell, shift_between, to_home


@kernel
def spanning_tree(
    index: CellIndex,
    core: NDArray[np.float64],
    distances: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    known_within: NDArray[np.float64],
    ends: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> int:
    """Fill the u - 1 edges of the tree, `ends` (u - 1, 2) places and `weights`; give how many were searched for."""
    n_points, n_axes = len(core), index.centres.shape[1]
    parent = np.arange(n_points).astype(np.int32)
    best, edge_from, edge_to = (
        np.empty(n_points),
        np.empty(n_points, dtype=np.int64),
        np.empty(n_points, dtype=np.int64),
    )
    own, own_to = np.full(n_points, np.inf), np.full(n_points, -1, dtype=np.int64)
    beyond = np.maximum(known_within, core)
    lowest_core, owner = _lowest_in_cells(index, core), np.empty(len(index.centres), dtype=np.int64)
    scratch, point = make_scratch(index), np.empty(n_axes)
    local, shift = np.empty(n_axes, dtype=np.float32), np.empty(n_axes, dtype=np.float32)
    n_edges = n_searches = 0
    while n_edges < n_points - 1:
        for place in range(n_points):
            parent[place] = find(parent, place)
        best[:] = np.inf
        _own_cells(index, parent, owner)
        for place in range(n_points):
            _look_at_list(place, parent, core, distances[place], neighbours[place], own, own_to, index.rank)
            _propose(parent[place], place, own_to[place], own[place], best, edge_from, edge_to, index.rank)
        for place in range(n_points):
            root = parent[place]
            if beyond[place] >= best[root]:
                continue
            n_searches += 1
            found, other = _search_outside(
                index, place, root, parent, owner, core, lowest_core, best[root], point, local, shift, scratch
            )
            beyond[place] = found
            if other >= 0:
                own[place], own_to[place] = found, other
                _propose(root, place, other, found, best, edge_from, edge_to, index.rank)
        for root in range(n_points):
            if best[root] < np.inf and unite(parent, edge_from[root], edge_to[root]):
                ends[n_edges, 0], ends[n_edges, 1] = edge_from[root], edge_to[root]
                weights[n_edges] = best[root]
                n_edges += 1
    return n_searches


@kernel
def _lowest_in_cells(index: CellIndex, core: NDArray[np.float64]) -> NDArray[np.float64]:
    lowest = np.full(len(index.centres), np.inf)
    for place in range(len(core)):
        lowest[index.cell_of[place]] = min(lowest[index.cell_of[place]], core[place])
    return lowest


@inner
def _own_cells(index: CellIndex, parent: NDArray[np.int32], owner: NDArray[np.int64]) -> None:
    """Note which component a cell belongs to as a whole, or -1."""
    for cell in range(len(owner)):
        owner[cell] = parent[index.first[cell]]
        for place in range(index.first[cell], index.first[cell + 1]):
            if parent[place] != owner[cell]:
                owner[cell] = -1
                break


@inner
def _look_at_list(
    place: int,
    parent: NDArray[np.int32],
    core: NDArray[np.float64],
    lengths: NDArray[np.float64],
    listed: NDArray[np.int32],
    own: NDArray[np.float64],
    own_to: NDArray[np.int64],
    rank: NDArray[np.int64],
) -> None:
    """Keep a point's lightest known edge out of its component."""
    if own_to[place] >= 0 and parent[own_to[place]] != parent[place]:
        return
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
    own[place], own_to[place] = lightest, nearest


@inner
def _propose(
    root: int,
    place: int,
    other: int,
    weight: float,
    best: NDArray[np.float64],
    edge_from: NDArray[np.int64],
    edge_to: NDArray[np.int64],
    rank: NDArray[np.int64],
) -> None:
    """Let a component take a lighter edge; among equals the one whose ends come first in content order."""
    if other < 0 or weight > best[root]:
        return
    if weight == best[root]:
        low, high = min(rank[place], rank[other]), max(rank[place], rank[other])
        start, end = rank[edge_from[root]], rank[edge_to[root]]
        if (low, high) >= (min(start, end), max(start, end)):
            return
    best[root], edge_from[root], edge_to[root] = weight, place, other


@inner
def _search_outside(
    index: CellIndex,
    place: int,
    root: int,
    parent: NDArray[np.int32],
    owner: NDArray[np.int64],
    core: NDArray[np.float64],
    lowest_core: NDArray[np.float64],
    lightest: float,
    point: NDArray[np.float64],
    local: NDArray[np.float32],
    shift: NDArray[np.float32],
    scratch: Scratch,
) -> tuple[float, int]:
    """Find a point's lightest edge out of its component that is lighter than what is known."""
    home, nearest, widest = index.cell_of[place], -1, index.widest
    radius = to_home(index, index.rows[place], home, point, local)
    within = index_length(index, lightest)
    for cell in index.nearest_cells[home]:
        apart = index.separation[home, cell] - radius - index.rounding
        if apart - widest > within:
            break
        if owner[cell] == root or lowest_core[cell] >= lightest or apart - index.reach[cell] > within:
            continue
        shift_between(index, home, cell, shift)
        found, _ = scan_cell(index, home, cell, local, radius, shift, within, scratch)
        for j in range(found):
            other = scratch.places[j]
            if parent[other] == root or core[other] >= lightest:
                continue
            weight = max(core[place], core[other], exact_distance(index.rows[place], index.rows[other]))
            if weight < lightest:
                lightest, nearest = weight, other
        within = index_length(index, lightest)
    return lightest, nearest


@kernel
def single_linkage(
    ends: NDArray[np.int64], weights: NDArray[np.float64], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Merge along the edges in `order`: children (m, 2), heights (m,) and sizes (m,), node n + i being merge i."""
    n_rows = len(weights) + 1
    children, heights = np.empty((n_rows - 1, 2), dtype=np.int64), np.empty(n_rows - 1)
    sizes, node_of = np.empty(n_rows - 1, dtype=np.int64), np.arange(n_rows)
    parent = np.arange(n_rows).astype(np.int32)
    for step in range(n_rows - 1):
        edge = order[step]
        left, right = find(parent, ends[edge, 0]), find(parent, ends[edge, 1])
        children[step, 0], children[step, 1] = node_of[left], node_of[right]
        heights[step] = weights[edge]
        sizes[step] = 0
        for node in children[step]:
            sizes[step] += 1 if node < n_rows else sizes[node - n_rows]
        unite(parent, left, right)
        node_of[find(parent, left)] = n_rows + step
    return children, heights, sizes
