"""The algorithm engine: one neighbour graph, every density algorithm. Usable alone; imports nothing of the house.

>>> from membergate.engine import DBSCAN
>>> DBSCAN(eps=0.5, min_samples=2).fit_predict([[0.0], [0.1], [9.0]]).tolist()
[0, 0, -1]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from membergate.engine.loading import on_demand

if TYPE_CHECKING:
    from membergate.engine.cluster import DBSCAN, HDBSCAN, MDCA, OPTICS, DensityPeaks
    from membergate.engine.cluster.matching import match_clusters
    from membergate.engine.cluster.stability import stability_selection
    from membergate.engine.cluster.suggestion import k_distance_elbow, suggest, sweep
    from membergate.engine.errors import InvalidInputError
    from membergate.engine.graph import NeighbourGraph
    from membergate.engine.outlier import KDistance, LocalOutlierFactor
    from membergate.engine.warming import warm_up

__all__ = [
    "DBSCAN",
    "HDBSCAN",
    "MDCA",
    "OPTICS",
    "DensityPeaks",
    "InvalidInputError",
    "KDistance",
    "LocalOutlierFactor",
    "NeighbourGraph",
    "k_distance_elbow",
    "match_clusters",
    "stability_selection",
    "suggest",
    "sweep",
    "warm_up",
]

__getattr__ = on_demand(
    __name__,
    {
        "DBSCAN": "cluster.dbscan",
        "HDBSCAN": "cluster.hdbscan",
        "MDCA": "cluster.mdca",
        "OPTICS": "cluster.optics",
        "DensityPeaks": "cluster.density_peaks",
        "InvalidInputError": "errors",
        "KDistance": "outlier.k_distance",
        "LocalOutlierFactor": "outlier.local_outlier_factor",
        "NeighbourGraph": "graph.neighbours",
        "k_distance_elbow": "cluster.suggestion",
        "match_clusters": "cluster.matching",
        "stability_selection": "cluster.stability",
        "suggest": "cluster.suggestion",
        "sweep": "cluster.suggestion",
        "warm_up": "warming",
    },
)
