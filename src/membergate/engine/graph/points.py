"""Indexed points: rows checked, equal rows taken together, and put into cells. What every search stands on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from membergate.engine.checking import Table, refuse_overflow
from membergate.engine.graph.cells import FINE, CellIndex, as_tiles, build_cells, norms_of
from membergate.engine.graph.distinct import distinct_points
from membergate.engine.graph.listing import list_neighbours, search_neighbours
from membergate.engine.graph.reach import nearest_allowed
from membergate.engine.graph.threads import Progress, over_ranges

_DERIVED = {"tiles", "norms"}
"""Arrays of the index that are made again and not kept."""
_OWN = ("place_of_row", "row_of_place", "counts")

Lists = tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.bool_]]
"""Distances and neighbours, shapes (u, k), infinity and -1 beyond the last; whether each list is proven, shape (u,)."""


class IndexedPoints:
    """Distinct points in a cell index, and which row is which point.

    A *place* is a point's position in the index.

    Attributes
    ----------
    index
        The cell index over the u distinct points.
    place_of_row, row_of_place
        Place of each row, shape (n,); first row of each point, shape (u,).
    counts
        Rows that are equal to each point, itself counted, or their weight, shape (u,).
    """

    def __init__(
        self,
        index: CellIndex,
        place_of_row: NDArray[np.int64],
        row_of_place: NDArray[np.int64],
        counts: NDArray[Any],
    ) -> None:
        self.index = index
        self.place_of_row = place_of_row
        self.row_of_place = row_of_place
        self.counts = counts

    @staticmethod
    def of(
        rows: Table, *, fineness: float = FINE, n_jobs: int | None = None, progress: Progress | None = None
    ) -> IndexedPoints:
        """Index finite rows, C-contiguous, of shape (n, d); see `build_cells`."""
        refuse_overflow(rows)
        distinct = distinct_points(rows)
        index = build_cells(rows, distinct.representatives, fineness=fineness, n_jobs=n_jobs, progress=progress)
        place_of_rank = np.empty(len(index.rank), dtype=np.int64)
        place_of_rank[index.rank] = np.arange(len(index.rank))
        return IndexedPoints(
            index,
            place_of_rank[distinct.point_of_row],
            distinct.representatives[index.rank],
            distinct.counts[index.rank],
        )

    @property
    def n_points(self) -> int:
        """Distinct points."""
        return len(self.index.rows)

    @property
    def n_cells(self) -> int:
        """Cells of the index."""
        return len(self.index.centres)

    def listed(
        self, n_neighbors: int, n_cells: int | None, *, n_jobs: int | None = None, progress: Progress | None = None
    ) -> Lists:
        """List the nearest other points of each point; exact when `n_cells` is None."""
        distances = np.full((self.n_points, n_neighbors), np.inf)
        neighbours = np.full((self.n_points, n_neighbors), -1, dtype=np.int32)
        lists = (distances, neighbours, np.zeros(self.n_points, dtype=np.bool_))
        self.list_again(lists, np.ones(self.n_points, dtype=np.bool_), n_cells, n_jobs=n_jobs, progress=progress)
        return lists

    def list_again(
        self,
        lists: Lists,
        wanted: NDArray[np.bool_],
        n_cells: int | None = None,
        *,
        n_jobs: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Improve the lists of the points that are wanted, in place; exact when `n_cells` is None.

        Nothing beyond the last distance that a point lists already is looked for.
        """
        distances, neighbours, is_proven = lists
        n_looked = self.n_cells if n_cells is None else n_cells

        def work(begin: int, end: int) -> None:
            list_neighbours(self.index, begin, end, wanted, n_looked, distances, neighbours, is_proven)

        over_ranges(work, self.n_cells, n_jobs=n_jobs, progress=progress, phase="neighbours")
        unsure = np.flatnonzero(wanted & ~is_proven) if n_cells is None else np.empty(0, dtype=np.int64)
        if len(unsure):
            width = distances.shape[1]
            distances[unsure], neighbours[unsure] = self.neighbours_of(self.index.rows[unsure], width, unsure)
            is_proven[unsure] = True

    def neighbours_of(
        self, rows: NDArray[np.float64], n_neighbors: int, itself: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """List the nearest points of any rows, exactly; a row's answer does not depend on its batch."""
        distances = np.empty((len(rows), n_neighbors))
        neighbours = np.empty((len(rows), n_neighbors), dtype=np.int32)
        itself = np.full(len(rows), -1, dtype=np.int64) if itself is None else itself
        search_neighbours(self.index, rows, itself, distances, neighbours)
        return distances, neighbours

    def nearest_of(
        self,
        rows: NDArray[np.float64],
        keys: NDArray[np.int64],
        cell_keys: NDArray[np.int64],
        limits: NDArray[np.int64] | int = 1,
        *,
        reach: NDArray[np.float64] | None = None,
        within: float = np.inf,
        itself: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Find for any rows the nearest point whose key is below the limit; -1 where none is within.

        `cell_keys` are `smallest_in_cells(keys)`. Where one limit serves all rows, `reach` may be what
        `reach_of` gives for the points below it: then more cells are passed over.
        """
        distances = np.full(len(rows), float(within))
        nearest = np.full(len(rows), -1, dtype=np.int64)
        itself = nearest.copy() if itself is None else itself
        bounds = np.full(len(rows), limits, dtype=np.int64)
        reach = self.index.reach if reach is None else reach
        nearest_allowed(self.index, rows, itself, keys, cell_keys, reach, bounds, distances, nearest)
        return distances, nearest

    def smallest_in_cells(self, keys: NDArray[Any]) -> NDArray[Any]:
        """Give the smallest of the points' keys in each cell."""
        return np.minimum.reduceat(keys, self.index.first[:-1])

    def weighted(self, weights: NDArray[np.float64]) -> IndexedPoints:
        """Give the same points, a row of weight w standing for w equal rows; weights have shape (n,)."""
        summed = np.bincount(self.place_of_row, weights, minlength=self.n_points)
        return IndexedPoints(self.index, self.place_of_row, self.row_of_place, summed)

    def reach_of(self, is_member: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Give the largest radius of a member in each cell, -1 where there is none."""
        return np.maximum.reduceat(np.where(is_member, self.index.radius, -1.0), self.index.first[:-1])

    def first_rows(self, groups: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give groups of points (-1: none) numbers in the order of their first rows, as scikit-learn does."""
        known = np.flatnonzero(groups >= 0)
        labels = np.full(len(groups), -1, dtype=np.int64)
        if len(known):
            in_row_order = known[np.argsort(self.row_of_place[known], kind="stable")]
            _, begins, members = np.unique(groups[in_row_order], return_index=True, return_inverse=True)
            labels[in_row_order] = np.argsort(np.argsort(begins))[members]
        return labels

    @staticmethod
    def kept_names() -> tuple[str, ...]:
        """Give the names of the arrays that `to_arrays` gives."""
        return tuple(f"index.{name}" for name in CellIndex._fields if name not in _DERIVED) + _OWN

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Give every array of the index under its name."""
        index = {name: value for name, value in self.index._asdict().items() if name not in _DERIVED}
        arrays = {f"index.{name}": np.asarray(value) for name, value in index.items()}
        return arrays | {name: getattr(self, name) for name in _OWN}

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> IndexedPoints:
        """Rebuild what `to_arrays` gave."""
        numbers = ("scale", "rounding", "widest")
        parts: dict[str, Any] = {
            name: float(arrays[f"index.{name}"]) if name in numbers else np.ascontiguousarray(arrays[f"index.{name}"])
            for name in CellIndex._fields
            if name not in _DERIVED
        }
        parts["tiles"] = as_tiles(parts["centres"])
        parts["norms"] = norms_of(parts["blocks"], parts["first"], parts["first_block"])
        index = CellIndex(**parts)
        return IndexedPoints(index, arrays["place_of_row"], arrays["row_of_place"], arrays["counts"])
