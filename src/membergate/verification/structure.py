"""Do clusters belong to the data? A null without structure, stability over operators, agreement between algorithms.

No label is asked. The rows are applications that the model has not learned from, in the model's own space: a cluster
that was learned earlier is looked for among them, in clusterings of ever new subsamples of their operators.

References
----------
Moulavi et al. (2014), density-based clustering validation, SDM. Hennig (2007), cluster-wise assessment of cluster
stability, doi:10.1016/j.csda.2006.11.025: a mean Jaccard overlap of 0.75 is stable, below 0.5 a cluster is dissolved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from membergate.engine import OPTICS, KDistance
from membergate.engine.validity import NullTest, agreement, cluster_stability, density_validity, permuted_null

Floats = NDArray[np.float64]

STABLE, DISSOLVED = 0.75, 0.5
"""Mean Jaccard overlap from which a cluster is stable, and below which it is dissolved (Hennig)."""
RESAMPLES = 100
"""Subsamples in which clusters are looked for at most; fewer where they are clearly stable, uncertain or dissolved."""
TABLES, REACHING = 50, 10
"""Permuted tables at most; fewer once ten of them reach the statistic, which is then no finding whatever follows."""
MOST_ROWS = 1500
"""Rows of a region that are resampled at most: whole operators, drawn by chance."""
FEWEST_PLACED = 20
"""Rows below which a cluster is listed, and not judged."""
TIER_ENDS = (0.80, 0.95)
"""Quantiles that part the risk tiers: the lower four fifths, the next 15%, the highest 5%."""
CURVE_POINTS = 101
MOST_BARS = 240
"""Points of a curve of distances, and bars of a reachability plot, in the report."""
_NEIGHBOURS = 10
_DIGITS = 6


@dataclass(frozen=True)
class Region:
    """A part of the space that is clustered by itself.

    Parameters
    ----------
    name
        `suspicious` or `other`.
    rows
        Applications in the context space, shape (n, f).
    operator_ids
        Shape (n,).
    cluster_ids
        The model's cluster of each row, shape (n,); "" is noise.
    merchant_share
        What labels say of each row's cluster, shape (n,), in [0, 1]; NaN where nothing.
    reach
        The reach of a neighbourhood (eps) that the model chose when it learned; None where it found no clusters.
    """

    name: str
    rows: Floats
    operator_ids: NDArray[np.str_]
    cluster_ids: NDArray[np.str_]
    merchant_share: Floats
    reach: float | None = None

    def sampled(self, most: int, generator: np.random.Generator) -> Region:
        """Keep whole operators up to about so many rows."""
        if len(self.rows) <= most:
            return self
        operators, codes = np.unique(self.operator_ids, return_inverse=True)
        rank = generator.permutation(len(operators))[codes]
        kept = np.flatnonzero(rank < np.sort(rank)[most])
        return Region(
            self.name,
            self.rows[kept],
            self.operator_ids[kept],
            self.cluster_ids[kept],
            self.merchant_share[kept],
            self.reach,
        )


@dataclass(frozen=True, slots=True)
class Null:
    """A statistic against tables whose columns were permuted, each on its own.

    Parameters
    ----------
    name
        `density_validity` (DBCV of the clusters found; 0 for fewer than two) or `closeness` (how much nearer the tenth
        neighbour is, as a mean logarithm).
    value, null_mean, null_deviation
        On the rows, and on the permuted tables.
    z_score
        Null deviations between them; None where the null does not vary.
    p_value
        Chance of as large a statistic on permuted tables, in (0, 1].
    tables
        Permuted tables drawn.
    """

    name: str
    value: float
    null_mean: float
    null_deviation: float
    z_score: float | None
    p_value: float
    tables: int


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One cluster of the model among later applications.

    Parameters
    ----------
    cluster
        Its id in evidence: `s0`, `r1`.
    rows
        Applications of the sample that lie in it.
    jaccard
        Mean best overlap with the clusters of subsamples, in [0, 1].
    merchant_share
        What labels said of it when it was learned; None where nothing.
    verdict
        `stable`, `uncertain`, `dissolved` or `too few`.
    """

    cluster: str
    rows: int
    jaccard: float
    merchant_share: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class RegionStructure:
    """What was found in one region.

    Parameters
    ----------
    region, rows, operators
        Which region, and what was looked at.
    nulls, clusters
        Tests against permuted tables, and the stability of the model's clusters.
    reach
        The reach of a neighbourhood (eps) that the model chose when it learned; None where it found no clusters.
    distances
        Distance to the tenth neighbour at even shares of the rows, ascending.
    reachability
        OPTICS's reachability in its order, from even parts of it the largest; what nothing reaches is left out.
    """

    region: str
    rows: int
    operators: int
    nulls: tuple[Null, ...]
    clusters: tuple[ClusterRow, ...]
    reach: float | None = None
    distances: tuple[float, ...] = ()
    reachability: tuple[float, ...] = ()

    @property
    def placed(self) -> int:
        """Rows in a cluster that is judged."""
        return sum(row.rows for row in self.clusters if row.verdict != "too few")

    @property
    def dissolved(self) -> int:
        """Rows in a dissolved cluster."""
        return sum(row.rows for row in self.clusters if row.verdict == "dissolved")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two methods on the same rows: chance-corrected, 1 is equal and 0 is chance.

    Parameters
    ----------
    what
        `clusters` or `risk tiers`.
    one, other
        The methods.
    adjusted_rand, adjusted_mutual_information
        The two indices, at most 1.
    """

    what: str
    one: str
    other: str
    adjusted_rand: float
    adjusted_mutual_information: float


def measure_region(region: Region, clusterer: Any, *, seed: int) -> RegionStructure:
    """Measure nulls and stability of one region.

    Parameters
    ----------
    region
        Its rows; more than `MOST_ROWS` are sampled by operator.
    clusterer
        The model's own way of clustering, as an estimator that scikit-learn can clone.
    seed
        Seed of samples, permutations and subsamples.
    """
    region = region.sampled(MOST_ROWS, np.random.default_rng(seed))
    if len(region.rows) <= 2 * _NEIGHBOURS:
        return RegionStructure(region.name, len(region.rows), len(np.unique(region.operator_ids)), (), ())
    names = np.unique(region.cluster_ids[region.cluster_ids != ""])
    placed = np.searchsorted(names, region.cluster_ids)
    reference = np.where(region.cluster_ids == "", -1, placed)
    stability = cluster_stability(
        clusterer,
        region.rows,
        n_resamples=RESAMPLES,
        seed=seed,
        groups=region.operator_ids,
        reference=reference,
        bounds=(DISSOLVED, STABLE),
    )
    return RegionStructure(
        region=region.name,
        rows=len(region.rows),
        operators=len(np.unique(region.operator_ids)),
        nulls=_nulls(region.rows, clusterer, seed),
        clusters=tuple(
            _cluster_row(region, str(name), float(jaccard)) for name, jaccard in zip(names, stability, strict=True)
        ),
        reach=region.reach,
        distances=_distances(region.rows),
        reachability=_reachability(region.rows),
    )


def measure_agreement(
    what: str, labellings: Mapping[str, NDArray[Any]], pairs: Sequence[tuple[str, str]] | None = None
) -> tuple[Agreement, ...]:
    """Compare labellings of the same rows, all pairs or those named."""
    chosen = combinations(labellings, 2) if pairs is None else pairs
    found = []
    for one, other in chosen:
        index = agreement(labellings[one], labellings[other])
        found.append(Agreement(what, one, other, index["adjusted_rand"], index["adjusted_mutual_information"]))
    return tuple(found)


def tiers(scores: Floats) -> NDArray[np.int64]:
    """Part scores (larger is riskier) into three tiers, shape (n,): the lower four fifths, the next 15%, the top 5%."""
    return np.searchsorted(np.quantile(scores, TIER_ENDS), scores, side="left").astype(np.int64)


def _nulls(rows: Floats, clusterer: Any, seed: int) -> tuple[Null, ...]:
    def validity(table: Floats) -> float:
        found = clusterer.fit_predict(table)
        return density_validity(table, found)[0] if found.max(initial=-1) >= 1 else 0.0

    def closeness(table: Floats) -> float:
        reach = -KDistance(n_neighbors=_NEIGHBOURS).fit(table).score_samples(table)
        return -float(np.log(np.maximum(reach, 1e-9)).mean())

    found = {
        name: permuted_null(statistic, rows, n_tables=TABLES, seed=seed, stop_after=REACHING)
        for name, statistic in (("density_validity", validity), ("closeness", closeness))
    }
    return tuple(_null(name, test) for name, test in found.items())


def _null(name: str, test: NullTest) -> Null:
    z = float(test.z_score) if np.isfinite(test.z_score) else None
    return Null(name, test.value, test.null_mean, test.null_deviation, z, test.p_value, test.n_tables)


def _distances(rows: Floats) -> tuple[float, ...]:
    """Give the distance to the tenth neighbour at even shares of the rows."""
    found = -KDistance(n_neighbors=_NEIGHBOURS).fit(rows).score_samples(rows)
    return tuple(np.quantile(found, np.linspace(0.0, 1.0, CURVE_POINTS)).round(_DIGITS).tolist())


def _reachability(rows: Floats) -> tuple[float, ...]:
    """Give OPTICS's reachability in its order, thinned so that no ridge between two valleys is lost."""
    found = OPTICS(min_samples=_NEIGHBOURS).fit(rows)
    ordered = found.reachability_[found.ordering_]
    ordered = ordered[np.isfinite(ordered)]
    parts = np.array_split(ordered, min(MOST_BARS, len(ordered)) or 1)
    return tuple(float(part.max().round(_DIGITS)) for part in parts if len(part))


def _cluster_row(region: Region, name: str, jaccard: float) -> ClusterRow:
    inside = region.cluster_ids == name
    share = float(region.merchant_share[inside][0])
    if inside.sum() < FEWEST_PLACED:
        verdict = "too few"
    elif jaccard >= STABLE:
        verdict = "stable"
    else:
        verdict = "uncertain" if jaccard >= DISSOLVED else "dissolved"
    return ClusterRow(name, int(inside.sum()), jaccard, share if np.isfinite(share) else None, verdict)
