"""Points of one cell that look for their nearest together, four at a time, and what each of them holds.

A cell is read once for all the queries that look into it, and a block of it
once for four: see `four_within`. A query that looks alone gives up early.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.cells import F32_ROUNDING, NO_POINT, CellIndex
from membergate.engine.graph.compiling import inner, kernel, part
from membergate.engine.graph.lanes import LANES, TOGETHER, four_within, lowest_lane
from membergate.engine.graph.search import (
    TINY,
    Scratch,
    aim,
    index_length,
    is_beyond,
    local_of,
    move,
    scan_moved,
    square_to_centre,
)


class Queries(NamedTuple):
    """Points of one cell that look for their nearest, and what each of them holds.

    `local` is a point relative to the cell and `radius` its distance to the centre; `keys` and `held` are a max-heap of
    screened squared distances and places; nothing beyond `within` can be nearer; `worst` and `worst_square` are the
    largest errors met of a distance and of its square, infinite once a cell was left out; `looked_at` counts cells;
    `searching` begins with those that go on.
    """

    places: NDArray[np.int64]
    local: NDArray[np.float32]
    radius: NDArray[np.float64]
    keys: NDArray[np.float32]
    held: NDArray[np.int64]
    within: NDArray[np.float64]
    worst: NDArray[np.float64]
    worst_square: NDArray[np.float64]
    looked_at: NDArray[np.int64]
    searching: NDArray[np.int64]


class Group(NamedTuple):
    """Up to four queries that look into one cell together: see `four_within`.

    `due` are their numbers, `doubled` they themselves relative to the cell, times -2, `squares` their squared lengths,
    `errors` by how much their distances may be wrong; `room` holds the squared distances and the bits of each.
    """

    due: NDArray[np.int64]
    doubled: NDArray[np.float32]
    squares: NDArray[np.float32]
    limits: NDArray[np.float32]
    errors: NDArray[np.float64]
    sums: NDArray[np.float32]
    bits: NDArray[np.uint32]


@kernel
def make_queries(
    index: CellIndex, home: int, places: NDArray[np.int64], n_held: int, distances: NDArray[np.float64]
) -> Queries:
    """Let points of a cell begin; nothing beyond the last distance that each lists is looked for."""
    n_queries = len(places)
    local = np.empty((n_queries, index.centres.shape[1]), dtype=np.float32)
    radius, within = np.empty(n_queries), np.empty(n_queries)
    for i in range(n_queries):
        local_of(index, home, places[i], local[i])
        radius[i] = index.radius[places[i]]
        within[i] = index_length(index, distances[places[i], -1])
    keys = np.full((n_queries, n_held), np.float32(np.inf), dtype=np.float32)
    held = np.full((n_queries, n_held), -1, dtype=np.int64)
    looked_at, worst, worst_square = np.zeros(n_queries, dtype=np.int64), np.zeros(n_queries), np.zeros(n_queries)
    searching = np.arange(n_queries)
    return Queries(places, local, radius, keys, held, within, worst, worst_square, looked_at, searching)


@kernel
def make_group(n_axes: int) -> Group:
    """Make room for four queries."""
    return Group(
        np.zeros(TOGETHER, dtype=np.int64),
        np.zeros((TOGETHER, n_axes), dtype=np.float32),
        np.zeros(TOGETHER, dtype=np.float32),
        np.zeros(TOGETHER, dtype=np.float32),
        np.zeros(TOGETHER),
        np.zeros((TOGETHER, LANES), dtype=np.float32),
        np.zeros(TOGETHER, dtype=np.uint32),
    )


@part
def hold_nearest(
    index: CellIndex, home: int, queries: Queries, n_cells: int, relation: float, scratch: Scratch, group: Group
) -> None:
    """Let the points of one cell hold their nearest; all meet a cell together, while it is in the processor's cache."""
    n_searching = len(queries.searching)
    for cell in index.nearest_cells[home]:
        aim(index, home, cell, scratch)
        still, ready, n_due = 0, -1, 0
        for slot in range(n_searching):
            i = queries.searching[slot]
            gap = index.separation[home, cell] - queries.radius[i] - index.rounding
            if gap - index.widest > queries.within[i]:
                continue
            queries.searching[still] = i
            still += 1
            is_due, ready = _is_due(index, home, cell, i, gap, ready, queries, scratch)
            if not is_due:
                continue
            if queries.looked_at[i] == n_cells:
                queries.worst[i] = np.inf  # cells are left out: nothing is certain
                still -= 1
                continue
            queries.looked_at[i] += 1
            group.due[n_due] = i
            n_due += 1
            if n_due == TOGETHER:
                _look_together(index, home, cell, n_due, queries, relation, scratch, group)
                n_due = 0
        if n_due > 1:
            _look_together(index, home, cell, n_due, queries, relation, scratch, group)
        elif n_due == 1:
            _look_alone(index, home, cell, group.due[0], queries, relation, scratch)
        n_searching = still
        if still == 0:
            break


@part
def _is_due(
    index: CellIndex, home: int, cell: int, i: int, gap: float, ready: int, queries: Queries, scratch: Scratch
) -> tuple[bool, int]:
    """Tell whether a cell may hold a point that is nearer to a query than what it holds; and what is `ready`."""
    if gap - index.reach[cell] > queries.within[i]:
        return False, ready
    square, ready = square_to_centre(index, home, queries.places[i], ready, scratch)
    within, reach = queries.within[i], index.reach[cell]
    return not is_beyond(index, home, cell, square, queries.radius[i], within, reach), ready


@inner
def _look_alone(
    index: CellIndex, home: int, cell: int, i: int, queries: Queries, relation: float, scratch: Scratch
) -> None:
    """Let one query look into a cell, and keep what is nearer than what it holds."""
    within, radius, reach = queries.within[i], queries.radius[i], index.reach[cell]
    square = move(queries.local[i], scratch.shift, scratch.relative)
    found, error = scan_moved(index, home, cell, square, radius, within, reach, scratch)
    if found > 0:
        for j in range(found):
            _hold(queries, i, scratch.squares[j], scratch.places[j])
        _shrink(queries, i, error, 0.0, relation)


@inner
def _look_together(
    index: CellIndex, home: int, cell: int, n_due: int, queries: Queries, relation: float, scratch: Scratch,
    group: Group,
) -> None:  # fmt: skip
    """Let up to four queries look into a cell, and keep what is nearer than what each holds."""
    nearest, farthest = np.inf, 0.0
    group.limits[:] = -np.inf
    for slot in range(n_due):
        low, high = _take_in(index, home, cell, slot, queries, scratch, group)
        nearest, farthest = min(nearest, low), max(farthest, high)
    for number in range(index.first_block[cell], index.first_block[cell + 1]):
        if index.block_low[number] > farthest or index.block_high[number] < nearest:
            continue
        if four_within(index.blocks[number], group.doubled, index.norms[number], group.limits, group.sums, group.bits):
            begin = index.first[cell] + (number - index.first_block[cell]) * LANES
            for slot in range(n_due):
                _keep_found(begin, slot, queries, group)
    for slot in range(n_due):
        i = group.due[slot]
        _shrink(queries, i, group.errors[slot], _error_of_square(index, cell, np.sqrt(group.squares[slot])), relation)


@part
def _error_of_square(index: CellIndex, cell: int, gap: float) -> float:
    """Give by how much `four_within` may be wrong about a squared distance."""
    longest = gap + index.reach[cell]
    return float((index.centres.shape[1] + 8) * F32_ROUNDING * longest * longest)


@part
def _take_in(
    index: CellIndex, home: int, cell: int, slot: int, queries: Queries, scratch: Scratch, group: Group
) -> tuple[float, float]:
    """Put a query into the group; give between which radii of the cell its nearest may lie."""
    i = group.due[slot]
    square = move(queries.local[i], scratch.shift, scratch.relative)
    doubled, gap = group.doubled[slot], np.sqrt(square)
    for axis in range(len(doubled)):
        doubled[axis] = np.float32(-2.0) * scratch.relative[axis]
    reach, apart, within = index.reach[cell], index.separation[home, cell], queries.within[i]
    error = F32_ROUNDING * (reach + gap + queries.radius[i] + apart) + index.rounding + TINY
    reachable = within + error
    limit = reachable * reachable + _error_of_square(index, cell, gap) - square
    group.squares[slot], group.errors[slot], group.limits[slot] = square, error, min(limit, NO_POINT / 2)
    bound_error = error + gap * len(doubled) * F32_ROUNDING
    return gap - within - bound_error, min(gap + within + bound_error, reach)


@part
def _keep_found(begin: int, slot: int, queries: Queries, group: Group) -> None:
    """Keep the points of a block that are nearer to a query of the group than what it holds."""
    i, lanes = group.due[slot], group.bits[slot]
    while lanes:
        lane = lowest_lane(lanes)
        lanes &= lanes - np.uint32(1)
        _hold(queries, i, max(group.sums[slot, lane] + group.squares[slot], np.float32(0.0)), begin + lane)
    group.limits[slot] = min(group.limits[slot], queries.keys[i, 0] - group.squares[slot])


@part
def _hold(queries: Queries, i: int, key: float, place: int) -> None:
    """Let a query hold a point in the place of the farthest that it holds, if it is nearer."""
    keys, held = queries.keys[i], queries.held[i]
    if key >= keys[0] or place == queries.places[i]:
        return
    size, slot = len(keys), 0
    while True:
        child = 2 * slot + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] > keys[child]:
            child += 1
        if keys[child] <= key:
            break
        keys[slot], held[slot] = keys[child], held[child]
        slot = child
    keys[slot], held[slot] = key, place


@part
def _shrink(queries: Queries, i: int, error: float, error_of_square: float, relation: float) -> None:
    """Note how wrong a look may be, and that nothing beyond what is held is needed."""
    queries.worst[i] = max(queries.worst[i], error)
    queries.worst_square[i] = max(queries.worst_square[i], error_of_square)
    farthest = np.sqrt(np.float64(queries.keys[i, 0]) + queries.worst_square[i]) * relation + queries.worst[i]
    queries.within[i] = min(queries.within[i], farthest)
