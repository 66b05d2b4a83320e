"""Compiles before anybody waits for it."""

from __future__ import annotations

import numpy as np

from membergate.engine.cluster import DBSCAN, HDBSCAN, MDCA, OPTICS, DensityPeaks
from membergate.engine.graph.neighbours import NeighbourGraph
from membergate.engine.outlier import KDistance, LocalOutlierFactor


def warm_up() -> None:
    """Compile every kernel, or read it from the disk, by fitting each algorithm to a small table.

    Call it when a service starts, so that no applicant waits for a compiler. Costs tens of seconds the first time
    on a machine, and a fraction of a second later.
    """
    rows = np.random.default_rng(0).normal(size=(96, 3))
    for table in (rows, rows.astype(np.float32)):
        graph = NeighbourGraph(table, 6)
        for detector in (KDistance(4), LocalOutlierFactor(4)):
            detector.fit_graph(graph).score_samples(rows[:1])
        for clusterer in (MDCA(4), MDCA(4, mode="literal"), DensityPeaks(2, 4), HDBSCAN(4)):
            clusterer.fit_graph(graph).predict(rows[:1])
        OPTICS(4).fit_graph(graph)
        MDCA(4).fit_graph(NeighbourGraph(table, 6, exact=False))
        DBSCAN(1.0).fit(table).predict(rows[:1])
        DBSCAN(1.0).fit_graph(graph)
