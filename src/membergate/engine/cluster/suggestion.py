"""Which parameters: the elbow with an interval, a sweep over one graph, and what stays stable."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from membergate.engine.checking import checked_candidates, checked_integer, checked_number
from membergate.engine.cluster.dbscan import DBSCAN
from membergate.engine.errors import InvalidInputError
from membergate.engine.graph.elbow import elbow
from membergate.engine.graph.neighbours import NeighbourGraph


class Elbow(NamedTuple):
    """Where the sorted k-distances bend: the distance, and a 90 % bootstrap interval."""

    eps: float
    low: float
    high: float


class Trial(NamedTuple):
    """One setting of a sweep, and what DBSCAN found with it.

    `stability` is the mean adjusted Rand index to the neighbouring settings of eps.
    """

    eps: float
    min_samples: int
    n_clusters: int
    noise_share: float
    stability: float


class Suggestion(NamedTuple):
    """Parameters, and the evidence for them."""

    eps: float
    min_samples: int
    min_cluster_size: int
    elbow: Elbow
    trials: tuple[Trial, ...]


def k_distance_elbow(graph: NeighbourGraph, min_samples: int, *, n_resamples: int = 200, seed: int = 0) -> Elbow:
    """Find the elbow of the distances to the (min_samples - 1)-th neighbour.

    Parameters
    ----------
    graph
        A graph that lists at least `min_samples` - 1 neighbours.
    min_samples
        Points, itself counted, that make a point dense.
    n_resamples
        Bootstrap resamples of the points; the distances themselves are not measured anew.
    seed
        Of the resampling.

    Returns
    -------
    Elbow

    Raises
    ------
    InvalidInputError
        Where the graph lists too few neighbours.
    """
    needed, most = checked_integer("min_samples", min_samples, 2), NeighbourGraph.checked(graph).distances.shape[1] + 1
    distances = graph.weighted_distance(needed)
    distances = distances[np.isfinite(distances)]
    if not len(distances):
        raise InvalidInputError(
            "min_samples", got=needed, allowed=f"2 to {most}: the graph lists {most - 1} neighbours"
        )
    generator = np.random.default_rng(checked_integer("seed", seed, 0))
    size = min(len(distances), 3000)
    n_found = checked_integer("n_resamples", n_resamples, 1)
    found = [elbow(generator.choice(distances, size)) for _ in range(n_found)]
    low, high = np.quantile(found, [0.05, 0.95])
    return Elbow(elbow(distances), float(low), float(high))


def sweep(graph: NeighbourGraph, eps: Sequence[float], min_samples: Sequence[int]) -> tuple[Trial, ...]:
    """Run DBSCAN over a grid on one graph; settings are sorted, and stability compares neighbours in eps.

    Parameters
    ----------
    graph
        A graph of the rows.
    eps, min_samples
        Candidates, at least one of each; every pair is tried.

    Returns
    -------
    tuple of Trial
        By min_samples, then by eps.

    Raises
    ------
    InvalidInputError
        For a candidate that DBSCAN refuses, or none.
    """
    from sklearn.metrics import adjusted_rand_score  # noqa: PLC0415 -- it loads scikit-learn

    trials = []
    radii = checked_candidates("eps", eps, lambda name, radius: checked_number(name, radius, 0.0))
    for needed in checked_candidates("min_samples", min_samples, lambda name, each: checked_integer(name, each, 1)):
        labels = [DBSCAN(eps=radius, min_samples=needed).fit_graph(graph).labels_ for radius in radii]
        between = [adjusted_rand_score(a, b) for a, b in pairwise(labels)]
        for i, (radius, found) in enumerate(zip(radii, labels, strict=True)):
            near = between[max(0, i - 1) : i + 1]
            trials.append(
                Trial(
                    radius,
                    needed,
                    int(found.max()) + 1,
                    float((found < 0).mean()),
                    float(np.mean(near)) if near else 1.0,
                )
            )
    return tuple(trials)


def suggest(X: ArrayLike | NeighbourGraph, *, min_samples: int | None = None) -> Suggestion:
    """Suggest eps, min_samples and min_cluster_size, with the evidence for them.

    Parameters
    ----------
    X
        Rows, shape (n, d), or their graph.
    min_samples
        None takes twice the number of axes, from 5 to 32 (Sander et al., 1998, capped).

    Returns
    -------
    Suggestion
        eps is the most stable radius that finds a cluster, from 0.7 to 1.5 times the elbow.

    Raises
    ------
    InvalidInputError
        For rows that cannot be worked with, or are all equal.
    """
    graph = X if isinstance(X, NeighbourGraph) else NeighbourGraph(X)
    if graph.points.n_points == 1:
        raise InvalidInputError("X", got="rows that are all equal", allowed="at least two different rows")
    most = graph.distances.shape[1] + 1
    needed = min_samples if min_samples is not None else max(2, min(32, max(5, 2 * graph.n_features), most))
    bend = k_distance_elbow(graph, needed)
    radii = [max(bend.eps, np.finfo(np.float64).tiny) * factor for factor in (0.7, 0.85, 1.0, 1.15, 1.3, 1.5)]
    trials = sweep(graph, radii, [needed])
    usable = [trial for trial in trials if trial.n_clusters > 0] or list(trials)
    best = max(usable, key=lambda trial: (round(trial.stability, 3), -abs(trial.eps - bend.eps)))
    size = max(needed, round(graph.n_rows**0.5 / 4), 2)
    return Suggestion(best.eps, needed, size, bend, trials)
