"""Searches in the cell index: screened in float32 under the bounds, decided in float64 on the exact rows.

Every search walks the cells by their distance from the query's own cell and
stops where the triangle inequality says that nothing further can be within
reach. Ties are broken by the content order, so that no answer depends on the
order of the rows, on the threads or on the machine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.cells import F32_ROUNDING, CellIndex, rotate, square_distance
from membergate.engine.graph.compiling import inner, kernel, screening_kernel
from membergate.engine.graph.lanes import LANES, lanes_within, lowest_lane

SPARE = 2
"""Listed neighbours beyond k, so that rounding can be told from a tie."""
TINY = 1e-18
"""Distances below this, in index units, may vanish when squared in float32."""


@inner
def exact_distance(row: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Give the Euclidean distance of two rows; four sums in a fixed order, the same on every machine."""
    first = second = third = fourth = 0.0
    n_axes = len(row)
    whole = n_axes - n_axes % 4
    for axis in range(0, whole, 4):
        first += (row[axis] - other[axis]) ** 2
        second += (row[axis + 1] - other[axis + 1]) ** 2
        third += (row[axis + 2] - other[axis + 2]) ** 2
        fourth += (row[axis + 3] - other[axis + 3]) ** 2
    for axis in range(whole, n_axes):
        first += (row[axis] - other[axis]) ** 2
    return float(np.sqrt((first + second) + (third + fourth)))


@inner
def to_home(
    index: CellIndex,
    row: NDArray[np.float64],
    home: int,
    point: NDArray[np.float64],
    local: NDArray[np.float32],
) -> float:
    """Put a row relative to the centre of its home cell, into `local`; give its distance to the centre."""
    rotate(row, index.origin, index.rotation, point)
    centre = index.centres[home]
    square = 0.0
    for axis in range(len(point)):
        difference = point[axis] - centre[axis]
        square += difference * difference
        local[axis] = np.float32(difference)
    return float(np.sqrt(square))


@inner
def shift_between(index: CellIndex, home: int, cell: int, shift: NDArray[np.float32]) -> None:
    """Give what takes coordinates relative to one cell into those relative to another."""
    centre, other = index.centres[home], index.centres[cell]
    for axis in range(len(shift)):
        shift[axis] = np.float32(centre[axis] - other[axis])


@screening_kernel
def _move(local: NDArray[np.float32], shift: NDArray[np.float32], relative: NDArray[np.float32]) -> float:
    """Shift a query to another cell; give its squared distance to that cell's centre."""
    square = np.float32(0.0)
    for axis in range(len(local)):
        moved = local[axis] + shift[axis]
        relative[axis] = moved
        square += moved * moved
    return float(square)


@kernel
def nearest_cell(index: CellIndex, row: NDArray[np.float64], point: NDArray[np.float64]) -> int:
    """Find the cell whose centre is nearest to a row."""
    rotate(row, index.origin, index.rotation, point)
    best, nearest = np.inf, 0
    for cell in range(index.centres.shape[0]):
        square = square_distance(point, index.centres[cell])
        if square < best:
            best, nearest = square, cell
    return nearest


class Scratch(NamedTuple):
    """Room that a search works in: a query relative to a cell, a block's sums, and what a scan found."""

    relative: NDArray[np.float32]
    sums: NDArray[np.float32]
    places: NDArray[np.int64]
    squares: NDArray[np.float32]


@kernel
def make_scratch(index: CellIndex) -> Scratch:
    """Make room for scans of any cell of the index."""
    largest = 0
    for cell in range(len(index.centres)):
        largest = max(largest, index.first[cell + 1] - index.first[cell])
    return Scratch(
        np.empty(index.centres.shape[1], dtype=np.float32),
        np.empty(LANES, dtype=np.float32),
        np.empty(largest, dtype=np.int64),
        np.empty(largest, dtype=np.float32),
    )


@inner
def scan_cell(
    index: CellIndex,
    home: int,
    cell: int,
    local: NDArray[np.float32],
    radius: float,
    shift: NDArray[np.float32],
    within: float,
    scratch: Scratch,
) -> tuple[int, float]:
    """List the points of a cell that may lie within a distance of a query, in index units.

    The query is `local`, relative to its home cell, and `radius` away from its
    centre. Gives how many places and squared distances were written to the
    scratch, and by how much a screened distance may be wrong.
    """
    apart = index.separation[home, cell]
    reach = index.reach[cell]
    square = _move(local, shift, scratch.relative)
    gap = np.sqrt(square)
    error = F32_ROUNDING * (reach + gap + radius + apart) + index.rounding + TINY
    reachable = within + error
    bound_error = error + gap * len(local) * F32_ROUNDING
    if gap - reach > within + bound_error:
        return 0, error
    if apart > 0 and square - radius * radius - index.doubt[cell] - 2 * gap * bound_error > 2 * apart * reachable:
        return 0, error  # beyond the plane halfway between the centres
    limit = np.float32(min(reachable * reachable * (1 + (len(local) + 8) * F32_ROUNDING), 3e38))
    inner, outer = gap - within - bound_error, gap + within + bound_error
    found = 0
    for number in range(index.first_block[cell], index.first_block[cell + 1]):
        if index.block_low[number] > outer or index.block_high[number] < inner:
            continue
        lanes = lanes_within(index.blocks[number], scratch.relative, limit, scratch.sums)
        begin = index.first[cell] + (number - index.first_block[cell]) * LANES
        left = index.first[cell + 1] - begin
        if left < LANES:
            lanes &= (np.uint32(1) << np.uint32(left)) - np.uint32(1)
        while lanes:
            lane = lowest_lane(lanes)
            lanes &= lanes - np.uint32(1)
            scratch.places[found] = begin + lane
            scratch.squares[found] = scratch.sums[lane]
            found += 1
    return found, error


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


@kernel
def marked_in_cell(index: CellIndex, is_marked: NDArray[np.bool_], cell: int) -> NDArray[np.int64]:
    """Give the places of a cell's marked points."""
    marked, count = np.empty(index.first[cell + 1] - index.first[cell], dtype=np.int64), 0
    for place in range(index.first[cell], index.first[cell + 1]):
        if is_marked[place]:
            marked[count] = place
            count += 1
    return marked[:count]


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
    n_held = min(neighbours.shape[1] + SPARE, len(index.rows) - 1)
    scratch = make_scratch(index)
    for home in range(begin, end):
        wanted = marked_in_cell(index, is_wanted, home)
        keys, held = np.empty((len(wanted), n_held), dtype=np.float32), np.empty((len(wanted), n_held), dtype=np.int64)
        for i in range(len(wanted)):
            for slot in range(n_held):
                keys[i, slot], held[i, slot] = np.inf, -1
        certain = np.empty(len(wanted))
        _hold_nearest(index, home, wanted, n_cells, keys, held, certain, scratch)
        for i in range(len(wanted)):
            point = wanted[i]
            last = _keep_exact(index, point, held[i], distances[point], neighbours[point])
            is_proven[point] = last * index.scale < certain[i]


@kernel
def _hold_nearest(  # noqa: C901 -- one loop of searches, split where it can be
    index: CellIndex,
    home: int,
    wanted: NDArray[np.int64],
    n_cells: int,
    keys: NDArray[np.float32],
    held: NDArray[np.int64],
    certain: NDArray[np.float64],
    scratch: Scratch,
) -> None:
    """Hold, for the points of one cell, the nearest of all points by screened distance.

    `certain` becomes the distance within which nothing can be missing; 0 where
    cells were left out. All queries meet a cell together, while it is in the
    processor's cache.
    """
    n_axes = index.centres.shape[1]
    local, point, shift = (
        np.empty((len(wanted), n_axes), dtype=np.float32),
        np.empty(n_axes),
        np.empty(n_axes, dtype=np.float32),
    )
    radius, within, worst = np.empty(len(wanted)), np.empty(len(wanted)), np.empty(len(wanted))
    searching, looked_at = np.empty(len(wanted), dtype=np.int64), np.empty(len(wanted), dtype=np.int64)
    for i in range(len(wanted)):
        within[i], worst[i], searching[i], looked_at[i] = np.inf, 0.0, i, 0
        radius[i] = to_home(index, index.rows[wanted[i]], home, point, local[i])
    relation, n_searching = 1 + (n_axes + 8) * F32_ROUNDING, len(wanted)
    for cell in index.nearest_cells[home]:
        shift_between(index, home, cell, shift)
        still = 0
        for slot in range(n_searching):
            i = searching[slot]
            apart = index.separation[home, cell] - radius[i] - index.rounding
            if apart - index.widest > within[i]:
                continue
            if apart - index.reach[cell] <= within[i]:
                if looked_at[i] == n_cells:
                    worst[i] = np.inf  # cells are left out: nothing is certain
                    continue
                looked_at[i] += 1
                found, error = scan_cell(index, home, cell, local[i], radius[i], shift, within[i], scratch)
                if found > 0:
                    worst[i] = max(worst[i], error)
                    for j in range(found):
                        if scratch.squares[j] < keys[i, 0] and scratch.places[j] != wanted[i]:
                            _sift_down(keys[i], held[i], scratch.squares[j], scratch.places[j])
                    within[i] = np.sqrt(np.float64(keys[i, 0])) * relation + worst[i]
            searching[still] = i
            still += 1
        n_searching = still
        if still == 0:
            break
    for i in range(len(wanted)):
        certain[i] = np.sqrt(np.float64(keys[i, 0])) / relation - worst[i] if worst[i] < np.inf else 0.0


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
    n_axes = index.centres.shape[1]
    point, local, shift = np.empty(n_axes), np.empty(n_axes, dtype=np.float32), np.empty(n_axes, dtype=np.float32)
    scratch = make_scratch(index)
    widest, size = index.widest, distances.shape[1]
    for i in range(rows.shape[0]):
        home = nearest_cell(index, rows[i], point)
        radius, within, kept = to_home(index, rows[i], home, point, local), np.inf, 0
        listed, names = distances[i], neighbours[i]
        listed[:], names[:] = np.inf, -1
        for cell in index.nearest_cells[home]:
            apart = index.separation[home, cell] - radius - index.rounding
            if apart - widest > within:
                break
            if apart - index.reach[cell] > within:
                continue
            shift_between(index, home, cell, shift)
            found, _ = scan_cell(index, home, cell, local, radius, shift, within, scratch)
            for j in range(found):
                place = scratch.places[j]
                if place != itself[i]:
                    distance = exact_distance(rows[i], index.rows[place])
                    if kept < size or distance <= listed[size - 1]:
                        kept = insert_sorted(listed, names, kept, distance, place, index.rank)
            within = listed[size - 1] * index.scale * (1 + 1e-12) + index.rounding
