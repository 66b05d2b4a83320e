"""Neighbour lists: of all points, cell by cell, and of any rows, one by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.cells import F32_ROUNDING, CellIndex
from membergate.engine.graph.compiling import inner, kernel
from membergate.engine.graph.queries import hold_nearest, make_group, make_queries
from membergate.engine.graph.search import (
    begin_search,
    exact_distance,
    make_scratch,
    marked_in_cell,
    next_near,
    scan_near,
)

_SPARE = 2
"""Listed neighbours beyond k, so that rounding can be told from a tie."""


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

    `distances` hold on entry what is known: nothing farther than a point's last distance, infinite at first, is looked
    for. `is_proven` is set where the bounds exclude every point that was not
    looked at and rounding cannot have hidden a tie.
    """
    n_held = max(1, min(neighbours.shape[1] + _SPARE, len(index.rows) - 1))
    scratch, group = make_scratch(index), make_group(index.centres.shape[1])
    relation = 1 + (index.centres.shape[1] + 8) * F32_ROUNDING
    for home in range(begin, end):
        queries = make_queries(index, home, marked_in_cell(index, is_wanted, home), n_held, distances)
        hold_nearest(index, home, queries, n_cells, relation, scratch, group)
        for i in range(len(queries.places)):
            place = queries.places[i]
            last = _keep_exact(index, place, queries.held[i], distances[place], neighbours[place])
            square = np.float64(queries.keys[i, 0]) - queries.worst_square[i]
            certain = np.sqrt(max(square, 0.0)) / relation - queries.worst[i]
            is_proven[place] = queries.worst[i] < np.inf and last * index.scale < certain


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
