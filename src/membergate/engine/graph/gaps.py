"""How far apart the points of two cells are at least, measured along the line of their centres.

The triangle inequality knows only how far a cell reaches in any direction;
here every point is projected on the line between two centres, so that what
lies sideways does not count. Costs one product of matrix and vector a pair, and
is found only for the pairs that are asked for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.cells import F32_ROUNDING, CellIndex
from membergate.engine.graph.compiling import inner, screening_kernel
from membergate.engine.graph.lanes import LANES
from membergate.engine.graph.search import Scratch, shift_between

_ROUNDED_DOWN = 1 - 1e-6


class CellGaps(NamedTuple):
    """Lower bounds on the distance between any point of one cell and any of another.

    Attributes
    ----------
    apart
        The bounds, in index units, float32, shape (c, c); infinite where one of the cells has no point that matters.
    reach
        Largest radius of a point that matters in each cell, shape (c,).
    is_tight
        Whether a bound comes from projections, shape (c, c).
    """

    apart: NDArray[np.float32]
    reach: NDArray[np.float64]
    is_tight: NDArray[np.bool_]


def triangle_gaps(index: CellIndex, reach: NDArray[np.float64]) -> CellGaps:
    """Begin with what the triangle inequality says. Memory: 5 c^2 bytes.

    `reach` is the largest radius of the points that matter in each cell, -1 where none does.
    """
    apart = np.empty(index.separation.shape, dtype=np.float32)
    is_empty = reach < 0
    for cell in range(len(apart)):
        gap = index.separation[cell] - reach[cell] - reach - index.rounding
        apart[cell] = np.where(is_empty, np.inf, np.maximum(gap, 0.0) * _ROUNDED_DOWN)
    apart[is_empty] = np.inf
    np.fill_diagonal(apart, np.where(is_empty, np.inf, 0.0))
    return CellGaps(apart, reach, np.eye(len(apart), dtype=np.bool_))


@inner
def tighten(index: CellIndex, gaps: CellGaps, cell: int, other: int, scratch: Scratch) -> None:
    """Raise the bound of a pair to the gap between the two cells along the line of their centres."""
    apart = index.separation[cell, other]
    gaps.is_tight[cell, other] = gaps.is_tight[other, cell] = True
    if apart <= 0:
        return
    shift_between(index, cell, other, scratch.shift)
    forward = _reach_along(index, cell, gaps.reach[cell], scratch, -1.0 / apart)
    back = _reach_along(index, other, gaps.reach[other], scratch, 1.0 / apart)
    reach = index.reach[cell] + index.reach[other]
    error = (len(scratch.shift) + 8) * F32_ROUNDING * (reach + apart) + 4 * index.rounding
    gap = (apart - forward - back - error) * _ROUNDED_DOWN
    gaps.apart[cell, other] = gaps.apart[other, cell] = max(gap, gaps.apart[cell, other])


@screening_kernel
def _reach_along(index: CellIndex, cell: int, reach: float, scratch: Scratch, factor: float) -> float:
    """Give how far the points of a cell that matter reach from its centre along the shift in the scratch."""
    direction, sums = scratch.shift, scratch.sums
    farthest = np.float32(0.0)
    for number in range(index.first_block[cell], index.first_block[cell + 1]):
        if index.block_low[number] > reach:
            break
        block = index.blocks[number]
        sums[:] = np.float32(0.0)
        for axis in range(len(direction)):
            row, weight = block[axis], direction[axis] * np.float32(factor)
            for lane in range(LANES):
                sums[lane] += row[lane] * weight
        for lane in range(LANES):
            farthest = max(farthest, sums[lane])
    return float(farthest)
