"""How hard the simulated market is: what features tell about who is a merchant, each alone and some together.

For each seed a market is simulated and loaded, every application's features are computed as of its submission, and the
area under the ROC curve is taken over the applicants for whom the feature exists. An area below 0.5 is turned round.
Beside them stands a logistic model on the starter features that need no more than the required tables, scored on
operators that it was not fitted on. Printed are the means over seeds with their 95 % t intervals, and the largest.

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
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from membergate.learning.features import LEARNED, STARTER, FeatureTable, fit_norms
from membergate.market.warehouse import literal
from membergate.operations.history import History
from membergate.operations.ingest import ingest
from membergate.operations.simulate import simulate
from membergate.operations.workspace import Workspace

BOUND = 0.90
"""No feature alone may tell more than this."""
TOGETHER = tuple(feature for feature in STARTER if feature[0] in "ABCDL")
"""Starter features that the required tables feed."""
_FOLDS = 4
_TOGETHER = "logistic model"


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


def owners_in(truth: Path) -> dict[str, str]:
    """Read from the simulator's truth folder which operator each account belongs to."""
    file = literal(str(truth / "truth_accounts.parquet"))
    return dict(duckdb.execute(f"SELECT account_id, operator_id FROM read_parquet({file})").fetchall())


def logistic_area(table: FeatureTable, merchants: dict[str, bool], owners: dict[str, str]) -> float:
    """Give the area of a logistic model on the features of `TOGETHER`, over applicants of other folds' operators."""
    accounts = table.spine.account_ids
    truth = np.array([merchants[account] for account in accounts])
    values = table.values[:, [table.features.index(feature) for feature in TOGETHER]]
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        QuantileTransformer(n_quantiles=100),
        LogisticRegression(C=0.3, max_iter=1000),
    )
    groups = np.unique([owners[account] for account in accounts], return_inverse=True)[1]
    folds = GroupKFold(_FOLDS)
    scores = cross_val_predict(model, values, truth, groups=groups, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(truth, scores))


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
    """Simulate one market and give each feature's area, and that of some together."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        simulate(folder, preset=preset, seed=seed)
        workspace = Workspace(folder / "workspace")
        ingest(workspace.root, folder / "market", clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))
        table, merchants = features_of(History(workspace.warehouse())), merchants_in(folder / "truth")
        together = logistic_area(table, merchants, owners_in(folder / "truth"))
        return areas([(table, merchants)]) | {_TOGETHER: together}


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
        print(f"  {feature:14s} {values.mean():.3f} [{values.mean() - half:.3f}, {values.mean() + half:.3f}]"
              f"   largest {values.max():.3f}")  # fmt: skip
    alone = [area for found in measured for feature, area in found.items() if feature != _TOGETHER]
    print(f"  largest of any feature alone {max(alone):.3f} (bound {BOUND})")


if __name__ == "__main__":
    main()
