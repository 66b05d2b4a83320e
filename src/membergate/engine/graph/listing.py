"""Neighbour lists: of all points, cell by cell, and of any rows, one by one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.cells import F32_ROUNDING, CellIndex
from membergate.engine.graph.compiling import inner, kernel, part
from membergate.engine.graph.search import (
    Scratch,
    aim,
    begin_search,
    exact_distance,
    is_beyond,
    local_of,
    make_scratch,
    marked_in_cell,
    move,
    next_near,
    scan_moved,
    scan_near,
    square_to_centre,
)  # fmt: skip

_SPARE = 2
"""Listed neighbours beyond k, so that rounding can be told from a tie."""


@inner
def _sift_down(keys: NDArray[np.float32], places: NDArray[np.int64], key: float, place: int) -> None:
    """Replace the largest entry of a max-heap."""
    size, slot = len(keys), 0
    while True:
        child = 2 * slot + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] > keys[child]:
            child += 1
        if keys[child] <= key:
            break
        keys[slot], places[slot] = keys[child], places[child]
        slot = child
    keys[slot], places[slot] = key, place


class _Queries(NamedTuple):
    """Points of one cell that look for their nearest, and what each of them holds.

    `local` is a point relative to the cell and `radius` its distance to the centre; `keys` and `held` are a max-heap of
    screened squared distances and places; nothing beyond `within` can be nearer; `worst` is the largest error met,
    infinite once a cell was left out; `looked_at` counts cells; `searching` begins with those that go on.
    """

    places: NDArray[np.int64]
    local: NDArray[np.float32]
    radius: NDArray[np.float64]
    keys: NDArray[np.float32]
    held: NDArray[np.int64]
    within: NDArray[np.float64]
    worst: NDArray[np.float64]
    looked_at: NDArray[np.int64]
    searching: NDArray[np.int64]


@kernel
def _make_queries(index: CellIndex, home: int, places: NDArray[np.int64], n_held: int) -> _Queries:
    n_queries = len(places)
    local = np.empty((n_queries, index.centres.shape[1]), dtype=np.float32)
    radius = np.empty(n_queries)
    for i in range(n_queries):
        local_of(index, home, places[i], local[i])
        radius[i] = index.radius[places[i]]
    keys = np.full((n_queries, n_held), np.float32(np.inf), dtype=np.float32)
    held = np.full((n_queries, n_held), -1, dtype=np.int64)
    within, looked_at = np.full(n_queries, np.inf), np.zeros(n_queries, dtype=np.int64)
    return _Queries(places, local, radius, keys, held, within, np.zeros(n_queries), looked_at, np.arange(n_queries))


@kernel
def list_neighbours(
    index: CellIndex,
    begin: int,
    end: int,
    is_wanted: NDArray[np.bool_],
    n_cells: int,
    distances: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    is_proven: NDArray[np.bool_],
) -> None:
    """List the nearest points of the wanted points in cells `begin` to `end`, looking into at most `n_cells` each.

    `is_proven` is set where the bounds exclude every point that was not
    looked at and rounding cannot have hidden a tie.
    """
    n_held = min(neighbours.shape[1] + _SPARE, len(index.rows) - 1)
    scratch, relation = make_scratch(index), 1 + (index.centres.shape[1] + 8) * F32_ROUNDING
    for home in range(begin, end):
        queries = _make_queries(index, home, marked_in_cell(index, is_wanted, home), n_held)
        _hold_nearest(index, home, queries, n_cells, relation, scratch)
        for i in range(len(queries.places)):
            place = queries.places[i]
            last = _keep_exact(index, place, queries.held[i], distances[place], neighbours[place])
            certain = np.sqrt(np.float64(queries.keys[i, 0])) / relation - queries.worst[i]
            is_proven[place] = queries.worst[i] < np.inf and last * index.scale < certain


@part
def _hold_nearest(
    index: CellIndex, home: int, queries: _Queries, n_cells: int, relation: float, scratch: Scratch
) -> None:
    """Let the points of one cell hold their nearest; all meet a cell together, while it is in the processor's cache."""
    n_searching = len(queries.searching)
    for cell in index.nearest_cells[home]:
        aim(index, home, cell, scratch)
        still, ready = 0, -1
        for slot in range(n_searching):
            i = queries.searching[slot]
            gap = index.separation[home, cell] - queries.radius[i] - index.rounding
            if gap - index.widest > queries.within[i]:
                continue
            queries.searching[still] = i
            still += 1
            if gap - index.reach[cell] <= queries.within[i]:
                square, ready = square_to_centre(index, home, queries.places[i], ready, scratch)
                if not _meet(index, home, cell, i, square, queries, n_cells, relation, scratch):
                    still -= 1
        n_searching = still
        if still == 0:
            break


@part
def _meet(
    index: CellIndex,
    home: int,
    cell: int,
    i: int,
    square: float,
    queries: _Queries,
    n_cells: int,
    relation: float,
    scratch: Scratch,
) -> bool:
    """Let a query look into a cell if it may hold a nearer point; tell whether the query goes on."""
    within, radius, reach = queries.within[i], queries.radius[i], index.reach[cell]
    if is_beyond(index, home, cell, square, radius, within, reach):
        return True
    if queries.looked_at[i] == n_cells:
        queries.worst[i] = np.inf  # cells are left out: nothing is certain
        return False
    queries.looked_at[i] += 1
    move(queries.local[i], scratch.shift, scratch.relative)
    found, error = scan_moved(index, home, cell, square, radius, within, reach, scratch)
    if found > 0:
        keys, held = queries.keys[i], queries.held[i]
        queries.worst[i] = max(queries.worst[i], error)
        for j in range(found):
            if scratch.squares[j] < keys[0] and scratch.places[j] != queries.places[i]:
                _sift_down(keys, held, scratch.squares[j], scratch.places[j])
        queries.within[i] = np.sqrt(np.float64(keys[0])) * relation + queries.worst[i]
    return True


@kernel
def _keep_exact(
    index: CellIndex,
    point: int,
    held: NDArray[np.int64],
    distances: NDArray[np.float64],
    neighbours: NDArray[np.int32],
) -> float:
    """Measure what was held exactly and keep the nearest, sorted by distance and content order."""
    kept = 0
    row = index.rows[point]
    for place in held:
        if place >= 0:
            kept = insert_sorted(distances, neighbours, kept, exact_distance(row, index.rows[place]), place, index.rank)
    for slot in range(kept, len(distances)):
        distances[slot], neighbours[slot] = np.inf, -1
    return float(distances[len(distances) - 1])


@inner
def insert_sorted(
    distances: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    kept: int,
    distance: float,
    place: int,
    rank: NDArray[np.int64],
) -> int:
    """Insert a point into a list sorted by distance and content order; give the list's new length."""
    size = len(distances)
    slot = kept
    while slot > 0 and (
        distance < distances[slot - 1] or (distance == distances[slot - 1] and rank[place] < rank[neighbours[slot - 1]])
    ):
        if slot < size:
            distances[slot], neighbours[slot] = distances[slot - 1], neighbours[slot - 1]
        slot -= 1
    if slot < size:
        distances[slot], neighbours[slot] = distance, place
    return min(kept + 1, size)


@kernel
def search_neighbours(
    index: CellIndex,
    rows: NDArray[np.float64],
    itself: NDArray[np.int64],
    distances: NDArray[np.float64],
    neighbours: NDArray[np.int32],
) -> None:
    """List the nearest points of any rows, every candidate measured exactly: slower, and right even among ties.

    `itself` names the point that is the row and is left out, or -1.
    """
    scratch, size = make_scratch(index), distances.shape[1]
    for i in range(rows.shape[0]):
        home, radius = begin_search(index, rows[i], -1, scratch)
        within, kept = np.inf, 0
        listed, names = distances[i], neighbours[i]
        listed[:], names[:] = np.inf, -1
        cell, turn = next_near(index, home, radius, within, index.reach, scratch, 0)
        while cell >= 0:
            found, _ = scan_near(index, home, cell, radius, within, index.reach[cell], scratch)
            for j in range(found):
                place = scratch.places[j]
                if place != itself[i]:
                    distance = exact_distance(rows[i], index.rows[place])
                    if kept < size or distance <= listed[size - 1]:
                        kept = insert_sorted(listed, names, kept, distance, place, index.rank)
            within = listed[size - 1] * index.scale * (1 + 1e-12) + index.rounding
            cell, turn = next_near(index, home, radius, within, index.reach, scratch, turn)
