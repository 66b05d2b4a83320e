"""One applicant at a time: how long `predict` and `score_samples` take for a single row, beside a plain search.

    python benchmarks/engine_online.py                 # 100,000 x 48
    python benchmarks/engine_online.py --json docs/engine/online.json

The peer is scikit-learn's brute-force search for the nearest row, the answer that a prediction needs at least.
Wall time, since that is what an applicant waits for: say with it how busy the machine was.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from membergate.engine import DBSCAN, KDistance, LocalOutlierFactor, NeighbourGraph


def waits(ask: Callable[[NDArray[np.float64]], Any], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ask row by row, and give the microseconds of each."""
    found = np.empty(len(rows))
    for i in range(len(rows)):
        begin = time.perf_counter_ns()
        ask(rows[i : i + 1])
        found[i] = (time.perf_counter_ns() - begin) / 1000
    return found


def main() -> None:
    """Fit once, ask two thousand rows near the training rows and a tenth of noise, and print quantiles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--axes", type=int, default=48)
    parser.add_argument("--json", type=Path, help="file in which the table is kept")
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    centres = generator.uniform(-6, 6, size=(24, options.axes))
    basis = generator.normal(size=(options.axes // 4, options.axes)) / 2
    clustered = generator.normal(size=(options.rows * 9 // 10, options.axes // 4)) @ basis
    clustered += centres[generator.integers(0, 24, size=len(clustered))]
    noise = generator.uniform(clustered.min(axis=0), clustered.max(axis=0), size=(options.rows // 10, options.axes))
    rows = generator.permutation(np.concatenate([clustered, noise]))
    new = rows[:: max(1, len(rows) // 2000)] + generator.normal(scale=0.05, size=(1, options.axes))
    graph = NeighbourGraph(rows, 20)
    eps = float(np.quantile(graph.distances[:, -1], 0.85))
    peer = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(rows)
    askers: dict[str, Callable[[NDArray[np.float64]], Any]] = {
        "DBSCAN.predict": DBSCAN(eps, 20).fit_graph(graph).predict,
        "KDistance.score_samples": KDistance().fit_graph(graph).score_samples,
        "LocalOutlierFactor.score_samples": LocalOutlierFactor().fit_graph(graph).score_samples,
        "scikit-learn, nearest row": peer.kneighbors,
    }
    lines = [f"{options.rows:,} x {options.axes}, load average {os.getloadavg()[0]:.1f}; microseconds of wall time.\n"]
    lines += ["| asked | median | 99th percentile | rows |", "|---|---|---|---|"]
    for name, ask in askers.items():
        asked = new if name.startswith(("DBSCAN", "KD", "Local")) else new[:200]
        waits(ask, asked[:50])
        middle, late = np.quantile(waits(ask, asked), [0.5, 0.99])
        lines.append(f"| {name} | {middle:,.0f} | {late:,.0f} | {len(asked)} |")
    print("\n".join(lines))
    if options.json:
        options.json.write_text(json.dumps({"table": "\n".join(lines)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
