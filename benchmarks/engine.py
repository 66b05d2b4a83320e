"""The engine beside its peers: CPU seconds and peak memory, each fit in a process of its own.

    python benchmarks/engine.py                                    # 5,000 x 48, all peers that are installed
    python benchmarks/engine.py --rows 100000 --only dbscan
    python benchmarks/engine.py --json docs/engine/benchmarks.json # keep the numbers for the documentation

The peers' libraries are locked in `requirements/benchmarks.txt`, apart from everybody else's; install them where
you like and name the interpreter with `--python`. What is not installed is passed over with a note.

Every number is of one process: CPU seconds of all its threads over the fit alone, its peak memory with imports and
data (made elsewhere), and the CPU seconds of a first, small fit (compilation, or reading its cache). Wall time is
never measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Data = tuple[Rows, NDArray[np.int64] | None]
MIN_SAMPLES = 20
ABSENT = 3
"""Exit code of a peer that is not installed."""
PEERS = Path(__file__).with_name("engine_peers.py")


def blobs(n_rows: int, n_axes: int, seed: int = 0) -> Data:
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


def heavy_tails(n_rows: int, n_axes: int, seed: int = 0) -> Data:
    """Correlated Student-t rows, as behaviour counts are after a logarithm; no truth."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(n_axes, n_axes)) / n_axes**0.5
    rows = generator.standard_t(2.0, size=(n_rows, n_axes)) @ mixing
    return rows.astype(np.float32), None


def digits(n_rows: int, _n_axes: int, _seed: int = 0) -> Data:
    """Handwritten digits, 64 axes, at most 1,797 rows."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 -- one shape needs it

    bunch = load_digits()
    return bunch.data[:n_rows].astype(np.float32), bunch.target[:n_rows]


def behaviour(n_rows: int, _n_axes: int, _seed: int = 0) -> Data:
    """Behaviour features of simulated shoppers, signed logarithms over their spread; at most some thousand rows."""
    import pyarrow.compute as pc  # noqa: PLC0415 -- one shape needs it
    import pyarrow.parquet as pq  # noqa: PLC0415 -- as above

    with tempfile.TemporaryDirectory() as folder:
        for words in (
            ["simulate", "made", "--preset", "small", "--seed", "1"],
            ["ingest", "made/market"],
            ["features", "compute", "table.parquet"],
        ):
            command = [sys.executable, "-m", "membergate", *words]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        table = pq.read_table(Path(folder) / "table.parquet")
    names = [name for name in table.column_names if str(table[name].type) in {"double", "int64", "float"}]
    columns = [np.asarray(pc.cast(table[name], "double").to_numpy(), dtype=np.float64) for name in names]
    rows = np.column_stack([np.sign(column) * np.log1p(np.abs(column)) for column in columns])
    rows = np.where(np.isnan(rows), np.nanmedian(rows, axis=0), rows)
    spread = rows.std(axis=0)
    rows = rows[:, spread > 0] / spread[spread > 0]
    return rows[:n_rows].astype(np.float32), None


SHAPES = {"blobs": blobs, "heavy-tails": heavy_tails, "digits": digits, "behaviour": behaviour}


def radius_of(rows: Rows) -> float:
    """Give the elbow of the k-distances of 500 rows to all, by brute force, so that every peer gets the same."""
    sample = rows[np.random.default_rng(1).choice(len(rows), min(500, len(rows)), replace=False)].astype(np.float64)
    squares = np.concatenate([(part.astype(np.float64) ** 2).sum(axis=1) for part in _parts(rows)])
    reach = []
    for row in sample:
        products = np.concatenate([part @ row.astype(np.float32) for part in _parts(rows)])
        reach.append(np.partition(squares - 2.0 * products + row @ row, MIN_SAMPLES - 1)[MIN_SAMPLES - 1])
    curve = np.sqrt(np.maximum(np.sort(reach), 0))
    chord = np.linspace(0, 1, len(curve))
    return float(curve[np.argmax(chord - (curve - curve[0]) / (curve[-1] - curve[0]))])


def _parts(rows: Rows) -> Iterator[Rows]:
    return (rows[begin : begin + 65536] for begin in range(0, len(rows), 65536))


def write_data(folder: Path, shape: str, n_rows: int, n_axes: int) -> tuple[NDArray[np.int64] | None, tuple[int, int]]:
    """Write the rows, the small table and both radii; give the truth and the shape of the rows."""
    rows, truth = SHAPES[shape](n_rows, n_axes)
    warm = blobs(600, rows.shape[1])[0]
    np.save(folder / "rows.npy", rows)
    np.save(folder / "warm.npy", warm)
    (folder / "meta.json").write_text(json.dumps({"eps": radius_of(rows), "warm_eps": radius_of(warm)}))
    return truth, (rows.shape[0], rows.shape[1])


def measure(peer: str, folder: Path, python: str, limit_s: float) -> dict[str, Any]:
    """Fit one peer in a process of its own; give its costs, or why there are none."""
    (folder / "found.npy").unlink(missing_ok=True)
    before = _children_cpu_seconds()
    try:
        done = subprocess.run(
            [python, str(PEERS), peer, str(folder)], capture_output=True, text=True, check=False, timeout=limit_s
        )
    except subprocess.TimeoutExpired:
        spent = _children_cpu_seconds() - before
        return {"note": f"given up after {spent:.0f} CPU s", "at_least_cpu_s": spent}
    if done.returncode == ABSENT:
        return {"note": "not installed"}
    if done.returncode != 0:
        return {"note": "failed: " + done.stderr.strip().splitlines()[-1]}
    costs: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return costs


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def judge(folder: Path, truth: NDArray[np.int64] | None) -> dict[str, float]:
    """Compare labels with the truth (adjusted Rand index), or scores with what is noise in truth (area under curve)."""
    from sklearn.metrics import adjusted_rand_score, roc_auc_score  # noqa: PLC0415 -- loaded when needed

    if truth is None or not (folder / "found.npy").exists():
        return {}
    found = np.load(folder / "found.npy")
    if found.dtype.kind == "f":
        return {"noise_auc": float(roc_auc_score(truth < 0, found))} if (truth < 0).any() else {}
    return {"rand_to_truth": float(adjusted_rand_score(truth, found))}


def keep(file: Path, record: dict[str, Any]) -> None:
    """Put a record in the place of the one with the same shape, size and peer."""
    records = json.loads(file.read_text()) if file.exists() else []
    same = ("shape", "rows", "axes", "peer")
    records = [old for old in records if any(old[name] != record[name] for name in same)]
    file.write_text(json.dumps([*records, record], indent=1) + "\n")


def line(record: dict[str, Any]) -> str:
    """Give a row of the printed table."""
    if "note" in record:
        return f"| {record['peer']} | {record['note']} | | | |"
    quality = [f"{record[name]:.4f}" for name in ("rand_to_truth", "noise_auc") if name in record]
    costs = f"{record['cpu_s']:.2f} | {record['peak_mb']:.0f} | {record['warm_up_cpu_s']:.1f}"
    return f"| {record['peer']} | {costs} | {' '.join(quality)} |"


def main() -> None:
    """Run the chosen peers one after the other and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--axes", type=int, default=48)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="blobs")
    parser.add_argument("--only", default="", help="beginnings or halves of the names of peers, parted by semicolons")
    parser.add_argument("--python", default=sys.executable, help="interpreter for peers that this one lacks")
    parser.add_argument("--limit-s", type=float, default=1800.0, help="after which a peer is given up")
    parser.add_argument("--json", type=Path, help="file in which every number is kept")
    options = parser.parse_args()
    compiling = "from membergate.engine import warm_up; warm_up()"  # kept on disk: no fit below compiles
    subprocess.run([sys.executable, "-c", compiling], check=True)
    listed = subprocess.run([sys.executable, str(PEERS)], capture_output=True, text=True, check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth, (n_rows, n_axes) = write_data(folder, options.shape, options.rows, options.axes)
        print(f"\n{options.shape}, {n_rows:,} x {n_axes}, min_samples {MIN_SAMPLES}, eps at the elbow\n")
        print("| task / peer | CPU s | peak MB | warm-up CPU s | quality |\n|---|---|---|---|---|")
        for peer, module in json.loads(listed.stdout).items():
            if not any(peer.startswith(word) or word in peer.split(" / ") for word in options.only.split(";")):
                continue
            python = sys.executable if importlib.util.find_spec(module) else options.python
            record = {"shape": options.shape, "rows": n_rows, "axes": n_axes, "peer": peer}
            record |= {"load": round(os.getloadavg()[0], 1)} | measure(peer, folder, python, options.limit_s)
            record |= judge(folder, truth)
            print(line(record), flush=True)
            if options.json:
                keep(options.json, record)


if __name__ == "__main__":
    main()
