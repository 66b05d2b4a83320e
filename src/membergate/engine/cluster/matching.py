"""Clusters keep their names from one fit to the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from membergate.engine.checking import checked_labels, checked_number


def match_clusters(old_labels: ArrayLike, new_labels: ArrayLike, *, least_overlap: float = 0.1) -> dict[int, int]:
    """Map the clusters of a new fit to those of an old one, over rows that both have.

    Parameters
    ----------
    old_labels, new_labels
        Labels of the same rows, shape (n,); -1 is noise and is never matched.
    least_overlap
        Jaccard overlap below which a pair is not matched.

    Returns
    -------
    dict of int to int
        For each new cluster its old name, or, where nothing overlaps, a name that no old cluster had.

    Notes
    -----
    The assignment maximises the total Jaccard overlap (Kuhn, 1955).
    """
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 -- it loads forty megabytes

    least_overlap = 0.0 if least_overlap == 0 else checked_number("least_overlap", least_overlap, 0.0, up_to=1.0)
    old = checked_labels("old_labels", old_labels)
    new = checked_labels("new_labels", new_labels, len(old))
    old_names, new_names = (np.unique(labels[labels >= 0]) for labels in (old, new))
    overlap = overlaps(old, new)
    names = dict.fromkeys((int(name) for name in new_names), -1)
    if overlap.size:
        for i, j in zip(*linear_sum_assignment(-overlap), strict=True):
            if overlap[i, j] >= least_overlap:
                names[int(new_names[j])] = int(old_names[i])
    free = int(old_names.max(initial=-1)) + 1
    for name, kept in names.items():
        if kept < 0:
            names[name] = free
            free += 1
    return names


def overlaps(old: NDArray[np.int64], new: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the Jaccard overlap of every old with every new cluster, shape (old clusters, new clusters)."""
    old_names, new_names = (np.unique(labels[labels >= 0]) for labels in (old, new))
    both = (old >= 0) & (new >= 0)
    common = np.zeros((len(old_names), len(new_names)))
    np.add.at(common, (np.searchsorted(old_names, old[both]), np.searchsorted(new_names, new[both])), 1)
    old_sizes = np.array([(old == name).sum() for name in old_names])
    new_sizes = np.array([(new == name).sum() for name in new_names])
    return np.asarray(common / np.maximum(old_sizes[:, None] + new_sizes[None, :] - common, 1))
