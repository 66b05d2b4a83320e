"""Equal rows are one point with a weight; points are put into an order that depends on their content alone.

Scripted accounts give thousands of equal rows; zero distances would send
local density to infinity. The order comes from a hash of the coordinates, so
it is as good as random and yet the same for every order of the rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from membergate.engine.checking import Table
from membergate.engine.graph.compiling import kernel

_CHUNK = 8192


class DistinctPoints(NamedTuple):
    """Which rows are equal.

    Attributes
    ----------
    representatives
        First row of each distinct point, shape (u,), in content order.
    point_of_row
        Distinct point of each row, shape (n,).
    counts
        Rows of each distinct point, shape (u,).
    """

    representatives: NDArray[np.int64]
    point_of_row: NDArray[np.int64]
    counts: NDArray[np.int64]


def distinct_points(rows: Table) -> DistinctPoints:
    """Group equal rows of a C-contiguous (n, d) array; +0.0 and -0.0 are equal."""
    hashes = np.empty(len(rows), dtype=np.uint64)
    for begin in range(0, len(rows), _CHUNK):
        part = np.ascontiguousarray(rows[begin : begin + _CHUNK], dtype=np.float64)
        _hash_rows(part.view(np.uint64), hashes[begin : begin + _CHUNK])
    order = np.argsort(hashes, kind="stable")
    begins = np.empty(len(rows), dtype=np.bool_)
    if not _mark_begins(rows, hashes, order, begins):  # two contents share a hash: sort by content instead
        order = np.lexsort(rows.T[::-1] + 0.0)
        hashes[:] = 0
        _mark_begins(rows, hashes, order, begins)
    point_of_row = np.empty(len(rows), dtype=np.int64)
    point_of_row[order] = np.cumsum(begins) - 1
    return DistinctPoints(order[begins], point_of_row, np.bincount(point_of_row))


@kernel
def _hash_rows(bits: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> None:
    negative_zero = np.uint64(1) << np.uint64(63)
    for row in range(bits.shape[0]):
        words = bits[row]
        mixed = np.uint64(0x9E3779B97F4A7C15)
        for axis in range(words.shape[0]):
            word = words[axis] if words[axis] != negative_zero else np.uint64(0)
            mixed = (mixed ^ word) * np.uint64(0xBF58476D1CE4E5B9)
            mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0x94D049BB133111EB)
        hashes[row] = mixed ^ (mixed >> np.uint64(32))


@kernel
def _mark_begins(rows: Table, hashes: NDArray[np.uint64], order: NDArray[np.int64], begins: NDArray[np.bool_]) -> bool:
    """Mark where a new content begins; False when a hash collision was met and hashes cannot be trusted."""
    begins[0] = True
    for place in range(1, len(order)):
        row, before = order[place], order[place - 1]
        is_equal = True
        for axis in range(rows.shape[1]):
            if rows[row, axis] != rows[before, axis]:
                is_equal = False
                break
        begins[place] = not is_equal
        if not is_equal and hashes[row] == hashes[before] and hashes[row] != 0:
            return False
    return True
