"""Density clusters, typed by evidence and never by being dense; noise is not guilt.

The suspicious region (high prior) and the rest are clustered apart: in one space of everybody, ordinary shoppers are
the only density there is. A cluster's type is what evidence says of its members: known merchants, known genuine, or,
where nothing is known against them, the look-alike that most of them are by the guards; else it has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin, clone

from membergate.engine import DBSCAN, KDistance
from membergate.engine.validity.resampling import cluster_stability
from membergate.learning.model.labelling import Labelling

SUSPICIOUS_FROM = 0.7
"""Prior rank from which a row belongs to the suspicious region."""
MIN_SAMPLES = 10
FEWEST_ROWS = 5 * MIN_SAMPLES
"""Rows below which a region is not clustered."""
LARGEST_SAMPLE = 10_000
"""Rows of a region that are clustered at most; the others are assigned like newcomers."""
SMALLEST_EPS = 1e-6
"""Reach where a region's rows all coincide; deviations are kept to nine digits."""
PRIOR_ACCOUNTS = 10.0
"""A cluster's merchant share is shrunk towards the base rate by this many labelled accounts."""


MERCHANTS_FROM = 0.5
"""Shrunken merchant share from which a cluster is one of merchants."""
LOOK_ALIKE_FROM = 0.5
"""Share of members under one guard from which a cluster is that look-alike's."""
STABILITY_RESAMPLES = 10
"""Subsamples of four fifths in which a cluster must come back."""
MERCHANTS, GENUINE, UNTYPED = "merchants", "genuine", "untyped"


@dataclass(frozen=True)
class Region:
    """The clusters of one region with what evidence says about each; arrays have shape (clusters,) unless said.

    Parameters
    ----------
    clusterer
        Fitted; None where the region was too small to cluster.
    sizes, labelled
        Training rows in each cluster, and those of them with a label that trains.
    merchant_shares
        Shrunken share of merchants among labelled members, in [0, 1]; NaN where no member was labelled.
    prior_means
        Mean prior of the members, in [0, 1].
    look_alikes, look_alike_shares
        The guard that most members satisfy, empty for none, and their share.
    types
        `merchants`, `genuine`, `untyped`, or a look-alike's name.
    stability
        Mean best Jaccard overlap with the clusters of subsamples, in [0, 1].
    centres
        Shape (clusters, f): mean deviations of the members.
    """

    clusterer: DBSCAN | None
    sizes: NDArray[np.int64]
    labelled: NDArray[np.int64]
    merchant_shares: NDArray[np.float64]
    prior_means: NDArray[np.float64]
    look_alikes: NDArray[np.str_]
    look_alike_shares: NDArray[np.float64]
    types: NDArray[np.str_]
    stability: NDArray[np.float64]
    centres: NDArray[np.float64]

    @classmethod
    def fit(cls, rows: RegionRows, base: float, rng: np.random.Generator, clustering: RegionClustering) -> Self:
        """Cluster the rows of one region, and type what was found against everybody's merchant share."""
        clusterer, stability = _cluster(rows.deviations, rng, clustering)
        member = _assign(clusterer, rows.deviations)
        count = len(stability)
        inside = member >= 0
        sizes = np.bincount(member[inside], minlength=count)
        known = inside & (rows.labels.training_weight > 0)
        labelled = np.bincount(member[known], minlength=count)
        shares = _merchant_shares(member, count, rows.labels, base)
        names, of_them = _look_alikes(member, count, rows.look_alike)
        total = np.zeros((count, rows.deviations.shape[1]))
        np.add.at(total, member[inside], rows.deviations[inside])
        priors = np.bincount(member[inside], weights=rows.prior[inside], minlength=count)
        most = np.maximum(sizes, 1)
        return cls(
            clusterer, sizes, labelled, shares, priors / most, names, of_them / most,
            _types(shares, names, of_them / most, base), stability,
            total / most[:, None],
        )  # fmt: skip

    @classmethod
    def none(cls) -> Self:
        """Give a region without clusters."""
        nobody, nothing, names = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype="<U1")
        return cls(None, nobody, nobody, nothing, nothing, names, nothing, names, nothing, np.zeros((0, 0)))


@dataclass(frozen=True)
class RegionRows:
    """What is known of the rows of one region, n of them.

    Parameters
    ----------
    deviations
        Shape (n, f): rows in the context space.
    prior
        Shape (n,): prior rank in (0, 1).
    labels
        Labels of the rows; may hold none.
    look_alike
        Shape (n,): the guard that each satisfies, empty for none.
    """

    deviations: NDArray[np.float64]
    prior: NDArray[np.float64]
    labels: Labelling
    look_alike: NDArray[np.str_]

    def take(self, rows: NDArray[np.bool_]) -> RegionRows:
        """Select rows."""
        return RegionRows(self.deviations[rows], self.prior[rows], self.labels.take(rows), self.look_alike[rows])


@dataclass(frozen=True)
class TypedClusters:
    """Clusters of both regions.

    Parameters
    ----------
    suspicious, rest
        The regions of high prior, and of everyone else.
    """

    suspicious: Region
    rest: Region

    @classmethod
    def fit(cls, rows: RegionRows, rng: np.random.Generator, clustering: RegionClustering | None = None) -> Self:
        """Cluster both regions and type what was found; `rng` draws the sample of a region that is too large."""
        clustering = clustering or RegionClustering()
        base = base_rate(rows.labels)
        is_suspicious = rows.prior >= SUSPICIOUS_FROM
        first = Region.fit(rows.take(is_suspicious), base, rng, clustering)
        return cls(first, Region.fit(rows.take(~is_suspicious), base, rng, clustering))

    @classmethod
    def none(cls) -> Self:
        """Give clusters of nobody."""
        return cls(Region.none(), Region.none())

    def place(self, deviations: NDArray[np.float64], prior: NDArray[np.float64]) -> Placement:
        """Find each row's cluster: the nearest core within reach, else none. Never makes or merges clusters."""
        rows = deviations.shape[0]
        ids = np.full(rows, "", dtype="<U16")
        types = np.full(rows, "", dtype="<U32")
        share = np.full(rows, np.nan)
        mean = np.full(rows, np.nan)
        is_suspicious = prior >= SUSPICIOUS_FROM
        for letter, region, in_region in (("s", self.suspicious, is_suspicious), ("r", self.rest, ~is_suspicious)):
            where = np.flatnonzero(in_region)
            member = _assign(region.clusterer, deviations[where])
            found = member >= 0
            ids[where[found]] = [f"{letter}{cluster}" for cluster in member[found]]
            types[where[found]] = region.types[member[found]]
            share[where[found]] = region.merchant_shares[member[found]]
            mean[where[found]] = region.prior_means[member[found]]
        return Placement(ids, types, share, mean)

    def find(self, cluster_id: str) -> tuple[Region, int]:
        """Give the region of a cluster that `place` named, and its number there."""
        return (self.suspicious if cluster_id.startswith("s") else self.rest), int(cluster_id[1:])


@dataclass(frozen=True)
class Placement:
    """Where rows lie, shapes (n,): 's…' in the suspicious region, 'r…' in the rest, '' noise; NaN is not known."""

    cluster_ids: NDArray[np.str_]
    types: NDArray[np.str_]
    merchant_share: NDArray[np.float64]
    prior_mean: NDArray[np.float64]


def elbow(ascending: NDArray[np.float64]) -> float:
    """Give the value of a sorted curve that lies farthest below the chord from its first to its last point."""
    if ascending.size < 3 or ascending[-1] <= ascending[0]:  # noqa: PLR2004 - a chord needs something between its ends
        return float(ascending[-1])
    x = np.linspace(0.0, 1.0, ascending.size)
    y = (ascending - ascending[0]) / (ascending[-1] - ascending[0])
    return float(ascending[int(np.argmax(x - y))])


class RegionClustering(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """How a region is clustered: DBSCAN, its reach at the elbow of the distances to the tenth neighbour.

    Newcomers of whom nothing is known yet all lie at one point; they say nothing of how far a neighbourhood reaches, so
    the elbow is sought among the others, where there are enough of them.

    Parameters
    ----------
    reach
        Multiplies the reach found, > 0; other than 1 to see what depends on it.
    min_samples
        Rows that make a row dense, itself among them, >= 2.
    """

    def __init__(self, reach: float = 1.0, min_samples: int = MIN_SAMPLES) -> None:
        self.reach = reach
        self.min_samples = min_samples

    def fit(self, X: NDArray[np.float64], y: object = None) -> Self:  # noqa: ARG002 -- scikit-learn passes it
        """Cluster rows.

        Parameters
        ----------
        X
            Rows in the context space, shape (n, f), n >= 11.
        y
            Ignored.
        """
        distances = -KDistance(n_neighbors=self.min_samples).fit(X).score_samples(X)
        apart = distances[distances > SMALLEST_EPS]
        curve = np.sort(apart if len(apart) >= FEWEST_ROWS else distances)
        eps = max(self.reach * elbow(curve), SMALLEST_EPS)
        self.clusterer_ = DBSCAN(eps=eps, min_samples=self.min_samples).fit(X)
        self.labels_ = self.clusterer_.labels_
        return self


def _cluster(
    rows: NDArray[np.float64], rng: np.random.Generator, clustering: RegionClustering
) -> tuple[DBSCAN | None, NDArray[np.float64]]:
    """Cluster rows, and say of each cluster how well it comes back in subsamples."""
    if rows.shape[0] < FEWEST_ROWS:
        return None, np.zeros(0)
    if rows.shape[0] > LARGEST_SAMPLE:
        rows = rows[np.sort(rng.choice(rows.shape[0], LARGEST_SAMPLE, replace=False))]
    seed = int(rng.integers(2**31))
    stability = cluster_stability(clustering, rows, n_resamples=STABILITY_RESAMPLES, seed=seed)
    return clone(clustering).fit(rows).clusterer_, stability


def _assign(clusterer: DBSCAN | None, rows: NDArray[np.float64]) -> NDArray[np.int64]:
    if clusterer is None or rows.shape[0] == 0:
        return np.full(rows.shape[0], -1, dtype=np.int64)
    return np.asarray(clusterer.predict(rows), dtype=np.int64)


def _merchant_shares(member: NDArray[np.int64], count: int, labels: Labelling, base: float) -> NDArray[np.float64]:
    labelled = labels.is_labelled & (member >= 0)
    weight = labels.training_weight[labelled]
    seen = np.bincount(member[labelled], weights=weight, minlength=count)
    merchants = np.bincount(member[labelled], weights=weight * labels.is_merchant[labelled], minlength=count)
    return np.where(seen > 0, (merchants + PRIOR_ACCOUNTS * base) / (seen + PRIOR_ACCOUNTS), np.nan)


def _look_alikes(
    member: NDArray[np.int64], count: int, look_alike: NDArray[np.str_]
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Find each cluster's most frequent guard and how many members satisfy it; ties go to the first in the alphabet."""
    names = np.array(sorted({*look_alike.tolist()} - {""}), dtype=np.str_)
    if not names.size:
        return np.full(count, "", dtype="<U1"), np.zeros(count, dtype=np.int64)
    of_them = np.stack([np.bincount(member[(member >= 0) & (look_alike == name)], minlength=count) for name in names])
    most = of_them.max(axis=0)
    return np.where(most > 0, names[of_them.argmax(axis=0)], ""), most


def _types(
    shares: NDArray[np.float64], look_alikes: NDArray[np.str_], of_them: NDArray[np.float64], base: float
) -> NDArray[np.str_]:
    """Name what evidence says: labels first, then guards. Density says nothing."""
    is_clean = ~(shares > base)
    named = np.where(is_clean & (of_them >= LOOK_ALIKE_FROM), look_alikes, UNTYPED)
    cleared = np.where((shares <= base / 2) & (named == UNTYPED), GENUINE, named)
    return np.where(shares >= MERCHANTS_FROM, MERCHANTS, cleared)


def base_rate(labels: Labelling) -> float:
    """Estimate the merchant share: from the probability sample where there is one, else from all labels, else 0."""
    weight = labels.sampling_weight
    if not weight.any():
        weight = labels.training_weight
    total = float(weight.sum())
    return float(np.nansum(weight * labels.is_merchant)) / total if total > 0 else 0.0
