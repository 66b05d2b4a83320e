"""How hard the simulated market is: what each starter feature alone tells about who is a merchant.

For each seed a market is simulated and loaded, every application's features are computed as of its submission, and the
area under the ROC curve is taken over the applicants for whom the feature exists. An area below 0.5 is turned round.
Printed for each feature are the mean over seeds with its 95 % t interval, and the largest.

This reads the simulator's truth, which only verification of the simulator may do: nothing learned or decided sees it.

Usage: `python benchmarks/realism.py [--preset demo] [--seeds 40 41 42 43 44]`
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score

from membergate.learning.features import LEARNED, FeatureTable, fit_norms
from membergate.market.warehouse import literal
from membergate.operations.history import History
from membergate.operations.ingest import ingest
from membergate.operations.simulate import simulate
from membergate.operations.workspace import Workspace

BOUND = 0.90
"""No feature alone may tell more than this."""


def features_of(history: History) -> FeatureTable:
    """Compute every feature that models learn from for every application, as of its submission."""
    spine = history.applications().spine
    norms = fit_norms(history.connection, history.last_instant, LEARNED)
    return history.features(spine, history.operators(spine), norms, LEARNED)


def merchants_in(truth: Path) -> dict[str, bool]:
    """Read from the simulator's truth folder which accounts belong to a merchant."""
    rows = duckdb.execute(
        f"SELECT account_id, is_merchant FROM read_parquet({literal(str(truth / 'truth_accounts.parquet'))}) "
        f"JOIN read_parquet({literal(str(truth / 'truth_operators.parquet'))}) USING (operator_id)"
    ).fetchall()
    return dict(rows)


def areas(tables: list[tuple[FeatureTable, dict[str, bool]]]) -> dict[str, float]:
    """Give each feature's area under the curve over several markets' applications together, turned to be 0.5 or more.

    Parameters
    ----------
    tables
        A market's features, and whether each account is a merchant.
    """
    truth = np.concatenate([[merchants[account] for account in table.spine.account_ids] for table, merchants in tables])
    found = {}
    for column, feature in enumerate(tables[0][0].features):
        values = np.concatenate([table.values[:, column] for table, _ in tables])
        is_there = np.isfinite(values)
        area = float(roc_auc_score(truth[is_there], values[is_there]))
        found[feature] = max(area, 1 - area)
    return found


def measure(preset: str, seed: int) -> dict[str, float]:
    """Simulate one market and give each feature's area."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        simulate(folder, preset=preset, seed=seed)
        workspace = Workspace(folder / "workspace")
        ingest(workspace.root, folder / "market", clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))
        return areas([(features_of(History(workspace.warehouse())), merchants_in(folder / "truth"))])


def main() -> None:
    """Measure all seeds and print one line a feature."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--seeds", type=int, nargs="+", default=[40, 41, 42, 43, 44])
    arguments = parser.parse_args()
    measured = [measure(arguments.preset, seed) for seed in arguments.seeds]
    print(f"area under the curve of each feature alone, preset {arguments.preset}, {len(measured)} seeds")
    for feature in measured[0]:
        values = np.array([found[feature] for found in measured])
        half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
        print(f"  {feature:3s} {values.mean():.3f} [{values.mean() - half:.3f}, {values.mean() + half:.3f}]"
              f"   largest {values.max():.3f}")  # fmt: skip
    print(f"  largest of all {max(max(found.values()) for found in measured):.3f} (bound {BOUND})")


if __name__ == "__main__":
    main()
