"""What lies within reach: counting, the nearest allowed point, and whether two groups touch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.cells import F32_ROUNDING, CellIndex
from membergate.engine.graph.compiling import inner, kernel, part
from membergate.engine.graph.components import find, unite
from membergate.engine.graph.search import (
    Scratch,
    aim,
    begin_search,
    exact_distance,
    index_length,
    is_beyond,
    local_of,
    make_scratch,
    marked_in_cell,
    move,
    next_near,
    scan_cell,
    scan_moved,
    scan_near,
    shift_between,
    square_to_centre,
)  # fmt: skip


@inner
def is_within(index: CellIndex, place: int, other: int, square: float, error: float, eps: float) -> bool:
    """Tell exactly whether two points lie within `eps`; the screened square decides where it can."""
    sure = eps * index.scale - error
    if sure > 0 and square * (1 + (index.centres.shape[1] + 8) * F32_ROUNDING) < sure * sure:
        return True
    return exact_distance(index.rows[place], index.rows[other]) <= eps


@kernel
def count_within(
    index: CellIndex,
    begin: int,
    end: int,
    is_wanted: NDArray[np.bool_],
    eps: float,
    weights: NDArray[np.float64],
    needed: float,
    is_dense: NDArray[np.bool_],
) -> None:
    """Tell which wanted points of cells `begin` to `end` have a weight of at least `needed` within `eps`."""
    scratch = make_scratch(index)
    for home in range(begin, end):
        wanted = marked_in_cell(index, is_wanted, home)
        local = np.empty((len(wanted), index.centres.shape[1]), dtype=np.float32)
        counts = np.empty(len(wanted))
        for i in range(len(wanted)):
            counts[i] = weights[wanted[i]]
        _count_for_cell(index, home, wanted, eps, weights, needed, counts, local, scratch)
        for i in range(len(wanted)):
            is_dense[wanted[i]] = counts[i] >= needed


@part
def _count_for_cell(
    index: CellIndex,
    home: int,
    wanted: NDArray[np.int64],
    eps: float,
    weights: NDArray[np.float64],
    needed: float,
    counts: NDArray[np.float64],
    local: NDArray[np.float32],
    scratch: Scratch,
) -> None:
    for i in range(len(wanted)):
        local_of(index, home, wanted[i], local[i])
    within, widest = index_length(index, eps), index.widest
    furthest = index.radius[index.first[home + 1] - 1]
    for cell in index.nearest_cells[home]:
        apart = index.separation[home, cell] - index.rounding
        if apart - furthest - widest > within:
            break
        aim(index, home, cell, scratch)
        ready, reach = -1, index.reach[cell]
        for i in range(len(wanted)):
            radius = index.radius[wanted[i]]
            if counts[i] >= needed or apart - radius - reach > within:
                continue
            square, ready = square_to_centre(index, home, wanted[i], ready, scratch)
            if is_beyond(index, home, cell, square, radius, within, reach):
                continue
            move(local[i], scratch.shift, scratch.relative)
            found, error = scan_moved(index, home, cell, square, radius, within, reach, scratch)
            for j in range(found):
                place = scratch.places[j]
                if place != wanted[i] and is_within(index, wanted[i], place, scratch.squares[j], error, eps):
                    counts[i] += weights[place]


@kernel
def first_listed(
    distances: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    keys: NDArray[np.int64],
    limits: NDArray[np.int64],
    is_proven: NDArray[np.bool_],
    found_distances: NDArray[np.float64],
    found: NDArray[np.int64],
) -> None:
    """Take from each proven list the first point whose key is below the limit; leave what has none as it is."""
    for place in np.flatnonzero(is_proven):
        for slot in range(neighbours.shape[1]):
            other = neighbours[place, slot]
            if other >= 0 and keys[other] < limits[place]:
                found_distances[place], found[place] = distances[place, slot], other
                break


@kernel
def nearest_allowed(
    index: CellIndex,
    rows: NDArray[np.float64],
    itself: NDArray[np.int64],
    keys: NDArray[np.int64],
    cell_keys: NDArray[np.int64],
    reach: NDArray[np.float64],
    limits: NDArray[np.int64],
    distances: NDArray[np.float64],
    nearest: NDArray[np.int64],
) -> None:
    """Find, for any rows, the nearest point whose key is below the row's limit.

    `distances` and `nearest` hold on entry how far to look and what is known
    (-1: nothing), and on return what was found. `cell_keys` is the smallest
    key in each cell, `reach` the largest radius of a point there whose key is
    below any row's limit; `itself` names the point that is the row, or -1.
    """
    scratch = make_scratch(index)
    for i in range(rows.shape[0]):
        home = index.cell_of[itself[i]] if itself[i] >= 0 else -1
        distances[i], nearest[i] = _nearest_one(
            index, home, rows[i], itself[i], keys, cell_keys, reach, limits[i], distances[i], nearest[i], scratch
        )


@part
def _nearest_one(
    index: CellIndex,
    home: int,
    row: NDArray[np.float64],
    itself: int,
    keys: NDArray[np.int64],
    cell_keys: NDArray[np.int64],
    reach: NDArray[np.float64],
    limit: int,
    best: float,
    nearest: int,
    scratch: Scratch,
) -> tuple[float, int]:
    home, radius = begin_search(index, row, home, scratch)
    cell, turn = next_near(index, home, radius, index_length(index, best), reach, scratch, 0)
    while cell >= 0:
        if cell_keys[cell] < limit:
            found, _ = scan_near(index, home, cell, radius, index_length(index, best), reach[cell], scratch)
            for j in range(found):
                place = scratch.places[j]
                if keys[place] >= limit or place == itself:
                    continue
                distance = exact_distance(row, index.rows[place])
                is_first_of_equals = distance == best and (nearest < 0 or index.rank[place] < index.rank[nearest])
                if distance < best or is_first_of_equals:
                    best, nearest = distance, place
        cell, turn = next_near(index, home, radius, index_length(index, best), reach, scratch, turn)
    return best, nearest


@kernel
def link_cells(
    index: CellIndex, is_member: NDArray[np.bool_], eps: float, cells: tuple[int, int, int], parent: NDArray[np.int32],
    core_reach: NDArray[np.float64], is_whole: NDArray[np.bool_], delegate: NDArray[np.int64],
) -> None:  # fmt: skip
    """Join the components of members that lie within `eps` of each other, pair of cells by pair of cells.

    A pair whose members all are in one component is passed over at once.
    `core_reach` is the largest radius of a member (-1: none) in each cell,
    `is_whole` whether its members are one component, `delegate` one of them.
    `cells` are the first and the last cell, exclusive, and how many of the nearest cells of each are looked at.
    """
    begin, end, n_nearest = cells
    scratch, n_axes = make_scratch(index), index.centres.shape[1]
    within, widest = index_length(index, eps), -1.0
    for cell in range(len(core_reach)):
        widest = max(widest, core_reach[cell])
    for home in range(begin, end):
        if core_reach[home] < 0:
            continue
        members = marked_in_cell(index, is_member, home)
        local = np.empty((len(members), n_axes), dtype=np.float32)
        is_local = False
        for cell in index.nearest_cells[home][:n_nearest]:
            apart = index.separation[home, cell] - index.rounding
            if apart - core_reach[home] - widest > within:
                break
            if (cell < home and n_nearest == len(index.centres)) or core_reach[cell] < 0:
                continue
            if apart - core_reach[home] - core_reach[cell] > within or _is_joined(
                parent, is_whole, delegate, home, cell
            ):
                continue
            if not is_local:
                for i in range(len(members)):
                    local_of(index, home, members[i], local[i])
                is_local = True
            shift_between(index, home, cell, scratch.shift)
            _link_pair(
                index, home, cell, members, local, is_member, eps, parent, core_reach, is_whole, delegate, scratch
            )
            _look_whole(index, home, is_member, parent, is_whole, delegate)
            _look_whole(index, cell, is_member, parent, is_whole, delegate)


@inner
def _is_joined(
    parent: NDArray[np.int32], is_whole: NDArray[np.bool_], delegate: NDArray[np.int64], home: int, cell: int
) -> bool:
    if not (is_whole[home] and is_whole[cell]):
        return False
    return find(parent, delegate[home]) == find(parent, delegate[cell])


@part
def _look_whole(
    index: CellIndex,
    cell: int,
    is_member: NDArray[np.bool_],
    parent: NDArray[np.int32],
    is_whole: NDArray[np.bool_],
    delegate: NDArray[np.int64],
) -> None:
    if is_whole[cell]:
        return
    root = find(parent, delegate[cell])
    for place in range(index.first[cell], index.first[cell + 1]):
        if is_member[place] and find(parent, place) != root:
            return
    is_whole[cell] = True


@part
def _link_pair(
    index: CellIndex,
    home: int,
    cell: int,
    members: NDArray[np.int64],
    local: NDArray[np.float32],
    is_member: NDArray[np.bool_],
    eps: float,
    parent: NDArray[np.int32],
    core_reach: NDArray[np.float64],
    is_whole: NDArray[np.bool_],
    delegate: NDArray[np.int64],
    scratch: Scratch,
) -> None:
    within = index_length(index, eps)
    apart = index.separation[home, cell] - index.rounding
    for i in range(len(members)):
        place = members[i]
        radius = index.radius[place]
        if apart - radius - core_reach[cell] > within:
            continue
        if is_whole[cell] and find(parent, place) == find(parent, delegate[cell]):
            continue
        reach = core_reach[cell]
        found, error = scan_cell(index, home, cell, local[i], radius, scratch.shift, within, reach, scratch)
        for j in range(found):
            other = scratch.places[j]
            if not is_member[other] or find(parent, other) == find(parent, place):
                continue
            if is_within(index, place, other, scratch.squares[j], error, eps):
                unite(parent, place, other)
                if _is_joined(parent, is_whole, delegate, home, cell):
                    return
