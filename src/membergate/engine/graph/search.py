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

from membergate.engine.graph.cells import F32_ROUNDING, CellIndex, rotate
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
def index_length(index: CellIndex, length: float) -> float:
    """Give a length of the data in index units, rounded up."""
    return length * index.scale * (1 + 1e-12) + index.rounding


@inner
def _from_centre(index: CellIndex, home: int, point: NDArray[np.float64], local: NDArray[np.float32]) -> float:
    """Put a query relative to the centre of its home cell, into `local`; give its distance to the centre."""
    centre = index.centres[home]
    square = 0.0
    for axis in range(len(point)):
        difference = point[axis] - centre[axis]
        square += difference * difference
        local[axis] = np.float32(difference)
    return float(np.sqrt(square))


@inner
def local_of(index: CellIndex, home: int, place: int, local: NDArray[np.float32]) -> None:
    """Give a point of a cell relative to its centre."""
    within_cell = place - index.first[home]
    block, lane = index.blocks[index.first_block[home] + within_cell // LANES], within_cell % LANES
    for axis in range(len(local)):
        local[axis] = block[axis, lane]


@part
def aim(index: CellIndex, home: int, cell: int, scratch: Scratch) -> None:
    """Get ready for `square_to_centre` and `scan_moved` with points of one cell and the centre of another."""
    shift_between(index, home, cell, scratch.shift)
    for axis in range(len(scratch.shift)):
        scratch.towards[axis] = -scratch.shift[axis]


@inner
def square_to_centre(index: CellIndex, home: int, place: int, ready: int, scratch: Scratch) -> tuple[float, int]:
    """Give the squared distance of a point at home to the centre aimed at, and its block.

    Thirty-two points are measured at once; `ready` is the block that was measured last, -1 at first.
    """
    within_cell = place - index.first[home]
    number = index.first_block[home] + within_cell // LANES
    if number != ready:
        lanes_within(index.blocks[number], scratch.towards, np.float32(np.inf), scratch.home_squares)
    return float(scratch.home_squares[within_cell % LANES]), number


@part
def shift_between(index: CellIndex, home: int, cell: int, shift: NDArray[np.float32]) -> None:
    """Give what takes coordinates relative to one cell into those relative to another."""
    centre, other = index.centres[home], index.centres[cell]
    for axis in range(len(shift)):
        shift[axis] = np.float32(centre[axis] - other[axis])


@screening_kernel
def move(local: NDArray[np.float32], shift: NDArray[np.float32], relative: NDArray[np.float32]) -> float:
    """Shift a query to another cell; give its squared distance to that cell's centre."""
    square = np.float32(0.0)
    for axis in range(len(local)):
        moved = local[axis] + shift[axis]
        relative[axis] = moved
        square += moved * moved
    return float(square)


class Scratch(NamedTuple):
    """Room that a search works in.

    Attributes
    ----------
    point, local
        A query in index units, and relative to its home cell, shape (axes,).
    shift, relative, towards
        What takes it into another cell, the query relative to that, and where that is, shape (axes,).
    home_squares
        Squared distances of a block of points at home to another centre, shape (32,).
    gaps
        What no centre is nearer to the query than, shape (32 t,): see `survey_centres`.
    sums, places, squares
        A block's squared distances, shape (32,); places and squared distances that a scan found.
    """

    point: NDArray[np.float64]
    local: NDArray[np.float32]
    shift: NDArray[np.float32]
    relative: NDArray[np.float32]
    towards: NDArray[np.float32]
    home_squares: NDArray[np.float32]
    gaps: NDArray[np.float32]
    sums: NDArray[np.float32]
    places: NDArray[np.int64]
    squares: NDArray[np.float32]


@screening_kernel
def square_norm(vector: NDArray[np.float32]) -> float:
    """Give a vector's squared length."""
    square = np.float32(0.0)
    for axis in range(len(vector)):
        square += vector[axis] * vector[axis]
    return float(square)


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
        np.empty(n_axes, dtype=np.float32),
        np.empty(LANES, dtype=np.float32),
        np.empty(index.tiles.shape[0] * LANES, dtype=np.float32),
        np.empty(LANES, dtype=np.float32),
        np.empty(largest, dtype=np.int64),
        np.empty(largest, dtype=np.float32),
    )


@inner
def survey_centres(index: CellIndex, scratch: Scratch) -> int:
    """Give lower bounds on the distance from a query, the `point` of the scratch, to all centres; and the nearest.

    Two nanoseconds a centre, so that most cells are passed over without a look at them.
    """
    for axis in range(len(scratch.point)):
        scratch.relative[axis] = np.float32(scratch.point[axis])
    n_axes, nearest, least = len(scratch.point), 0, np.float32(np.inf)
    share = np.float32(1 - (n_axes + 8) * F32_ROUNDING)
    error = np.float32(2 * F32_ROUNDING * (1 + np.sqrt(square_norm(scratch.relative))) + index.rounding + TINY)
    for tile in range(index.tiles.shape[0]):
        lanes_within(index.tiles[tile], scratch.relative, np.float32(np.inf), scratch.sums)
        begin = tile * LANES
        for lane in range(LANES):
            scratch.gaps[begin + lane] = np.sqrt(scratch.sums[lane]) * share - error
        for lane in range(LANES):
            if scratch.sums[lane] < least:
                least, nearest = scratch.sums[lane], begin + lane
    return nearest


@part
def begin_search(index: CellIndex, row: NDArray[np.float64], home: int, scratch: Scratch) -> tuple[int, float]:
    """Put a row into the scratch, ready for `next_near`; give its home cell (-1: the nearest is taken) and radius."""
    rotate(row, index.origin, index.rotation, scratch.point)
    nearest = survey_centres(index, scratch)
    home = nearest if home < 0 else home
    return home, _from_centre(index, home, scratch.point, scratch.local)


@inner
def scan_cell(
    index: CellIndex,
    home: int,
    cell: int,
    local: NDArray[np.float32],
    radius: float,
    shift: NDArray[np.float32],
    within: float,
    reach: float,
    scratch: Scratch,
) -> tuple[int, float]:
    """List the points of a cell that may lie within a distance of a query, in index units.

    The query is `local`, relative to its home cell, and `radius` away from its
    centre. Points farther than `reach` from their own centre may be left out:
    the cell's reach, or that of the points that matter. Gives how many places and squared distances were written to the
    scratch, and by how much a screened distance may be wrong.
    """
    square = move(local, shift, scratch.relative)
    return scan_moved(index, home, cell, square, radius, within, reach, scratch)


@inner
def is_beyond(
    index: CellIndex, home: int, cell: int, square: float, radius: float, within: float, reach: float
) -> bool:
    """Tell whether the bounds exclude every point of a cell for a query whose squared distance to the centre is known.

    See `scan_cell`.
    """
    apart, gap, n_axes = index.separation[home, cell], np.sqrt(square), index.centres.shape[1]
    error = F32_ROUNDING * (index.reach[cell] + gap + radius + apart) + index.rounding + TINY
    bound_error = error + gap * n_axes * F32_ROUNDING
    if gap - reach > within + bound_error:
        return True
    slack = radius * radius + index.doubt[cell] + 2 * gap * bound_error
    return bool(apart > 0 and square - slack > 2 * apart * (within + error))  # beyond the plane halfway between


@inner
def scan_moved(
    index: CellIndex,
    home: int,
    cell: int,
    square: float,
    radius: float,
    within: float,
    reach: float,
    scratch: Scratch,
) -> tuple[int, float]:
    """Scan a cell for a query that is `relative` to it in the scratch, a squared distance from its centre."""
    apart, gap = index.separation[home, cell], np.sqrt(square)
    local = scratch.relative
    error = F32_ROUNDING * (index.reach[cell] + gap + radius + apart) + index.rounding + TINY
    if is_beyond(index, home, cell, square, radius, within, reach):
        return 0, error
    reachable = within + error
    bound_error = error + gap * len(local) * F32_ROUNDING
    limit = np.float32(reachable * reachable * (1 + (len(local) + 8) * F32_ROUNDING))  # infinite where squares are
    inner, outer = gap - within - bound_error, min(gap + within + bound_error, reach)
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
def next_near(
    index: CellIndex,
    home: int,
    radius: float,
    within: float,
    reach: NDArray[np.float64],
    scratch: Scratch,
    turn: int,
) -> tuple[int, int]:
    """Give the next cell, by distance from the home cell, that may hold a point within a distance of a query.

    `begin_search` has filled the scratch. `reach` tells how far each cell's points lie from its centre: all, or those
    that matter (negative: none). `turn` is 0 at first and then what was given last; the cell is -1 when the bounds
    exclude all that are left. Every search of one query is: while there is a next cell, scan it, and shrink the
    distance.
    """
    cells, apart = index.nearest_cells[home], index.separation[home]
    for following in range(turn, len(cells)):
        cell = cells[following]
        gap = apart[cell] - radius - index.rounding
        if gap - index.widest > within:
            break
        if reach[cell] >= 0 and not scratch.gaps[cell] - reach[cell] > within:  # NaN: so far away that nothing is known
            return int(cell), following + 1
    return -1, len(cells)


@part
def scan_near(
    index: CellIndex, home: int, cell: int, radius: float, within: float, reach: float, scratch: Scratch
) -> tuple[int, float]:
    """Scan a cell for the query that `begin_search` has put into the scratch; see `scan_cell`."""
    shift_between(index, home, cell, scratch.shift)
    return scan_cell(index, home, cell, scratch.local, radius, scratch.shift, within, reach, scratch)


@kernel
def marked_in_cell(index: CellIndex, is_marked: NDArray[np.bool_], cell: int) -> NDArray[np.int64]:
    """Give the places of a cell's marked points."""
    marked, count = np.empty(index.first[cell + 1] - index.first[cell], dtype=np.int64), 0
    for place in range(index.first[cell], index.first[cell + 1]):
        if is_marked[place]:
            marked[count] = place
            count += 1
    return marked[:count]
