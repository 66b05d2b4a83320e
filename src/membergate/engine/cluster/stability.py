"""Stability selection: which parameters find the same clusters again in other halves of the rows.

Ben-Hur, Elisseeff and Guyon, PSB 2002; Lange, Roth, Braun and Buhmann, Neural
Computation 2004. Every subsample is a weighting of one graph, in which rows kept
weigh 1 / share and the others nothing: density is kept, and no neighbour is
searched for twice. Cost: `n_resamples` + 1 fits a setting. Fails by itself to
tell apart what is stable because it is trivial: settings that put all rows
into one group are not chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from membergate.engine.checking import checked_candidates, checked_integer, checked_number
from membergate.engine.cluster.dbscan import DBSCAN
from membergate.engine.errors import InvalidInputError
from membergate.engine.graph.neighbours import NeighbourGraph


class StableTrial(NamedTuple):
    """One setting: what DBSCAN found with it, and how well subsamples agree with that.

    `stability` is the mean adjusted Rand index over the rows that a subsample kept, `standard_error` its error.
    """

    eps: float
    min_samples: int
    n_clusters: int
    noise_share: float
    stability: float
    standard_error: float


class StableSelection(NamedTuple):
    """The setting that was chosen, and all that were tried."""

    chosen: StableTrial
    trials: tuple[StableTrial, ...]


def stability_selection(
    graph: NeighbourGraph,
    eps: Sequence[float],
    min_samples: Sequence[int],
    *,
    n_resamples: int = 10,
    share: float = 0.5,
    seed: int = 0,
) -> StableSelection:
    """Choose the radius and the density at which DBSCAN finds the same clusters in subsamples.

    Parameters
    ----------
    graph
        A graph of the rows.
    eps, min_samples
        Candidates; every pair is tried.
    n_resamples
        Subsamples, >= 2, the same for every pair.
    share
        Share of the rows in a subsample, in (0, 1].
    seed
        Of the subsamples, >= 0.

    Returns
    -------
    StableSelection
        Chosen is, of the settings within one standard error of the most stable, the one with the least noise.

    Raises
    ------
    InvalidInputError
        For parameters that cannot be worked with, or where no setting parts the rows into two groups.
    """
    NeighbourGraph.checked(graph)
    checked_integer("n_resamples", n_resamples, 2)
    checked_number("share", share, 0.0, up_to=1.0)
    generator = np.random.default_rng(checked_integer("seed", seed, 0))
    n_kept = max(1, round(share * graph.n_rows))
    kept = [generator.choice(graph.n_rows, n_kept, replace=False) for _ in range(n_resamples)]
    radii = checked_candidates("eps", eps, lambda name, radius: checked_number(name, radius, 0.0))
    needed = checked_candidates("min_samples", min_samples, lambda name, each: checked_integer(name, each, 1))
    trials = tuple(_trial(graph, radius, each, kept) for radius, each in product(radii, needed))
    usable = [trial for trial in trials if trial.n_clusters + (trial.noise_share > 0) > 1 and trial.n_clusters > 0]
    if not usable:
        got = f"{len(trials)} settings, none of which parts the rows into two groups"
        raise InvalidInputError("eps", got=got, allowed="radii round the elbow: see k_distance_elbow")
    best = max(usable, key=lambda trial: trial.stability)
    near = [trial for trial in usable if trial.stability >= best.stability - best.standard_error]
    return StableSelection(min(near, key=lambda trial: (trial.noise_share, -trial.stability)), trials)


def _trial(graph: NeighbourGraph, eps: float, needed: int, kept: Sequence[np.ndarray]) -> StableTrial:
    from sklearn.metrics import adjusted_rand_score  # noqa: PLC0415 -- it loads scikit-learn

    labels = DBSCAN(eps, needed).fit_graph(graph).labels_
    found = []
    for rows in kept:
        weights = np.zeros(graph.n_rows)
        weights[rows] = graph.n_rows / len(rows)
        again = DBSCAN(eps, needed).fit_graph(graph, sample_weight=weights).labels_
        found.append(adjusted_rand_score(labels[rows], again[rows]))
    error = float(np.std(found, ddof=1) / len(found) ** 0.5)
    clusters, noise = int(labels.max(initial=-1)) + 1, float((labels < 0).mean())
    return StableTrial(float(eps), int(needed), clusters, noise, float(np.mean(found)), error)
