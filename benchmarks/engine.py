"""The engine beside its peers: CPU seconds and peak memory, each fit in a process of its own.

    python benchmarks/engine.py                         # 5,000 x 48, all peers that are installed
    python benchmarks/engine.py --rows 100000 --only dbscan
    python benchmarks/engine.py --python OTHER_VENV/bin/python   # where the optional peers live

Peers that are not installed are passed over with a note: `pip install hdbscan
fast-hdbscan faiss-cpu pyod`. Every number is of one process: CPU seconds of all
its threads over the fit alone, its peak memory with imports and data, and the
seconds that the first, small fit took (compilation or its cache). Wall time is
never measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
MIN_SAMPLES = 20
LISTED = 32


def blobs(n_rows: int, n_axes: int, seed: int = 0) -> tuple[Rows, NDArray[np.int64]]:
    """Twenty-four Gaussian blobs of unequal density, a quarter of the axes intrinsic, and 10 % uniform noise."""
    generator = np.random.default_rng(seed)
    n_noise = n_rows // 10
    sizes = generator.multinomial(n_rows - n_noise, generator.dirichlet(np.full(24, 4.0)))
    parts = []
    for size in sizes:
        inner = max(2, n_axes // 4)
        basis = np.linalg.qr(generator.normal(size=(n_axes, inner)))[0]
        scale = generator.uniform(0.5, 1.6)
        thin = generator.normal(size=(size, n_axes)) * 0.05 * scale
        wide = generator.normal(size=(size, inner)) @ basis.T * scale
        parts.append(generator.uniform(-6, 6, size=n_axes) + wide + thin)
    clustered = np.concatenate(parts)
    noise = generator.uniform(clustered.min(axis=0), clustered.max(axis=0), size=(n_noise, n_axes))
    order = generator.permutation(n_rows)
    truth = np.concatenate([np.repeat(np.arange(24), sizes), np.full(n_noise, -1)])
    return np.concatenate([clustered, noise]).astype(np.float32)[order], truth[order]


def heavy_tails(n_rows: int, n_axes: int, seed: int = 0) -> tuple[Rows, NDArray[np.int64]]:
    """Correlated Student-t rows, as behaviour counts are after a logarithm; no truth."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(n_axes, n_axes)) / n_axes**0.5
    rows = generator.standard_t(2.0, size=(n_rows, n_axes)) @ mixing
    return rows.astype(np.float32), np.zeros(n_rows, dtype=np.int64)


def digits(n_rows: int, _n_axes: int, _seed: int = 0) -> tuple[Rows, NDArray[np.int64]]:
    """Handwritten digits, 64 axes, at most 1,797 rows."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 -- one shape needs it

    bunch = load_digits()
    return bunch.data[:n_rows].astype(np.float32), bunch.target[:n_rows]


SHAPES = {"blobs": blobs, "heavy-tails": heavy_tails, "digits": digits}


def radius_of(rows: Rows) -> float:
    """Give the elbow of the k-distances of 500 rows to all, by brute force, so that every peer gets the same."""
    sample = rows[np.random.default_rng(1).choice(len(rows), min(500, len(rows)), replace=False)].astype(np.float64)
    all_rows = rows.astype(np.float64)
    squares = (all_rows**2).sum(axis=1)
    reach = [np.partition(squares - 2 * all_rows @ row + row @ row, MIN_SAMPLES - 1)[MIN_SAMPLES - 1] for row in sample]
    curve = np.sqrt(np.maximum(np.sort(reach), 0))
    chord = np.linspace(0, 1, len(curve))
    return float(curve[np.argmax(chord - (curve - curve[0]) / (curve[-1] - curve[0]))])


def _ours(task: str) -> Callable[[Rows, float], Any]:
    def fit(rows: Rows, eps: float) -> Any:
        from membergate import engine  # noqa: PLC0415 -- each process imports its own peer only

        if task == "graph":
            return engine.NeighbourGraph(rows, LISTED)
        if task in {"everything", "approximate"}:
            graph = engine.NeighbourGraph(rows, LISTED, exact=task == "everything", n_cells=8)
            engine.LocalOutlierFactor().fit_graph(graph)
            engine.KDistance().fit_graph(graph)
            engine.MDCA().fit_graph(graph)
            engine.OPTICS(MIN_SAMPLES, 2 * eps, cluster_method="dbscan").fit_graph(graph)
            return engine.DBSCAN(eps, MIN_SAMPLES).fit_graph(graph)
        estimators: dict[str, Any] = {
            "dbscan": engine.DBSCAN(eps, MIN_SAMPLES),
            "optics": engine.OPTICS(MIN_SAMPLES, 2 * eps, cluster_method="dbscan"),
            "hdbscan": engine.HDBSCAN(MIN_SAMPLES),
            "lof": engine.LocalOutlierFactor(),
        }
        return estimators[task].fit(rows)

    return fit


def _scikit_learn(task: str) -> Callable[[Rows, float], Any]:
    def fit(rows: Rows, eps: float) -> Any:
        from sklearn import cluster, neighbors  # noqa: PLC0415 -- each process imports its own peer only

        return {
            "dbscan": cluster.DBSCAN(eps=eps, min_samples=MIN_SAMPLES),
            "optics": cluster.OPTICS(min_samples=MIN_SAMPLES, max_eps=2 * eps, cluster_method="dbscan"),
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
    source = np.repeat(np.arange(len(rows)), LISTED + 1)
    target, near = listed.ravel(), squares.ravel() <= eps**2
    kept = near & (target >= 0)
    kept[kept] &= is_core[source[kept]] & is_core[target[kept]]
    edges = coo_array((np.ones(kept.sum()), (source[kept], target[kept])), shape=(len(rows), len(rows)))
    connected_components(edges, directed=False)


def _pyod(rows: Rows, _eps: float) -> Any:
    from pyod.models.lof import LOF  # type: ignore[import-not-found]  # noqa: PLC0415 - a peer may be absent

    return LOF().fit(rows)


PEERS: dict[str, tuple[str, str, Callable[[Rows, float], Any]]] = {
    "graph / ours": ("graph", "membergate", _ours("graph")),
    "graph / faiss exact lists": ("graph", "faiss", _faiss_exact),
    "everything / ours, one exact graph": ("graph", "membergate", _ours("everything")),
    "everything / ours, one approximate graph": ("graph", "membergate", _ours("approximate")),
    "dbscan / ours": ("dbscan", "membergate", _ours("dbscan")),
    "dbscan / scikit-learn": ("dbscan", "sklearn", _scikit_learn("dbscan")),
    "dbscan / faiss IVF and union-find": ("dbscan", "faiss", _faiss_cells),
    "optics / ours": ("optics", "membergate", _ours("optics")),
    "optics / scikit-learn": ("optics", "sklearn", _scikit_learn("optics")),
    "hdbscan / ours": ("hdbscan", "membergate", _ours("hdbscan")),
    "hdbscan / scikit-learn": ("hdbscan", "sklearn", _scikit_learn("hdbscan")),
    "hdbscan / hdbscan": ("hdbscan", "hdbscan", _hdbscan),
    "hdbscan / fast_hdbscan": ("hdbscan", "fast_hdbscan", _fast_hdbscan),
    "lof / ours": ("lof", "membergate", _ours("lof")),
    "lof / scikit-learn": ("lof", "sklearn", _scikit_learn("lof")),
    "lof / PyOD": ("lof", "pyod", _pyod),
}


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_one(peer: str, shape: str, n_rows: int, n_axes: int) -> None:
    """Fit one peer in this process and print what it cost as JSON."""
    _, module, fit = PEERS[peer]
    if importlib.util.find_spec(module) is None:
        print(json.dumps({"absent": module}))
        return
    begin = _cpu_seconds()
    warm, _ = blobs(600, n_axes)
    fit(warm, radius_of(warm))
    warmed = _cpu_seconds() - begin
    rows, truth = SHAPES[shape](n_rows, n_axes)
    eps = radius_of(rows)
    before = _cpu_seconds()
    fitted = fit(rows, eps)
    cost = _cpu_seconds() - before
    answer: dict[str, Any] = {"cpu_s": cost, "warm_up_cpu_s": warmed}
    answer["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    labels = getattr(fitted, "labels_", None)
    if labels is not None and len(labels) == len(truth):
        from sklearn.metrics import adjusted_rand_score  # noqa: PLC0415

        answer["rand_to_truth"] = float(adjusted_rand_score(truth, labels))
    print(json.dumps(answer))


def main() -> None:
    """Run every peer in its own process and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--axes", type=int, default=48)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="blobs")
    parser.add_argument("--only", default="", help="a word that the peer's name holds, such as dbscan or ours")
    parser.add_argument("--python", default=sys.executable, help="interpreter for peers that this one lacks")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        run_one(options.peer, options.shape, options.rows, options.axes)
        return
    print(f"\n{options.shape}, {options.rows:,} x {options.axes}, min_samples {MIN_SAMPLES}, eps at the elbow\n")
    print("| task / peer | CPU s | peak MB | warm-up CPU s | adjusted Rand to truth |\n|---|---|---|---|---|")
    for peer, (_, module, _) in PEERS.items():
        if options.only not in peer:
            continue
        chosen = sys.executable if importlib.util.find_spec(module) else options.python
        command = [chosen, __file__, "--peer", peer, "--shape", options.shape]
        command += ["--rows", str(options.rows), "--axes", str(options.axes)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"| {peer} | failed: {done.stderr.strip().splitlines()[-1]} | | | |", flush=True)
            continue
        found = json.loads(done.stdout.strip().splitlines()[-1])
        if "absent" in found:
            print(f"| {peer} | not installed: {found['absent']} | | | |", flush=True)
            continue
        rand = f"{found['rand_to_truth']:.4f}" if "rand_to_truth" in found else ""
        cells = f"{found['cpu_s']:.2f} | {found['peak_mb']:.0f} | {found['warm_up_cpu_s']:.1f} | {rand}"
        print(f"| {peer} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
