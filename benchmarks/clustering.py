"""What density finds among applicants: the clustering in use beside finer ones, on the suspicious region and the rest.

Each way to cluster a region is asked whether its clusters are of one kind (agreement with the simulator's archetypes,
corrected for chance, over all rows and over those in a cluster), how many merchants lie in clusters that hold at least
four fifths of them, and whether the clusters come back when four fifths of the rows are drawn (mean best Jaccard
overlap, weighted by size). In use is DBSCAN over all deviations, its reach at the elbow; beside it stand HDBSCAN over
their first principal components, whose clusters need no reach, and DBSCAN at a shorter reach.

This reads the simulator's truth, which only verification may do. Printed are means over seeds with 95 % intervals.
Usage: `python -m benchmarks.clustering [--accounts 10000] [--seeds 411 412 413 414 415]`
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Self

import numpy as np
from benchmarks.identify import learned, market_of
from benchmarks.intervals import SHARE, interval
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_mutual_info_score

from membergate.engine import HDBSCAN
from membergate.engine.validity.resampling import cluster_stability
from membergate.learning.model.clusters import SUSPICIOUS_FROM, RegionClustering

MOSTLY = 0.8
RESAMPLES = 10
FIGURES = ("clusters", "in one", "agreement, all", "agreement, inside", "merchants told", "come back")


class OnComponents(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """HDBSCAN over the first principal components.

    Parameters
    ----------
    components, smallest, method
        How many; rows that make a cluster; and how clusters are chosen from the tree, `eom` or `leaf`.
    """

    def __init__(self, components: int = 5, smallest: int = 15, method: str = "leaf") -> None:
        self.components = components
        self.smallest = smallest
        self.method = method

    def fit(self, X: NDArray[np.float64], y: object = None) -> Self:  # noqa: ARG002 -- scikit-learn passes it
        """Cluster rows, shape (n, f)."""
        rows = np.ascontiguousarray(PCA(self.components, random_state=0).fit_transform(X))
        found = HDBSCAN(min_cluster_size=self.smallest, min_samples=5, cluster_selection_method=self.method).fit(rows)
        self.labels_ = found.labels_
        return self


WAYS: dict[str, Any] = {
    "DBSCAN at the elbow (in use)": RegionClustering(),
    "DBSCAN at 0.7 of the elbow": RegionClustering(reach=0.7),
    "HDBSCAN, 5 components, excess of mass": OnComponents(method="eom"),
    "HDBSCAN, 5 components, leaves": OnComponents(),
    "HDBSCAN, 3 components, leaves": OnComponents(components=3),
}


def asked(
    way: Any, rows: NDArray[np.float64], archetype: NDArray[np.str_], is_merchant: NDArray[np.bool_], seed: int
) -> dict[str, float]:
    """Ask one way to cluster one region."""
    labels = way.fit(rows).labels_
    inside = labels >= 0
    sizes = np.bincount(labels[inside]) if inside.any() else np.zeros(0)
    shares = np.array([is_merchant[labels == cluster].mean() for cluster in range(len(sizes))])
    told = np.isin(labels, np.flatnonzero(shares >= MOSTLY)) & is_merchant
    stability = cluster_stability(way, rows, n_resamples=RESAMPLES, seed=seed)
    return {
        "clusters": float(len(sizes)),
        "in one": float(inside.mean()),
        "agreement, all": float(adjusted_mutual_info_score(archetype, labels)),
        "agreement, inside": float(adjusted_mutual_info_score(archetype[inside], labels[inside])),
        "merchants told": float(told.sum() / max(is_merchant.sum(), 1)),
        "come back": float(np.average(stability, weights=sizes)) if len(sizes) else 0.0,
    }


def main() -> None:
    """Run all seeds and print a table a region."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[411, 412, 413, 414, 415])
    arguments = parser.parse_args()
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            market = market_of(Path(folder), seed, arguments.accounts)
            sight = learned(market, [], seed).groundwork.see(market.table.take(market.train))
        archetype, is_merchant = market.archetype[market.train], market.is_merchant[market.train]
        for region, of_it in (
            ("suspicious", sight.prior >= SUSPICIOUS_FROM),
            ("the rest", sight.prior < SUSPICIOUS_FROM),
        ):
            rows = np.ascontiguousarray(sight.deviations[of_it])
            for name, way in WAYS.items():
                for figure, value in asked(way, rows, archetype[of_it], is_merchant[of_it], seed).items():
                    found[region, name][figure].append(value)
        print(f"  seed {seed}", flush=True)
    print(f"\n| region | way | {' | '.join(FIGURES)} |\n|---|---|{'---|' * len(FIGURES)}")
    for (region, name), figures in found.items():
        counts = f"{np.mean(figures['clusters']):.1f}"
        print(
            f"| {region} | {name} | {counts} | "
            + " | ".join(interval(figures[each], SHARE) for each in FIGURES[1:])
            + " |"
        )


if __name__ == "__main__":
    main()
