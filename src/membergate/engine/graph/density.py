"""Density as the inverse of the mean distance to the nearest neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.graph.points import IndexedPoints


def mean_density(graph: NeighbourGraph, n_neighbors: int) -> NDArray[np.float64]:
    """Give 1 / (mean distance to the k nearest neighbours) of each point; equal rows count as neighbours at 0."""
    width = min(n_neighbors, graph.distances.shape[1])
    listed = np.where(np.isfinite(graph.distances[:, :width]), graph.distances[:, :width], 0.0)
    counts = graph.points.counts
    copies = np.minimum(counts - 1, n_neighbors)  # a weight of w is w rows: itself, and w - 1 at distance 0
    if (counts == 1).all():
        total, taken = listed.sum(axis=1), np.full(len(listed), width)
    else:
        weights = np.where(graph.neighbours[:, :width] >= 0, counts[graph.neighbours[:, :width]], 0)
        before = copies[:, None] + np.cumsum(weights, axis=1) - weights
        used = np.clip(n_neighbors - before, 0, weights)
        total, taken = (listed * used).sum(axis=1), copies + used.sum(axis=1)
    mean = total / np.maximum(taken, 1)
    return np.asarray(1.0 / np.maximum(mean, np.finfo(np.float64).tiny * 4))


def density_order(points: IndexedPoints, density: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give places from the densest on; ties by content."""
    return np.lexsort((points.index.rank, -density))
