"""The walk of OPTICS, exact beyond the lists.

A point that has been visited offers the points that it lists, and those that
list it. Any other point is farther from it than either list reaches. So a
visited point waits in a second queue, keyed by how far its own list reaches,
and is searched in the index only when the walk comes so far; and a search
passes over every cell of which the points not yet visited reach farther by
their own lists, or that lies farther than the walk has come. The searched
radius grows by a tenth at least.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from membergate.engine.cluster.queue import Queue, empty_queue, lowest_key, pop, push
from membergate.engine.graph.cells import CellIndex
from membergate.engine.graph.compiling import inner, kernel, part
from membergate.engine.graph.gaps import CellGaps, tighten, triangle_gaps
from membergate.engine.graph.search import (
    Scratch,
    begin_search,
    exact_distance,
    index_length,
    make_scratch,
    next_near,
    scan_near,
)
from membergate.engine.graph.threads import Progress, over_ranges

_GROWTH = 1.1
_LARGEST = float(np.finfo(np.float64).max)


class _Walk(NamedTuple):
    """The state of a walk over u points in c cells.

    Attributes
    ----------
    core, max_eps
        Core distances, shape (u,), infinite where a point reaches no other; longest step, finite.
    distances, neighbours, known_within
        Lists, shape (u, k), and up to which distance each is complete, shape (u,).
    begins, listers, lengths
        Who lists a point: see `reverse_lists`.
    starts, next_start
        Places in the order in which the walk may begin, and how many of them are behind, shape (1,).
    is_visited, predecessor
        By place; -1 where a walk began.
    unknown_from
        Smallest `known_within` of the points of a cell that are not visited; infinite when none is left, shape (c,).
    gaps, unknown_near
        How far apart cells are at least; distance below which no point of a cell has an unknown edge, shape (c,).
    reached, waiting
        Points not visited, by reachability; visited points, by how far they have looked round.
    """

    core: NDArray[np.float64]
    max_eps: float
    distances: NDArray[np.float64]
    neighbours: NDArray[np.int32]
    known_within: NDArray[np.float64]
    begins: NDArray[np.int64]
    listers: NDArray[np.int32]
    lengths: NDArray[np.float64]
    starts: NDArray[np.int64]
    next_start: NDArray[np.int64]
    is_visited: NDArray[np.bool_]
    predecessor: NDArray[np.int64]
    unknown_from: NDArray[np.float64]
    gaps: CellGaps
    unknown_near: NDArray[np.float64]
    reached: Queue
    waiting: Queue


def walk(
    index: CellIndex,
    ties: NDArray[np.int64],
    core: NDArray[np.float64],
    max_eps: float,
    lists: tuple[NDArray[np.float64], NDArray[np.int32]],
    known_within: NDArray[np.float64],
    progress: Progress | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Walk all points.

    Parameters
    ----------
    index
        The cell index over u points.
    ties
        A number for each place; the walk begins at the smallest, and takes the smallest among equals.
    core
        Core distance of each place.
    max_eps
        Longest step, > 0.
    lists
        Distances and neighbours, shapes (u, k).
    known_within
        Distance up to which each list is complete, shape (u,).
    progress
        Told how far the walk is.

    Returns
    -------
    order, reachability, predecessor
        Places in the order of the walk; by place: infinity at starts, and -1 there.
    """
    n_points = len(core)
    begins, listers, lengths = reverse_lists(*lists)
    state = _Walk(
        core=core,
        max_eps=min(max_eps, _LARGEST),
        distances=lists[0],
        neighbours=lists[1],
        known_within=known_within,
        begins=begins,
        listers=listers,
        lengths=lengths,
        starts=np.argsort(ties, kind="stable"),
        next_start=np.zeros(1, dtype=np.int64),
        is_visited=np.zeros(n_points, dtype=np.bool_),
        predecessor=np.full(n_points, -1, dtype=np.int64),
        unknown_from=np.minimum.reduceat(known_within, index.first[:-1]),
        gaps=triangle_gaps(index, _reach_of_unsure(index, known_within, max_eps)),
        unknown_near=np.zeros(len(index.centres)),
        reached=empty_queue(np.full(n_points, np.inf), ties),
        waiting=empty_queue(known_within.copy(), ties),
    )
    order = np.empty(n_points, dtype=np.int64)
    over_ranges(
        lambda begin, end: _walk(index, state, order[begin:end]), n_points, n_jobs=1, progress=progress, phase="walk"
    )
    return order, state.reached.keys, state.predecessor


def _reach_of_unsure(index: CellIndex, known_within: NDArray[np.float64], max_eps: float) -> NDArray[np.float64]:
    """Give the largest radius in each cell of the points that may have an unknown edge; -1 where none has.

    An edge within `max_eps` is unknown only if both its ends list less far: the sparsest points, which lie farthest
    out, do not count, and cells are small without them.
    """
    return np.maximum.reduceat(np.where(known_within <= max_eps, index.radius, -1.0), index.first[:-1])


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
def _walk(index: CellIndex, state: _Walk, order: NDArray[np.int64]) -> None:
    scratch = make_scratch(index)
    for step in range(len(order)):
        while lowest_key(state.waiting) < lowest_key(state.reached):
            _look_farther(index, state, scratch)
        place = _next_place(state)
        order[step] = place
        _leave(index, state, place)
        if state.core[place] <= state.max_eps:
            _offer_listed(state, place)
            _wait(index, state, place, state.known_within[place])


@part
def _next_place(state: _Walk) -> int:
    """Take the point of smallest reachability, or else the first that is not visited."""
    if state.reached.size[0] > 0:
        return pop(state.reached)
    while state.is_visited[state.starts[state.next_start[0]]]:
        state.next_start[0] += 1
    return int(state.starts[state.next_start[0]])


@part
def _leave(index: CellIndex, state: _Walk, place: int) -> None:
    """Mark a point as visited, and see how far the rest of its cell knows its neighbours."""
    state.is_visited[place] = True
    cell = index.cell_of[place]
    if state.known_within[place] > state.unknown_from[cell]:
        return
    lowest = np.inf
    for other in range(index.first[cell], index.first[cell + 1]):
        if not state.is_visited[other]:
            lowest = min(lowest, state.known_within[other])
    state.unknown_from[cell] = lowest


@part
def _offer_listed(state: _Walk, place: int) -> None:
    """Let a visited point reach those that it lists and those that list it."""
    listed, distances = state.neighbours[place], state.distances[place]
    for slot in range(len(listed)):
        if listed[slot] < 0 or distances[slot] > state.max_eps:
            break
        _offer(state, place, listed[slot], distances[slot])
    for slot in range(state.begins[place], state.begins[place + 1]):
        if state.lengths[slot] <= state.max_eps:
            _offer(state, place, state.listers[slot], state.lengths[slot])


@inner
def _offer(state: _Walk, place: int, other: int, distance: float) -> None:
    """Let a visited point reach another."""
    reach = max(distance, state.core[place])
    if not state.is_visited[other] and reach < state.reached.keys[other]:
        state.reached.keys[other] = reach
        state.predecessor[other] = place
        push(state.reached, other)


@inner
def _wait(index: CellIndex, state: _Walk, place: int, radius: float) -> None:
    """Let a visited point wait that has looked round up to a radius, unless nothing unknown is left for it."""
    state.waiting.keys[place] = max(radius, state.unknown_near[index.cell_of[place]])
    if state.waiting.keys[place] < state.max_eps:
        push(state.waiting, place)


@part
def _look_farther(index: CellIndex, state: _Walk, scratch: Scratch) -> None:
    """Search round the visited point that has looked least far."""
    nearest, place = lowest_key(state.reached), pop(state.waiting)
    home = index.cell_of[place]
    if nearest < np.inf:
        radius = min(state.max_eps, max(nearest, state.waiting.keys[place] * _GROWTH))
    else:  # nothing in sight: unless the whole cell sees nothing either, look for the one nearest first
        radius = state.max_eps
        if state.unknown_near[home] <= radius:
            _survey(index, state, home, radius, scratch)
        if state.unknown_near[home] <= radius:
            radius = _distance_to_unvisited(index, state, place, scratch)
    if state.unknown_near[home] <= radius:
        _survey(index, state, home, radius, scratch)
    if state.unknown_near[home] <= radius:
        _look_around(index, state, place, radius, scratch)
    _wait(index, state, place, radius)


@part
def _survey(index: CellIndex, state: _Walk, home: int, radius: float, scratch: Scratch) -> None:
    """See from which distance on any point of a cell may have an unknown edge."""
    lowest, apart = np.inf, state.gaps.apart[home]
    for cell in range(len(apart)):
        _is_open(index, state, home, cell, radius, scratch)
        lowest = min(lowest, max(state.unknown_from[cell], np.float64(apart[cell]) / index.scale))
    state.unknown_near[home] = lowest


@inner
def _is_open(index: CellIndex, state: _Walk, home: int, cell: int, radius: float, scratch: Scratch) -> bool:
    """Tell whether a cell may hold, within a radius of some point at home, a point not visited and unknown to it."""
    within = index_length(index, radius)
    if state.unknown_from[cell] > radius or state.gaps.apart[home, cell] > within:
        return False
    if not state.gaps.is_tight[home, cell]:
        tighten(index, state.gaps, home, cell, scratch)
    return bool(state.gaps.apart[home, cell] <= within)


@part
def _look_around(index: CellIndex, state: _Walk, place: int, radius: float, scratch: Scratch) -> None:
    """Offer every point within a radius that is not visited and may be unknown to both lists."""
    home, row, within = index.cell_of[place], index.rows[place], index_length(index, radius)
    _, own_radius = begin_search(index, row, home, scratch)
    cell, turn = next_near(index, home, own_radius, within, state.gaps.reach, scratch, 0)
    while cell >= 0:
        if _is_open(index, state, home, cell, radius, scratch):
            found, _ = scan_near(index, home, cell, own_radius, within, state.gaps.reach[cell], scratch)
            for j in range(found):
                other = scratch.places[j]
                if not state.is_visited[other] and state.known_within[other] <= radius:
                    distance = exact_distance(row, index.rows[other])
                    if distance <= radius:
                        _offer(state, place, other, distance)
        cell, turn = next_near(index, home, own_radius, within, state.gaps.reach, scratch, turn)


@part
def _distance_to_unvisited(index: CellIndex, state: _Walk, place: int, scratch: Scratch) -> float:
    """Give the distance to the nearest point that is not visited and may be unknown to both lists, or `max_eps`."""
    home, row, best = index.cell_of[place], index.rows[place], state.max_eps
    _, own_radius = begin_search(index, row, home, scratch)
    cell, turn = next_near(index, home, own_radius, index_length(index, best), state.gaps.reach, scratch, 0)
    while cell >= 0:
        if _is_open(index, state, home, cell, best, scratch):
            within = index_length(index, best)
            found, _ = scan_near(index, home, cell, own_radius, within, state.gaps.reach[cell], scratch)
            for j in range(found):
                other = scratch.places[j]
                if not state.is_visited[other] and state.known_within[other] <= best:
                    best = min(best, exact_distance(row, index.rows[other]))
        cell, turn = next_near(index, home, own_radius, index_length(index, best), state.gaps.reach, scratch, turn)
    return best
