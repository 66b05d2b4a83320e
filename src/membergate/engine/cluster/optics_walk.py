"""The walk of OPTICS, exact beyond the lists.

A point that has been visited offers its listed neighbours. What lies beyond
its list is at least as far as its last listed neighbour: such points wait in a
second heap, keyed by that distance, and are searched in the index only when
the walk comes so far. The searched radius grows by a tenth at least, and cells
that hold no unvisited point are passed over.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.cells import CellIndex
from membergate.engine.graph.compiling import inner, kernel
from membergate.engine.graph.reach import index_length
from membergate.engine.graph.search import Scratch, exact_distance, make_scratch, scan_cell, shift_between, to_home

_GROWTH = 1.1


@inner
def _precedes(keys: NDArray[np.float64], ties: NDArray[np.int64], place: int, other: int) -> bool:
    return bool(keys[place] < keys[other] or (keys[place] == keys[other] and ties[place] < ties[other]))


@inner
def _rise(
    heap: NDArray[np.int64], slot_of: NDArray[np.int64], keys: NDArray[np.float64], ties: NDArray[np.int64], slot: int
) -> None:
    place = heap[slot]
    while slot > 0:
        above = (slot - 1) // 2
        if not _precedes(keys, ties, place, heap[above]):
            break
        heap[slot] = heap[above]
        slot_of[heap[slot]] = slot
        slot = above
    heap[slot] = place
    slot_of[place] = slot


@inner
def _push(
    heap: NDArray[np.int64],
    slot_of: NDArray[np.int64],
    keys: NDArray[np.float64],
    ties: NDArray[np.int64],
    size: int,
    place: int,
) -> int:
    """Add a point, or let it rise after its key fell; give the heap's size."""
    if slot_of[place] < 0:
        heap[size] = place
        slot_of[place] = size
        size += 1
    _rise(heap, slot_of, keys, ties, slot_of[place])
    return size


@inner
def _pop(
    heap: NDArray[np.int64], slot_of: NDArray[np.int64], keys: NDArray[np.float64], ties: NDArray[np.int64], size: int
) -> int:
    """Take the first point off the heap; the caller shrinks the size by one."""
    first, place = heap[0], heap[size - 1]
    size -= 1
    slot_of[first] = -1
    slot = 0
    while size > 0:
        child = 2 * slot + 1
        if child >= size:
            break
        if child + 1 < size and _precedes(keys, ties, heap[child + 1], heap[child]):
            child += 1
        if not _precedes(keys, ties, heap[child], place):
            break
        heap[slot] = heap[child]
        slot_of[heap[slot]] = slot
        slot = child
    if size > 0:
        heap[slot] = place
        slot_of[place] = slot
    return int(first)


@kernel
def reverse_lists(
    distances: NDArray[np.float64], neighbours: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Give for each point who lists it: begins (u + 1,), listers and their distances."""
    n_points, width = neighbours.shape
    begins = np.zeros(n_points + 1, dtype=np.int64)
    for place in range(n_points):
        for slot in range(width):
            if neighbours[place, slot] >= 0:
                begins[neighbours[place, slot] + 1] += 1
    for place in range(n_points):
        begins[place + 1] += begins[place]
    filled = begins[:-1].copy()
    listers, lengths = np.empty(begins[n_points], dtype=np.int32), np.empty(begins[n_points])
    for place in range(n_points):
        for slot in range(width):
            other = neighbours[place, slot]
            if other >= 0:
                listers[filled[other]], lengths[filled[other]] = place, distances[place, slot]
                filled[other] += 1
    return begins, listers, lengths


@kernel
def walk(  # noqa: C901, PLR0912 -- the walk is one loop
    index: CellIndex,
    starts: NDArray[np.int64],
    ties: NDArray[np.int64],
    core: NDArray[np.float64],
    max_eps: float,
    lists: tuple[NDArray[np.float64], NDArray[np.int32]],
    known_within: NDArray[np.float64],
    reverse: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]],
    order: NDArray[np.int64],
    reachability: NDArray[np.float64],
    predecessor: NDArray[np.int64],
) -> None:
    """Walk all points; `order` lists places, `reachability` is infinite at starts, `predecessor` -1 there.

    `starts` lists the places in the order in which the walk may begin,
    `ties` ranks points of equal reachability. `known_within` says up to which
    distance a point's list is complete; `reverse` lists who lists a point.
    """
    n_points = len(core)
    distances, neighbours = lists
    begins, listers, lengths = reverse
    scratch, n_axes = make_scratch(index), index.centres.shape[1]
    point, local, shift = np.empty(n_axes), np.empty(n_axes, dtype=np.float32), np.empty(n_axes, dtype=np.float32)
    unvisited = (index.first[1:] - index.first[:-1]).copy()
    is_visited = np.zeros(n_points, dtype=np.bool_)
    heap, slot_of, size = np.empty(n_points, dtype=np.int64), np.full(n_points, -1, dtype=np.int64), 0
    waiting, wait_slot, n_waiting = np.empty(n_points, dtype=np.int64), np.full(n_points, -1, dtype=np.int64), 0
    searched = known_within.copy()
    next_start = 0
    for step in range(n_points):
        while n_waiting > 0 and searched[waiting[0]] < (reachability[heap[0]] if size > 0 else np.inf):
            place = waiting[0]
            nearest = reachability[heap[0]] if size > 0 else np.inf
            radius = min(max_eps, max(nearest, searched[place] * _GROWTH))
            if nearest == np.inf:  # nothing in sight: look for the one nearest first
                radius = _distance_to_unvisited(
                    index, place, is_visited, unvisited, max_eps, point, local, shift, scratch
                )
            size = _look_around(
                index, place, radius, core, is_visited, unvisited, heap, slot_of, ties, size, reachability, predecessor,
                point, local, shift, scratch,
            )  # fmt: skip
            searched[place] = radius
            _pop(waiting, wait_slot, searched, ties, n_waiting)
            n_waiting -= 1
            if radius < max_eps:
                n_waiting = _push(waiting, wait_slot, searched, ties, n_waiting, place)
        if size > 0:
            place = _pop(heap, slot_of, reachability, ties, size)
            size -= 1
        else:
            while is_visited[starts[next_start]]:
                next_start += 1
            place = starts[next_start]
        is_visited[place] = True
        unvisited[index.cell_of[place]] -= 1
        order[step] = place
        if core[place] > max_eps:
            continue
        for slot in range(neighbours.shape[1]):
            other, distance = neighbours[place, slot], distances[place, slot]
            if other < 0 or distance > max_eps:
                break
            size = _offer(
                place, other, distance, core, is_visited, heap, slot_of, ties, size, reachability, predecessor
            )
        for slot in range(begins[place], begins[place + 1]):
            if lengths[slot] <= max_eps:
                size = _offer(
                    place, listers[slot], lengths[slot], core, is_visited, heap, slot_of, ties, size, reachability,
                    predecessor,
                )  # fmt: skip
        if searched[place] < max_eps:
            n_waiting = _push(waiting, wait_slot, searched, ties, n_waiting, place)


@inner
def _offer(
    place: int,
    other: int,
    distance: float,
    core: NDArray[np.float64],
    is_visited: NDArray[np.bool_],
    heap: NDArray[np.int64],
    slot_of: NDArray[np.int64],
    ties: NDArray[np.int64],
    size: int,
    reachability: NDArray[np.float64],
    predecessor: NDArray[np.int64],
) -> int:
    """Let a visited point reach another; give the heap's size."""
    reach = max(distance, core[place])
    if is_visited[other] or reach >= reachability[other]:
        return size
    reachability[other] = reach
    predecessor[other] = place
    return _push(heap, slot_of, reachability, ties, size, other)


@inner
def _look_around(  # noqa: PLR0917 -- a kernel takes its room as arguments
    index: CellIndex,
    place: int,
    radius: float,
    core: NDArray[np.float64],
    is_visited: NDArray[np.bool_],
    unvisited: NDArray[np.int64],
    heap: NDArray[np.int64],
    slot_of: NDArray[np.int64],
    ties: NDArray[np.int64],
    size: int,
    reachability: NDArray[np.float64],
    predecessor: NDArray[np.int64],
    point: NDArray[np.float64],
    local: NDArray[np.float32],
    shift: NDArray[np.float32],
    scratch: Scratch,
) -> int:
    """Offer every unvisited point within a radius; give the heap's size."""
    home, within, widest = index.cell_of[place], index_length(index, radius), index.widest
    own_radius = to_home(index, index.rows[place], home, point, local)
    for cell in index.nearest_cells[home]:
        apart = index.separation[home, cell] - own_radius - index.rounding
        if apart - widest > within:
            break
        if unvisited[cell] == 0 or apart - index.reach[cell] > within:
            continue
        shift_between(index, home, cell, shift)
        found, _ = scan_cell(index, home, cell, local, own_radius, shift, within, scratch)
        for j in range(found):
            other = scratch.places[j]
            if is_visited[other]:
                continue
            distance = exact_distance(index.rows[place], index.rows[other])
            if distance <= radius:
                size = _offer(
                    place, other, distance, core, is_visited, heap, slot_of, ties, size, reachability, predecessor
                )
    return size


@inner
def _distance_to_unvisited(
    index: CellIndex,
    place: int,
    is_visited: NDArray[np.bool_],
    unvisited: NDArray[np.int64],
    max_eps: float,
    point: NDArray[np.float64],
    local: NDArray[np.float32],
    shift: NDArray[np.float32],
    scratch: Scratch,
) -> float:
    """Give the distance to the nearest unvisited point, at most `max_eps`."""
    home, best, widest = index.cell_of[place], max_eps, index.widest
    within = index_length(index, best)
    own_radius = to_home(index, index.rows[place], home, point, local)
    for cell in index.nearest_cells[home]:
        apart = index.separation[home, cell] - own_radius - index.rounding
        if apart - widest > within:
            break
        if unvisited[cell] == 0 or apart - index.reach[cell] > within:
            continue
        shift_between(index, home, cell, shift)
        found, _ = scan_cell(index, home, cell, local, own_radius, shift, within, scratch)
        for j in range(found):
            other = scratch.places[j]
            if not is_visited[other]:
                best = min(best, exact_distance(index.rows[place], index.rows[other]))
        within = index_length(index, best)
    return best
