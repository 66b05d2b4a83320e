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
from membergate.engine.graph.compiling import inner, kernel, part, screening_kernel
from membergate.engine.graph.lanes import LANES, lanes_within, lowest_lane

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


@part
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
    """Room that a search works in.

    Attributes
    ----------
    point, local
        A query in index units, and relative to its home cell, shape (axes,).
    shift, relative
        What takes it into another cell, and the query relative to that, shape (axes,).
    sums, places, squares
        A block's squared distances, shape (32,); places and squared distances that a scan found.
    """

    point: NDArray[np.float64]
    local: NDArray[np.float32]
    shift: NDArray[np.float32]
    relative: NDArray[np.float32]
    sums: NDArray[np.float32]
    places: NDArray[np.int64]
    squares: NDArray[np.float32]


@kernel
def make_scratch(index: CellIndex) -> Scratch:
    """Make room for scans of any cell of the index."""
    largest, n_axes = 0, index.centres.shape[1]
    for cell in range(len(index.centres)):
        largest = max(largest, index.first[cell + 1] - index.first[cell])
    return Scratch(
        np.empty(n_axes),
        np.empty(n_axes, dtype=np.float32),
        np.empty(n_axes, dtype=np.float32),
        np.empty(n_axes, dtype=np.float32),
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


@part
def next_near(index: CellIndex, home: int, radius: float, within: float, turn: int) -> tuple[int, int]:
    """Give the next cell, by distance from the home cell, that may hold a point within a distance of a query.

    `turn` is 0 at first and then what was given last; the cell is -1 when the triangle inequality excludes all that
    are left. Every search of one query is: while there is a next cell, scan it, and shrink the distance.
    """
    cells, apart = index.nearest_cells[home], index.separation[home]
    for following in range(turn, len(cells)):
        cell = cells[following]
        gap = apart[cell] - radius - index.rounding
        if gap - index.widest > within:
            break
        if gap - index.reach[cell] <= within:
            return int(cell), following + 1
    return -1, len(cells)


@part
def scan_near(
    index: CellIndex, home: int, cell: int, radius: float, within: float, scratch: Scratch
) -> tuple[int, float]:
    """Scan a cell for the query that `to_home` has put into the scratch; see `scan_cell`."""
    shift_between(index, home, cell, scratch.shift)
    return scan_cell(index, home, cell, scratch.local, radius, scratch.shift, within, scratch)


@kernel
def marked_in_cell(index: CellIndex, is_marked: NDArray[np.bool_], cell: int) -> NDArray[np.int64]:
    """Give the places of a cell's marked points."""
    marked, count = np.empty(index.first[cell + 1] - index.first[cell], dtype=np.int64), 0
    for place in range(index.first[cell], index.first[cell + 1]):
        if is_marked[place]:
            marked[count] = place
            count += 1
    return marked[:count]
