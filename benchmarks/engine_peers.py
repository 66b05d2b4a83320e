"""What `engine.py` measures: one peer, one fit, in a process of its own.

    python benchmarks/engine_peers.py                  # the peers and the library that each needs, as JSON
    python benchmarks/engine_peers.py PEER FOLDER      # fit once on FOLDER/rows.npy, print what it cost as JSON

The folder holds `rows.npy`, `warm.npy` and `meta.json` (the radius of each).
The peer first fits the small `warm.npy`, so that compilation, or reading its
cache, is told apart. Labels or scores (larger is odder) are left in `found.npy`.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
MIN_SAMPLES = 20
LISTED = 32
ABSENT = 3
"""Exit code when the peer's library is not installed."""


def _ours(task: str, *, exact: bool = True) -> Callable[[Rows, float], Any]:
    def fit(rows: Rows, eps: float) -> Any:
        from membergate import engine  # noqa: PLC0415 -- each process imports its own peer only

        estimators: dict[str, Any] = {
            "dbscan": engine.DBSCAN(eps, MIN_SAMPLES),
            "optics": engine.OPTICS(MIN_SAMPLES, 2 * eps, cluster_method="dbscan", eps=eps),
            "hdbscan": engine.HDBSCAN(MIN_SAMPLES),
            "lof": engine.LocalOutlierFactor(),
            "k-distance": engine.KDistance(),
            "mdca": engine.MDCA(),
        }
        if exact and task in estimators:
            return estimators[task].fit(rows)
        graph = engine.NeighbourGraph(rows, LISTED, exact=exact)
        names = {"graph": (), "all": ("lof", "k-distance", "mdca", "optics", "dbscan")}.get(task, (task,))
        return [estimators[name].fit_graph(graph) for name in names][-1] if names else graph

    return fit


def _scikit_learn(task: str) -> Callable[[Rows, float], Any]:
    def fit(rows: Rows, eps: float) -> Any:
        from sklearn import cluster, neighbors  # noqa: PLC0415 -- each process imports its own peer only

        return {
            "dbscan": cluster.DBSCAN(eps=eps, min_samples=MIN_SAMPLES),
            "optics": cluster.OPTICS(min_samples=MIN_SAMPLES, max_eps=2 * eps, cluster_method="dbscan", eps=eps),
            "hdbscan": cluster.HDBSCAN(min_cluster_size=MIN_SAMPLES, copy=True),
            "lof": neighbors.LocalOutlierFactor(),
        }[task].fit(rows)

    return fit


def _hdbscan(rows: Rows, _eps: float) -> Any:
    import hdbscan  # type: ignore[import-not-found]  # noqa: PLC0415 - a peer may be absent

    return hdbscan.HDBSCAN(min_cluster_size=MIN_SAMPLES).fit(rows)


def _fast_hdbscan(rows: Rows, _eps: float) -> Any:
    import fast_hdbscan  # type: ignore[import-not-found]  # noqa: PLC0415 - a peer may be absent

    return fast_hdbscan.HDBSCAN(min_cluster_size=MIN_SAMPLES).fit(rows)


def _faiss_exact(rows: Rows, _eps: float) -> Any:
    import faiss  # type: ignore[import-not-found]  # noqa: PLC0415 - a peer may be absent

    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    index.search(rows, LISTED + 1)


def _faiss_cells(rows: Rows, eps: float) -> Any:
    """IVF lists, then union-find over edges within eps: DBSCAN by approximate neighbours."""
    import faiss  # noqa: PLC0415
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    index = faiss.index_factory(rows.shape[1], f"IVF{max(1, int(3 * len(rows) ** 0.5))},Flat")
    index.train(rows)
    index.add(rows)
    index.nprobe = 12
    squares, listed = index.search(rows, LISTED + 1)
    is_core = squares[:, MIN_SAMPLES - 1] <= eps**2
    source, target = np.repeat(np.arange(len(rows)), LISTED + 1), listed.ravel()
    kept = (squares.ravel() <= eps**2) & (target >= 0)
    kept[kept] &= is_core[source[kept]] & is_core[target[kept]]
    edges = coo_array((np.ones(kept.sum()), (source[kept], target[kept])), shape=(len(rows), len(rows)))
    connected_components(edges, directed=False)


def _pyod(rows: Rows, _eps: float) -> Any:
    from pyod.models.lof import LOF  # type: ignore[import-not-found]  # noqa: PLC0415 - a peer may be absent

    return LOF().fit(rows)


PEERS: dict[str, tuple[str, Callable[[Rows, float], Any]]] = {
    "graph / ours": ("membergate", _ours("graph")),
    "graph / faiss, exact lists": ("faiss", _faiss_exact),
    "all / ours, one exact graph": ("membergate", _ours("all")),
    "approximate / ours, graph": ("membergate", _ours("graph", exact=False)),
    "approximate / ours, all from one graph": ("membergate", _ours("all", exact=False)),
    "dbscan / ours": ("membergate", _ours("dbscan")),
    "dbscan / scikit-learn": ("sklearn", _scikit_learn("dbscan")),
    "dbscan / faiss IVF and union-find": ("faiss", _faiss_cells),
    "optics / ours": ("membergate", _ours("optics")),
    "optics / scikit-learn": ("sklearn", _scikit_learn("optics")),
    "hdbscan / ours": ("membergate", _ours("hdbscan")),
    "hdbscan / scikit-learn": ("sklearn", _scikit_learn("hdbscan")),
    "hdbscan / hdbscan": ("hdbscan", _hdbscan),
    "hdbscan / fast_hdbscan": ("fast_hdbscan", _fast_hdbscan),
    "lof / ours": ("membergate", _ours("lof")),
    "approximate / ours, dbscan": ("membergate", _ours("dbscan", exact=False)),
    "approximate / ours, lof": ("membergate", _ours("lof", exact=False)),
    "lof / scikit-learn": ("sklearn", _scikit_learn("lof")),
    "lof / PyOD": ("pyod", _pyod),
}


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak_mb() -> float:
    """Give the peak of this process alone: what the parent held before it is not counted."""
    status = Path("/proc/self/status")
    if status.exists():
        return float(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """List the peers, or fit one."""
    if len(sys.argv) == 1:
        print(json.dumps({name: module for name, (module, _) in PEERS.items()}))
        return
    name, folder = sys.argv[1], Path(sys.argv[2])
    module, fit = PEERS[name]
    if importlib.util.find_spec(module) is None:
        sys.exit(ABSENT)
    meta = json.loads((folder / "meta.json").read_text())
    begin = _cpu_seconds()
    fit(np.load(folder / "warm.npy"), meta["warm_eps"])
    warmed, small = _cpu_seconds() - begin, _peak_mb()
    rows = np.load(folder / "rows.npy")
    before = _cpu_seconds()
    fitted = fit(rows, meta["eps"])
    cost = _cpu_seconds() - before
    peak = _peak_mb()
    for attribute, sign in (("labels_", 1), ("negative_outlier_factor_", -1), ("decision_scores_", 1)):
        if hasattr(fitted, attribute):
            np.save(folder / "found.npy", sign * getattr(fitted, attribute))
    print(json.dumps({"cpu_s": cost, "peak_mb": peak, "small_mb": small, "warm_up_cpu_s": warmed}))


if __name__ == "__main__":
    main()
