"""The groundwork: all that can be said of someone before labels are asked, from one look at the features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from membergate.learning.features import FeatureTable
from membergate.learning.model.clusters import Placement, RegionClustering, RegionRows, TypedClusters
from membergate.learning.model.jury import Jury, disagreement
from membergate.learning.model.labelling import Labelling
from membergate.learning.model.parts import Parts
from membergate.learning.model.prior import EconomicPrior
from membergate.learning.model.space import ContextSpace

MIX = (0.6, 0.2, 0.2)
"""Shares of economics, of the cluster's economics, and of oddness in the score that needs no label."""
_NEVER_CERTAIN = 1e-4


@dataclass(frozen=True)
class Sight:
    """One look at n rows.

    Parameters
    ----------
    deviations
        Shape (n, f): the rows in the context space.
    prior
        Shape (n,): rank by resale economics, in (0, 1).
    placement
        The rows' clusters.
    disagreement
        Shape (n,): spread between economics and the outlier detectors, in [0, 1]; NaN without a jury.
    unlabelled_rank
        Shape (n,): rank by the score that needs no label, in (0, 1).
    """

    deviations: NDArray[np.float64]
    prior: NDArray[np.float64]
    placement: Placement
    disagreement: NDArray[np.float64]
    unlabelled_rank: NDArray[np.float64]


@dataclass(frozen=True)
class Groundwork:
    """Space, prior, clusters and jury, fitted together.

    Parameters
    ----------
    space, prior, clusters, jury
        The parts; the jury is None where there were too few rows for one.
    ranks
        Shape (m,): sorted unlabelled scores of the training rows, the yardstick of `Sight.unlabelled_rank`.
    """

    space: ContextSpace
    prior: EconomicPrior
    clusters: TypedClusters
    jury: Jury | None
    ranks: NDArray[np.float64]

    @classmethod
    def fit(cls, table: FeatureTable, labels: Labelling, rng: np.random.Generator, parts: Parts) -> Self:
        """Fit all parts to a training table; labels only type the clusters that were found without them.

        Parameters
        ----------
        table
            Features of n past applications.
        labels
            What is known of them; may be nothing.
        rng
            Draws samples of what is too large.
        parts
            Which of them are in use.
        """
        space = ContextSpace.fit(table, by_peers=parts.context)
        deviations = space.transform(table)
        prior = EconomicPrior.fit(table.features, deviations)
        rank = prior.score(deviations)
        rows = RegionRows(deviations, rank, labels, table.context["look_alike"])
        clusters = TypedClusters.fit(rows, rng) if parts.clusters else TypedClusters.none()
        jury = Jury.fit(deviations, table.features, rng) if parts.jury else None
        opinions = _opinions(jury, deviations)
        return cls(space, prior, clusters, jury, np.sort(_mixed(rank, clusters.place(deviations, rank), opinions)))

    def reclustered(
        self, table: FeatureTable, labels: Labelling, rng: np.random.Generator, clustering: RegionClustering
    ) -> Self:
        """Cluster the training table another way, all else alike: to see what depends on how it was done.

        Parameters
        ----------
        table, labels, rng
            As in `fit`.
        clustering
            How regions are clustered instead.
        """
        deviations = self.space.transform(table)
        rank = self.prior.score(deviations)
        clusters = TypedClusters.fit(RegionRows(deviations, rank, labels, table.context["look_alike"]), rng, clustering)
        mixed = _mixed(rank, clusters.place(deviations, rank), _opinions(self.jury, deviations))
        return replace(self, clusters=clusters, ranks=np.sort(mixed))

    def see(self, table: FeatureTable) -> Sight:
        """Look at the rows of a feature table; what is seen of a row does not depend on the others."""
        deviations = self.space.transform(table)
        rank = self.prior.score(deviations)
        placement = self.clusters.place(deviations, rank)
        opinions = _opinions(self.jury, deviations)
        spread = disagreement(np.vstack([rank, opinions])) if len(opinions) else np.full(rank.size, np.nan)
        below = np.searchsorted(self.ranks, _mixed(rank, placement, opinions)) / (self.ranks.size + 1.0)
        return Sight(deviations, rank, placement, spread, np.clip(below, _NEVER_CERTAIN, 1 - _NEVER_CERTAIN))


def _opinions(jury: Jury | None, deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hear the jury, shape (jurors, n); nobody where there is none."""
    return np.zeros((0, len(deviations))) if jury is None else jury.hear(deviations)


def _mixed(rank: NDArray[np.float64], placement: Placement, opinions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mix economics, the economics of one's cluster, and oddness; what is missing leaves its share to economics."""
    economics, company, oddness = MIX
    neighbours = np.where(np.isfinite(placement.prior_mean), placement.prior_mean, rank)
    odd = sum(opinions) / len(opinions) if len(opinions) else rank
    # Oddness alone is no guilt: it only sharpens what economics already suspects.
    return np.asarray(economics * rank + company * neighbours + oddness * odd * rank, dtype=np.float64)
