"""Density clusters, typed by evidence and never by being dense; noise is not guilt.

The suspicious region (high prior) and the rest are clustered apart: in one space of everybody, ordinary shoppers are
the only density there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin

from membergate.engine import DBSCAN, KDistance
from membergate.learning.model.labelling import Labelling

SUSPICIOUS_FROM = 0.7
"""Prior rank from which a row belongs to the suspicious region."""
MIN_SAMPLES = 10
FEWEST_ROWS = 5 * MIN_SAMPLES
"""Rows below which a region is not clustered."""
LARGEST_SAMPLE = 20_000
"""Rows of a region that are clustered at most; the others are assigned like newcomers."""
SMALLEST_EPS = 1e-6
"""Reach where a region's rows all coincide; deviations are kept to nine digits."""
PRIOR_ACCOUNTS = 10.0
"""A cluster's merchant share is shrunk towards the base rate by this many labelled accounts."""


@dataclass(frozen=True)
class TypedClusters:
    """Clusters of both regions with what evidence says about each.

    Parameters
    ----------
    regions
        The fitted clusterers: suspicious, other; None where a region was too small to cluster.
    sizes
        Per region, shape (clusters,): training rows in each cluster.
    merchant_shares
        Per region, shape (clusters,): shrunken share of merchants among labelled members, in [0, 1]; NaN where no
        member was labelled.
    prior_means
        Per region, shape (clusters,): mean prior of the members, in [0, 1].
    """

    regions: tuple[DBSCAN | None, DBSCAN | None]
    sizes: tuple[NDArray[np.int64], NDArray[np.int64]]
    merchant_shares: tuple[NDArray[np.float64], NDArray[np.float64]]
    prior_means: tuple[NDArray[np.float64], NDArray[np.float64]]

    @classmethod
    def fit(
        cls,
        deviations: NDArray[np.float64],
        prior: NDArray[np.float64],
        labels: Labelling,
        rng: np.random.Generator,
    ) -> Self:
        """Cluster both regions and type what was found.

        Parameters
        ----------
        deviations
            Shape (n, f): rows in the context space.
        prior
            Shape (n,): prior rank in (0, 1).
        labels
            Labels of the rows; may hold none.
        rng
            Draws the sample of a region that is too large.
        """
        regions: list[DBSCAN | None] = []
        sizes, shares, means = [], [], []
        for in_region in (prior >= SUSPICIOUS_FROM, prior < SUSPICIOUS_FROM):
            clusterer = _cluster(deviations[in_region], rng)
            member = _assign(clusterer, deviations[in_region])
            count = int(member.max(initial=-1)) + 1
            regions.append(clusterer)
            sizes.append(np.bincount(member[member >= 0], minlength=count))
            shares.append(_merchant_shares(member, count, labels.take(in_region), labels))
            totals = np.bincount(member[member >= 0], weights=prior[in_region][member >= 0], minlength=count)
            means.append(totals / np.maximum(sizes[-1], 1))
        return cls((regions[0], regions[1]), (sizes[0], sizes[1]), (shares[0], shares[1]), (means[0], means[1]))

    @classmethod
    def none(cls) -> Self:
        """Give clusters of nobody."""
        nobody, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        return cls((None, None), (nobody, nobody), (nothing, nothing), (nothing, nothing))

    def place(self, deviations: NDArray[np.float64], prior: NDArray[np.float64]) -> Placement:
        """Find each row's cluster: the nearest core within reach, else none. Never makes or merges clusters."""
        rows = deviations.shape[0]
        ids = np.full(rows, "", dtype="<U16")
        share = np.full(rows, np.nan)
        mean = np.full(rows, np.nan)
        for region, in_region in enumerate((prior >= SUSPICIOUS_FROM, prior < SUSPICIOUS_FROM)):
            where = np.flatnonzero(in_region)
            member = _assign(self.regions[region], deviations[where])
            found = member >= 0
            ids[where[found]] = [f"{'sr'[region]}{cluster}" for cluster in member[found]]
            share[where[found]] = self.merchant_shares[region][member[found]]
            mean[where[found]] = self.prior_means[region][member[found]]
        return Placement(ids, share, mean)


@dataclass(frozen=True)
class Placement:
    """Where rows lie, shapes (n,): 's…' in the suspicious region, 'r…' in the rest, '' noise; NaN is not known."""

    cluster_ids: NDArray[np.str_]
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
    """How a region is clustered: DBSCAN, its reach at the elbow of the distances to the tenth neighbour."""

    def fit(self, X: NDArray[np.float64], y: object = None) -> Self:  # noqa: ARG002 -- scikit-learn passes it
        """Cluster rows.

        Parameters
        ----------
        X
            Rows in the context space, shape (n, f), n >= 11.
        y
            Ignored.
        """
        distances = -KDistance(n_neighbors=MIN_SAMPLES).fit(X).score_samples(X)
        eps = max(elbow(np.sort(distances)), SMALLEST_EPS)
        self.clusterer_ = DBSCAN(eps=eps, min_samples=MIN_SAMPLES).fit(X)
        self.labels_ = self.clusterer_.labels_
        return self


def _cluster(rows: NDArray[np.float64], rng: np.random.Generator) -> DBSCAN | None:
    if rows.shape[0] < FEWEST_ROWS:
        return None
    if rows.shape[0] > LARGEST_SAMPLE:
        rows = rows[np.sort(rng.choice(rows.shape[0], LARGEST_SAMPLE, replace=False))]
    return RegionClustering().fit(rows).clusterer_


def _assign(clusterer: DBSCAN | None, rows: NDArray[np.float64]) -> NDArray[np.int64]:
    if clusterer is None or rows.shape[0] == 0:
        return np.full(rows.shape[0], -1, dtype=np.int64)
    return np.asarray(clusterer.predict(rows), dtype=np.int64)


def _merchant_shares(
    member: NDArray[np.int64], count: int, labels: Labelling, everyone: Labelling
) -> NDArray[np.float64]:
    labelled = labels.is_labelled & (member >= 0)
    weight = labels.training_weight[labelled]
    seen = np.bincount(member[labelled], weights=weight, minlength=count)
    merchants = np.bincount(member[labelled], weights=weight * labels.is_merchant[labelled], minlength=count)
    base = base_rate(everyone)
    return np.where(seen > 0, (merchants + PRIOR_ACCOUNTS * base) / (seen + PRIOR_ACCOUNTS), np.nan)


def base_rate(labels: Labelling) -> float:
    """Estimate the merchant share: from the probability sample where there is one, else from all labels, else 0."""
    weight = labels.sampling_weight
    if not weight.any():
        weight = labels.training_weight
    total = float(weight.sum())
    return float(np.nansum(weight * labels.is_merchant)) / total if total > 0 else 0.0
