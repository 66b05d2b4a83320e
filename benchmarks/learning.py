"""What learning and scoring cost: a model of a whole market, and a million accounts' evidence.

A market is simulated and loaded once; learning then runs in a process of its own, as `membergate learn` does: who to
learn from, norms, features as of each application, groundwork, head, calibration, and the model on disk. Scoring runs
in another: a million rows of evidence, drawn from the market's own applications and shaken a little, are testified
about in parts, beside LightGBM's prediction of the same rows (150 trees, without any contribution). Printed are seconds
on the wall, CPU seconds of all threads, the peak of resident memory, and the targets.

Usage: `python -m benchmarks.learning [--preset small] [--rows 1000000] [--keep FOLDER]`
With `--keep`, the market stays there and is used again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import lightgbm
import numpy as np

from membergate.learning.features import FeatureTable, Spine
from membergate.learning.model import IdentificationModel, load_model
from membergate.market.simulator import simulate
from membergate.operations.history import History
from membergate.operations.ingest import ingest
from membergate.operations.learn import learn
from membergate.operations.workspace import Workspace

LEARNING_TARGETS = {"small": "3 min, 3 GB", "city": "30 min, 8 GB"}
SCORING_TARGET = "60 CPU s"
PART = 100_000
"""Rows that are testified about at once."""
SAMPLE = 5_000
"""Applications that the million rows are drawn from."""
_SEED = 77


def timed(work: Callable[[], None]) -> tuple[float, float, float]:
    """Do it; give seconds on the wall, CPU seconds, and this process's peak in MB."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    # Not the maximum that getrusage gives: Linux hands a parent's on to the processes that it starts.
    peak = float(Path("/proc/self/status").read_text(encoding="utf-8").split("VmHWM:")[1].split()[0]) / 1024
    return time.perf_counter() - wall, time.process_time() - cpu, peak


def prepare(folder: Path, preset: str) -> None:
    """Simulate and load the market, where it is not there yet."""
    if (folder / "workspace").exists():
        return
    print(f"simulating {preset}", file=sys.stderr, flush=True)
    simulate(folder, preset=preset, seed=_SEED)
    print(f"loading {preset}", file=sys.stderr, flush=True)
    ingest(folder / "workspace", folder / "market", clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))


def learning(folder: Path) -> dict[str, tuple[float, float, float]]:
    """Learn as the command does."""
    return {"learn": timed(lambda: void(learn(Workspace(folder / "workspace"))))}


def testify(model: IdentificationModel, parts: list[FeatureTable]) -> None:
    """Testify about one part after the other."""
    for part in parts:
        model.witness(part)


def void(_: object) -> None:
    """Throw a result away."""


def many_rows(history: History, model: IdentificationModel, rows: int) -> FeatureTable:
    """Draw a table of so many rows from the market's applications, each value shaken by a percent."""
    applications = history.applications()
    few = np.zeros(len(applications), dtype=bool)
    few[:: max(1, len(applications) // SAMPLE)] = True
    spine = applications.take(few).spine
    table = history.features(spine, history.operators(spine), model.norms, model.features)
    rng = np.random.default_rng(_SEED)
    drawn = table.take(rng.integers(0, len(spine), rows))
    values = drawn.values * rng.normal(1, 0.01, drawn.values.shape)
    names = np.arange(rows)
    return FeatureTable(
        Spine(names, names, drawn.spine.as_of), names, drawn.features, values, drawn.absences, drawn.context
    )


def scoring(folder: Path, rows: int) -> dict[str, tuple[float, float, float]]:
    """Testify about many rows, and have LightGBM predict the same."""
    workspace = Workspace(folder / "workspace")
    model = load_model(workspace.models / workspace.chosen_model(None))
    table = many_rows(History(workspace.warehouse()), model, rows)
    model.witness(table.take(np.arange(10)))  # kernels are compiled before the clock starts
    parts = [table.take(np.arange(start, min(start + PART, rows))) for start in range(0, rows, PART)]
    found = {"score": timed(lambda: testify(model, parts))}
    target = np.random.default_rng(0).random(SAMPLE) < 0.1
    peer = lightgbm.LGBMClassifier(n_estimators=150, num_leaves=8, n_jobs=1, verbose=-1)
    peer.fit(table.values[:SAMPLE], target[: len(table.values)])
    return found | {"lightgbm": timed(lambda: void(peer.predict_proba(table.values)))}


def apart(work: Callable[..., dict[str, tuple[float, float, float]]], *told: object) -> dict[str, tuple[float, ...]]:
    """Run it in a process of its own, so that its peak is its own."""
    with get_context("spawn").Pool(1) as pool:
        return dict(pool.apply(work, told))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        prepare(folder, arguments.preset)
        found = apart(learning, folder) | apart(scoring, folder, arguments.rows)
    said = {
        "learn": (f"learn {arguments.preset}", LEARNING_TARGETS.get(arguments.preset, "")),
        "score": (f"score {arguments.rows:,} accounts' evidence", SCORING_TARGET),
        "lightgbm": (f"LightGBM predicts {arguments.rows:,} rows", ""),
    }
    print("| work | wall s | CPU s | peak MB | target |\n|---|---|---|---|---|")
    for name, (wall, cpu, peak) in found.items():
        print(f"| {said[name][0]} | {wall:.1f} | {cpu:.1f} | {peak:.0f} | {said[name][1]} |")


if __name__ == "__main__":
    main()
