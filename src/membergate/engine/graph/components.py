"""Union-find: which points hang together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.compiling import inner, kernel


@inner
def find(parent: NDArray[np.int32], place: int) -> int:
    """Give the representative of a point's component; halves the path on the way."""
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place


@inner
def unite(parent: NDArray[np.int32], place: int, other: int) -> bool:
    """Join two components under the smaller representative; False when they were one."""
    root, second = find(parent, place), find(parent, other)
    if root == second:
        return False
    parent[max(root, second)] = min(root, second)
    return True


@kernel
def unite_listed(
    parent: NDArray[np.int32],
    is_member: NDArray[np.bool_],
    limit: float,
    distances: NDArray[np.float64],
    neighbours: NDArray[np.int32],
) -> None:
    """Join members that list each other within a distance."""
    for place in range(len(parent)):
        if not is_member[place]:
            continue
        listed, lengths = neighbours[place], distances[place]
        for slot in range(len(listed)):
            if lengths[slot] > limit:
                break
            if listed[slot] >= 0 and is_member[listed[slot]]:
                unite(parent, place, listed[slot])


@kernel
def flatten(parent: NDArray[np.int32]) -> None:
    """Point every member at its representative."""
    for place in range(len(parent)):
        parent[place] = find(parent, place)
