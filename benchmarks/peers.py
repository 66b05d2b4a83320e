"""What it buys to measure features against peers: how well each tells merchants, against whom it is measured.

Simulated markets of 2,000 accounts; the applicants' features as of their applications, in robust deviations from
everyone, from peers of like tenure, of like tenure and calendar regime, and of like kind of place as well. Printed is
the area under the curve, mean over the features with a sense of risk, against the simulator's truth (which only such
benchmarks read), and the difference to everyone with a 95 % interval over the markets.

Usage: `PYTHONPATH=. python benchmarks/peers.py [--markets 8]`
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from membergate.learning.features import CATALOGUE, LEARNED, FeatureTable, fit_norms
from membergate.learning.model.space import ContextSpace
from membergate.market.simulator import simulate
from membergate.operations.history import History, aware
from membergate.operations.ingest import ingest
from membergate.operations.workspace import Workspace

PEERS: tuple[tuple[str, ...], ...] = ((), ("tenure",), ("tenure", "regime"), ("tenure", "regime", "place"))
FIRST_SEED = 700


def main() -> None:
    """Measure on a few markets, and print a row a set of peers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markets", type=int, default=8)
    markets = parser.parse_args().markets
    areas = np.array([_areas(FIRST_SEED + seed) for seed in range(markets)])
    reach = float(stats.t.ppf(0.975, markets - 1)) / markets**0.5
    print(f"| peers | area, mean of features | more than everyone | 95 % interval, {markets} markets |")
    print("|-|-:|-:|-|")
    for column, keys in enumerate(PEERS):
        gain = areas[:, column] - areas[:, 0]
        spread = reach * float(gain.std(ddof=1))
        interval = f"[{gain.mean() - spread:+.4f}, {gain.mean() + spread:+.4f}]" if column else ""
        print(f"| {' x '.join(keys) or 'everyone'} | {areas[:, column].mean():.4f} | {gain.mean():+.4f} | {interval} |")


def _areas(seed: int) -> list[float]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        simulate(folder / "simulated", preset="tiny", seed=seed)
        ingest(folder / "workspace", folder / "simulated" / "market")
        history = History(Workspace(folder / "workspace").warehouse())
        asked = history.applications()
        norms = fit_norms(history.connection, aware(asked.submitted_at[len(asked) // 2]), LEARNED)
        table = history.features(asked.spine, history.operators(asked.spine), norms, LEARNED)
        accounts, operators = (
            pq.read_table(folder / "simulated" / "truth" / f"truth_{name}.parquet")
            for name in ("accounts", "operators")
        )
    who = accounts.join(operators.select(["operator_id", "is_merchant"]), "operator_id").to_pylist()
    merchants = {row["account_id"] for row in who if row["is_merchant"]}
    is_merchant = np.array([account in merchants for account in table.spine.account_ids.tolist()])
    return [_mean_area(table, is_merchant, keys) for keys in PEERS]


def _mean_area(table: FeatureTable, is_merchant: NDArray[np.bool_], keys: tuple[str, ...]) -> float:
    space = ContextSpace.fit(table, by_peers=bool(keys), peers=keys).transform(table)
    found = []
    for column, name in enumerate(table.features):
        seen = table.absences[:, column] == 0
        if CATALOGUE[name].sense and is_merchant[seen].any() and not is_merchant[seen].all():
            found.append(roc_auc_score(is_merchant[seen], CATALOGUE[name].sense * space[seen, column]))
    return float(np.mean(found))


if __name__ == "__main__":
    main()
