"""A queue of points by key, then by tie, that knows where each point stands: a key may fall while it waits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.compiling import inner


class Queue(NamedTuple):
    """A binary heap over u points.

    Attributes
    ----------
    heap
        Places; the first `size[0]` of them wait, shape (u,).
    slot_of
        Where each point stands in the heap, or -1, shape (u,).
    keys, ties
        What orders the points; the caller may lower a key and push again, shape (u,).
    size
        How many wait, shape (1,).
    """

    heap: NDArray[np.int64]
    slot_of: NDArray[np.int64]
    keys: NDArray[np.float64]
    ties: NDArray[np.int64]
    size: NDArray[np.int64]


def empty_queue(keys: NDArray[np.float64], ties: NDArray[np.int64]) -> Queue:
    """Make a queue in which nothing waits; it orders by these very arrays."""
    n_points = len(keys)
    slot_of = np.full(n_points, -1, dtype=np.int64)
    return Queue(np.empty(n_points, dtype=np.int64), slot_of, keys, ties, np.zeros(1, dtype=np.int64))


@inner
def lowest_key(queue: Queue) -> float:
    """Give the key of the first point, or infinity when none waits."""
    return float(queue.keys[queue.heap[0]]) if queue.size[0] > 0 else np.inf


@inner
def push(queue: Queue, place: int) -> None:
    """Add a point, or let it rise after its key fell."""
    if queue.slot_of[place] < 0:
        queue.heap[queue.size[0]] = place
        queue.slot_of[place] = queue.size[0]
        queue.size[0] += 1
    heap, slot = queue.heap, queue.slot_of[place]
    while slot > 0:
        above = (slot - 1) // 2
        if not _precedes(queue, place, heap[above]):
            break
        _put(queue, slot, heap[above])
        slot = above
    _put(queue, slot, place)


@inner
def pop(queue: Queue) -> int:
    """Take the first point; one must wait."""
    queue.size[0] -= 1
    heap, size, slot = queue.heap, queue.size[0], 0
    first, place = heap[0], heap[size]
    queue.slot_of[first] = -1
    if size == 0:
        return int(first)
    child = 1
    while child < size:
        if child + 1 < size and _precedes(queue, heap[child + 1], heap[child]):
            child += 1
        if not _precedes(queue, heap[child], place):
            break
        _put(queue, slot, heap[child])
        slot = child
        child = 2 * slot + 1
    _put(queue, slot, place)
    return int(first)


@inner
def _precedes(queue: Queue, place: int, other: int) -> bool:
    key, other_key = queue.keys[place], queue.keys[other]
    return bool(key < other_key or (key == other_key and queue.ties[place] < queue.ties[other]))


@inner
def _put(queue: Queue, slot: int, place: int) -> None:
    queue.heap[slot] = place
    queue.slot_of[place] = slot
