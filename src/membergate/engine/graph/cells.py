"""The cell index: points in k-means cells, with the bounds that tell which cells a search may skip.

Every point lies in the cell of its nearest centre; points are sorted by cell
and by distance to the centre. Coordinates are kept twice: exactly, in rows, and
as float32 blocks of thirty-two points, rotated to principal axes and relative
to the cell's centre, so that screening errors are small against the cell and
not against the whole table. The blocks only screen: what is kept is decided on
the exact rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from membergate.engine.checking import Table
from membergate.engine.errors import InvalidInputError
from membergate.engine.graph.compiling import inner, kernel, screening_kernel
from membergate.engine.graph.lanes import AXES_STEP, LANES, lanes_within, lowest_lane
from membergate.engine.graph.threads import Progress, over_ranges

FINE, COARSE = 3.0, 1.5
"""Cells for each root of the number of points: where bounds must exclude the rest, and where few cells are looked into.

Points far from everything look into half of all cells whatever the bounds: with coarse cells, twice as cheaply.
"""
_SAMPLE_PER_CELL = 30
_LLOYD_ROUNDS = 5
_SAMPLE_FOR_AXES = 4096
_SMALLEST_CELL = 24
_SMALLEST_SPREAD = 1e-150
"""A table that varies less has squared distances that vanish."""
_CHUNK = 8192
F32_ROUNDING = 2.0**-23
"""Twice the rounding of a float32, relative to a vector's length."""
NO_POINT = 1e38
"""Squared length that stands where a block is filled up; two points of a table are at most 2 apart in index units."""


class CellIndex(NamedTuple):
    """The arrays of the index; lengths other than `rows` are in index units (scaled by a power of two).

    Attributes
    ----------
    rows
        Exact coordinates, shape (u, d), sorted by cell and radius.
    rank
        Place of each point in the content order; breaks ties.
    radius, cell_of
        Distance to the own centre, and the own cell, shape (u,).
    first, first_block
        First point and first block of each cell, shape (c + 1,).
    blocks
        Coordinates relative to the cell's centre, shape (b, axes, 32), float32.
    norms
        Squared length of each point in a block, shape (b, 32), float32; huge where a block is filled up.
    block_low, block_high
        Smallest and largest radius in a block, shape (b,).
    centres, reach, doubt
        Centre of each cell, its largest radius, and by how much, in squared distance, a point of the cell may be
        nearer to another centre.
    separation, nearest_cells
        Distances between centres, and for each cell all cells by that distance, shape (c, c).
    tiles
        Centres in blocks of thirty-two, shape (t, axes, 32), float32, the last filled up with infinity.
    origin, rotation
        A row is put into index units as (row - origin) @ rotation.
    scale, rounding
        Index units per unit of the data; error of the rotation in index units.
    widest
        Largest reach of a cell.
    """

    rows: NDArray[np.float64]
    rank: NDArray[np.int64]
    radius: NDArray[np.float64]
    cell_of: NDArray[np.int32]
    first: NDArray[np.int64]
    first_block: NDArray[np.int64]
    blocks: NDArray[np.float32]
    norms: NDArray[np.float32]
    block_low: NDArray[np.float64]
    block_high: NDArray[np.float64]
    centres: NDArray[np.float64]
    reach: NDArray[np.float64]
    doubt: NDArray[np.float64]
    separation: NDArray[np.float64]
    nearest_cells: NDArray[np.int32]
    tiles: NDArray[np.float32]
    origin: NDArray[np.float64]
    rotation: NDArray[np.float64]
    scale: float
    rounding: float
    widest: float


def build_cells(
    rows: Table,
    order: NDArray[np.int64],
    *,
    fineness: float = FINE,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> CellIndex:
    """Index the points `rows[order]`; they are distinct and `order` is their content order.

    There are `fineness` sqrt(n) cells: fine ones exclude more, coarse ones cost less to look into.
    Cost: about 4 sqrt(n) n d multiply-adds; memory two copies of the points and 12 c^2 bytes for c cells.
    """
    n_points = len(order)
    n_cells = max(1, min(round(fineness * n_points**0.5), n_points // _SMALLEST_CELL))
    sample = order[: _SAMPLE_PER_CELL * n_cells]
    origin, rotation, scale = _principal_axes(rows, sample)
    centres, tiles = _grouped(_learn_centres(rotated(rows, sample, origin, rotation), n_cells, n_jobs))
    cell_of, radius = np.full(n_points, -1, dtype=np.int32), np.empty(n_points)

    def assign(begin: int, end: int) -> None:
        points = rotated(rows, order[begin:end], origin, rotation)
        _find_nearest(points, centres, tiles, cell_of[begin:end], radius[begin:end])

    over_ranges(assign, n_points, n_jobs=n_jobs, progress=progress, phase="cells")
    used, compact = np.unique(cell_of, return_inverse=True)
    by_cell = np.lexsort((radius, compact))
    frame = (centres[used], origin, rotation, scale)
    return _lay_out(_gathered(rows, order[by_cell]), by_cell, compact[by_cell].astype(np.int32), radius[by_cell], frame)


def rotated(
    rows: Table, order: NDArray[np.int64], origin: NDArray[np.float64], rotation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Put the rows `rows[order]` into index units, shape (m, axes)."""
    points = np.empty((len(order), rotation.shape[1]))
    _rotate_rows(rows, order, origin, rotation, points)
    return points


def _gathered(rows: Table, order: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give `rows[order]` as float64, a chunk at a time: no second copy on the way."""
    gathered = np.empty((len(order), rows.shape[1]))
    for begin in range(0, len(order), _CHUNK):
        gathered[begin : begin + _CHUNK] = rows[order[begin : begin + _CHUNK]]
    return gathered


def _principal_axes(rows: Table, sample: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Give the origin, the rotation to principal axes (scaled, padded) and the scale, a power of two."""
    known = rows[sample].astype(np.float64)
    origin = known.mean(axis=0)
    largest = max(float(np.abs(rows[i : i + _CHUNK] - origin).max()) for i in range(0, len(rows), _CHUNK))
    if largest < _SMALLEST_SPREAD and len(sample) > 1:
        allowed = f"rows that differ by {_SMALLEST_SPREAD:g} somewhere, whose squares do not vanish, or not at all"
        raise InvalidInputError("X", got=f"different rows within {largest:g} of each other", allowed=allowed)
    longest = max(largest, _SMALLEST_SPREAD) * rows.shape[1] ** 0.5
    scale = 2.0 ** -np.ceil(np.log2(longest)) if largest > 0 else 1.0
    scatter = np.zeros((rows.shape[1], rows.shape[1]))
    _add_scatter((known[:_SAMPLE_FOR_AXES] - origin) * scale, scatter)
    vectors = np.linalg.eigh(scatter)[1]
    n_axes = -(-rows.shape[1] // AXES_STEP) * AXES_STEP
    rotation = np.zeros((rows.shape[1], n_axes))
    rotation[:, : rows.shape[1]] = vectors[:, ::-1] * scale
    return origin, rotation, float(scale)


def _learn_centres(points: NDArray[np.float64], n_cells: int, n_jobs: int | None) -> NDArray[np.float64]:
    """Run Lloyd's rounds from the first points of the sample, which is in content order: as good as random."""
    centres = points[:n_cells].copy()
    if n_cells == 1:
        return np.asarray(points.mean(axis=0, keepdims=True))
    cell_of, radius = np.full(len(points), -1, dtype=np.int32), np.empty(len(points))
    for _ in range(_LLOYD_ROUNDS):
        centres, tiles = _grouped(centres)

        def assign(begin: int, end: int, centres: NDArray[np.float64] = centres, tiles: _Tiles = tiles) -> None:
            _find_nearest(points[begin:end], centres, tiles, cell_of[begin:end], radius[begin:end])

        cell_of[:] = -1  # centres were put into another order
        over_ranges(assign, len(points), n_jobs=n_jobs)
        centres = centres.copy()
        _recentre(points, cell_of, centres)
    return centres


class _Tiles(NamedTuple):
    """Centres in blocks of neighbours, so that a search for the nearest passes over most blocks.

    `blocks` are the centres, thirty-two a block; `tops` the middles of the blocks, laid out in the same way; `reach`
    how far a block's centres lie from its middle.
    """

    blocks: NDArray[np.float32]
    tops: NDArray[np.float32]
    reach: NDArray[np.float64]


def _grouped(centres: NDArray[np.float64]) -> tuple[NDArray[np.float64], _Tiles]:
    """Put centres into an order in which neighbours stand together, by halving along the widest axis."""
    pending, groups = [np.arange(len(centres))], []
    while pending:
        group = pending.pop()
        if len(group) <= LANES:
            groups.append(group)
            continue
        values = centres[group]
        along = values[:, int(np.argmax(values.max(axis=0) - values.min(axis=0)))]
        whole = -(-len(group) // LANES)  # every block but the last is full
        half = (whole // 2) * LANES
        order = np.argsort(along, kind="stable")
        pending += [group[order[half:]], group[order[:half]]]
    groups.sort(key=len, reverse=True)
    ordered = centres[np.concatenate(groups)]
    parts = [ordered[begin : begin + LANES] for begin in range(0, len(ordered), LANES)]
    middles = np.array([part.mean(axis=0) for part in parts])
    reach = np.array(
        [np.sqrt(((part - middle) ** 2).sum(axis=1).max()) for part, middle in zip(parts, middles, strict=True)]
    )
    return ordered, _Tiles(as_tiles(ordered), as_tiles(middles), reach)


def as_tiles(centres: NDArray[np.float64]) -> NDArray[np.float32]:
    """Lay centres out in blocks of thirty-two; the last block is filled up with points that nothing is nearest to."""
    n_tiles = -(-len(centres) // LANES)
    padded = np.full((n_tiles * LANES, centres.shape[1]), np.inf, dtype=np.float32)
    padded[: len(centres)] = centres
    return np.ascontiguousarray(padded.reshape(n_tiles, LANES, -1).transpose(0, 2, 1))


def norms_of(
    blocks: NDArray[np.float32], first: NDArray[np.int64], first_block: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Give the squared length of each point in a block, `NO_POINT` where a block is filled up."""
    norms: NDArray[np.float32] = np.einsum("bal,bal->bl", blocks, blocks)
    left = np.diff(first) - LANES * (np.diff(first_block) - 1)  # points in a cell's last block
    norms[first_block[1:] - 1] = np.where(np.arange(LANES) < left[:, None], norms[first_block[1:] - 1], NO_POINT)
    return norms


def _lay_out(
    rows: NDArray[np.float64],
    rank: NDArray[np.int64],
    cell_of: NDArray[np.int32],
    radius: NDArray[np.float64],
    frame: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float],
) -> CellIndex:
    """Fill the blocks of points that are sorted by cell and radius."""
    centres, origin, rotation, scale = frame
    first = np.searchsorted(cell_of, np.arange(len(centres) + 1)).astype(np.int64)
    first_block = np.concatenate([[0], np.cumsum(-(-np.diff(first) // LANES))]).astype(np.int64)
    separation = np.zeros((len(centres), len(centres)))
    _separate(centres, separation)
    nearest_cells = np.empty(separation.shape, dtype=np.int32)
    for cell in range(len(centres)):
        nearest_cells[cell] = np.argsort(separation[cell], kind="stable")
    blocks = np.zeros((first_block[-1], centres.shape[1], LANES), dtype=np.float32)
    low, high = np.empty(len(blocks)), np.empty(len(blocks))
    _fill_blocks(rows, radius, first, first_block, (centres, origin, rotation), blocks, low, high)
    norms, reach = norms_of(blocks, first, first_block), radius[first[1:] - 1]
    rounding = rows.shape[1] * 2.0**-48
    coordinate_error = F32_ROUNDING + rounding  # nearest centres were found in float32, relative to the origin
    doubt = 4 * (reach * coordinate_error * 2 + coordinate_error**2 + reach**2 * centres.shape[1] * F32_ROUNDING)
    return CellIndex(
        rows, rank, radius, cell_of, first, first_block, blocks, norms, low, high, centres, reach, doubt, separation,
        nearest_cells, as_tiles(centres), origin, rotation, scale, rounding, float(reach.max()),
    )  # fmt: skip


@kernel
def rotate(row: Table, origin: NDArray[np.float64], rotation: NDArray[np.float64], point: NDArray[np.float64]) -> None:
    """Put one row into index units; the sum runs in a fixed order, whatever the batch."""
    point[:] = 0.0
    for axis in range(len(row)):
        value = row[axis] - origin[axis]
        weights = rotation[axis]
        for i in range(len(point)):
            point[i] += value * weights[i]


@kernel
def _rotate_rows(
    rows: Table,
    order: NDArray[np.int64],
    origin: NDArray[np.float64],
    rotation: NDArray[np.float64],
    points: NDArray[np.float64],
) -> None:
    for i in range(len(order)):
        rotate(rows[order[i]], origin, rotation, points[i])


@screening_kernel
def _find_nearest(
    points: NDArray[np.float64],
    centres: NDArray[np.float64],
    tiles: _Tiles,
    cell_of: NDArray[np.int32],
    radius: NDArray[np.float64],
) -> None:
    """Find each point's nearest centre, and its distance: first in the nearest block, then where the bounds allow."""
    query, sums = np.empty(centres.shape[1], dtype=np.float32), np.empty(LANES, dtype=np.float32)
    gaps = np.empty(tiles.tops.shape[0] * LANES)
    for i in range(points.shape[0]):
        point = points[i]
        for axis in range(len(query)):
            query[axis] = np.float32(point[axis])
        nearest = _gaps_to_tops(tiles, query, sums, gaps)
        best, limit = -1, np.float32(1e29)
        for turn in range(-1, tiles.blocks.shape[0]):
            tile = nearest if turn < 0 else turn
            if turn == nearest or (turn >= 0 and gaps[tile] > np.sqrt(np.float64(limit))):
                continue
            within = lanes_within(tiles.blocks[tile], query, limit, sums)
            while within:
                lane = lowest_lane(within)
                within &= within - np.uint32(1)
                if sums[lane] < limit or best < 0:
                    limit = sums[lane]
                    best = tile * LANES + lane
        cell_of[i] = best
        radius[i] = np.sqrt(square_distance(point, centres[best]))


@inner
def _gaps_to_tops(
    tiles: _Tiles, query: NDArray[np.float32], sums: NDArray[np.float32], gaps: NDArray[np.float64]
) -> int:
    """Give lower bounds on the distance from a query to any centre of each block; and the block of the nearest."""
    slack, least, nearest = (len(query) + 8) * F32_ROUNDING, np.float32(np.inf), 0
    for top in range(tiles.tops.shape[0]):
        lanes_within(tiles.tops[top], query, np.float32(np.inf), sums)
        for lane in range(min(LANES, len(tiles.reach) - top * LANES)):
            tile = top * LANES + lane
            gaps[tile] = np.sqrt(np.float64(sums[lane])) * (1 - slack) - tiles.reach[tile] - 4 * F32_ROUNDING
            if sums[lane] < least:
                least, nearest = sums[lane], tile
    return nearest


@screening_kernel
def square_distance(point: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Give the squared distance of two points in index units."""
    square = 0.0
    for axis in range(len(point)):
        square += (point[axis] - other[axis]) ** 2
    return square


@screening_kernel
def _separate(centres: NDArray[np.float64], separation: NDArray[np.float64]) -> None:
    for a in range(len(centres)):
        for b in range(a):
            separation[a, b] = separation[b, a] = np.sqrt(square_distance(centres[a], centres[b]))


@screening_kernel
def _add_scatter(points: NDArray[np.float64], scatter: NDArray[np.float64]) -> None:
    """Add the outer product of every point; by hand, since a BLAS call here spins more than it computes."""
    for i in range(points.shape[0]):
        point = points[i]
        for axis in range(len(point)):
            row, value = scatter[axis], point[axis]
            for other in range(len(point)):
                row[other] += value * point[other]


@kernel
def _recentre(points: NDArray[np.float64], cell_of: NDArray[np.int32], centres: NDArray[np.float64]) -> None:
    """Move each centre to the mean of its points; a centre without points stays."""
    counts = np.zeros(len(centres))
    for i in range(len(cell_of)):
        counts[cell_of[i]] += 1.0
    for cell in range(len(centres)):
        if counts[cell] > 0:
            centres[cell] = 0.0
    for i in range(len(cell_of)):
        centre, point = centres[cell_of[i]], points[i]
        for axis in range(len(centre)):
            centre[axis] += point[axis]
    for cell in range(len(centres)):
        if counts[cell] > 0:
            centre = centres[cell]
            for axis in range(len(centre)):
                centre[axis] /= counts[cell]


@kernel
def _fill_blocks(
    rows: NDArray[np.float64],
    radius: NDArray[np.float64],
    first: NDArray[np.int64],
    first_block: NDArray[np.int64],
    frame: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    blocks: NDArray[np.float32],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> None:
    centres, origin, rotation = frame
    point = np.empty(centres.shape[1])
    for cell in range(len(centres)):
        centre = centres[cell]
        for place in range(first[cell], first[cell + 1]):
            within_cell = place - first[cell]
            block = blocks[first_block[cell] + within_cell // LANES]
            lane = within_cell % LANES
            rotate(rows[place], origin, rotation, point)
            for axis in range(len(centre)):
                block[axis, lane] = np.float32(point[axis] - centre[axis])
        for number in range(first_block[cell], first_block[cell + 1]):
            begin = first[cell] + (number - first_block[cell]) * LANES
            low[number] = radius[begin]
            high[number] = radius[min(begin + LANES, first[cell + 1]) - 1]
