"""How far simulated households lie from real ones: the marginals of what they buy, and when.

A market is simulated, and the Complete Journey (a year of 2,469 households at a grocer, which the package of the extra
`examples` brings) is loaded; the same SQL over the canonical tables gives the same quantities of both. Of the market
count accounts that live as households and do not trade: light members, families and bargain hunters. For each quantity
are printed its median and 99th percentile on both sides, the Kolmogorov-Smirnov distance, and the Wasserstein distance
as a share of the real mean.

This reads the simulator's truth, which only verification of the simulator may do: nothing learned or decided sees it.

Usage: `python benchmarks/realism_marginals.py [--accounts 6000] [--seed 80]`
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from membergate.market.examples import complete_journey_mapping, write_complete_journey
from membergate.market.warehouse import literal
from membergate.operations.ingest import ingest
from membergate.operations.simulate import simulate
from membergate.operations.workspace import Workspace

HOUSEHOLDS = ("G1", "G2", "G3")
MARGINALS = {
    "units in a line": "SELECT quantity FROM line",
    "lines in an order": "SELECT count(*) FROM line GROUP BY order_id",
    "days between an account's orders": "SELECT gap FROM (SELECT epoch(ordered_at - lag(ordered_at) OVER "
    "(PARTITION BY account_id ORDER BY ordered_at, order_id)) / 86400 AS gap FROM placed) WHERE gap IS NOT NULL",
    "orders of an account in 90 days": "SELECT count(*) / 4 FROM placed, ending "
    "WHERE ordered_at > last_at - INTERVAL 360 DAY GROUP BY account_id",
    "discount on the list price, by account": "SELECT 1 - sum(quantity * net_price_minor) / sum(quantity * "
    "list_price_minor) FROM line GROUP BY account_id HAVING count(*) >= 20",
    "spending of an account over the mean": "SELECT spent / avg(spent) OVER () FROM (SELECT sum(quantity * "
    "net_price_minor) AS spent FROM line GROUP BY account_id)",
}
"""What is compared, over the views `placed` (orders of those who count), `line` (their lines) and `ending`."""
Floats = NDArray[np.float64]


def marginals(market: Path, work: Path, accounts: str, mapping: Path | None = None) -> dict[str, Floats]:
    """Load a market and give every quantity of the accounts that a query names, unordered."""
    workspace = Workspace(work)
    name = None if mapping is None else str(mapping)
    ingest(workspace.root, market, mapping=name, clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))
    with workspace.warehouse().connect() as connection:
        connection.execute(
            "CREATE TEMP TABLE placed AS SELECT DISTINCT ON (order_id) order_id, account_id, ordered_at FROM orders "
            f"WHERE account_id IN ({accounts}) ORDER BY order_id, ordered_at"
        )
        connection.execute("CREATE TEMP VIEW line AS FROM order_lines JOIN placed USING (order_id)")
        connection.execute("CREATE TEMP VIEW ending AS SELECT max(ordered_at) AS last_at FROM placed")
        return {
            name: np.asarray([row[0] for row in connection.execute(sql).fetchall()], dtype=np.float64)
            for name, sql in MARGINALS.items()
        }


def simulated(accounts: int, seed: int, folder: Path) -> dict[str, Floats]:
    """Simulate a market and give the quantities of its households."""
    made = simulate(folder / "simulated", preset="demo", seed=seed, accounts=accounts)
    file = literal(str(made.truth / "truth_accounts.parquet"))
    codes = ", ".join(literal(code) for code in HOUSEHOLDS)
    chosen = f"SELECT account_id FROM read_parquet({file}) WHERE archetype IN ({codes})"
    return marginals(made.market, folder / "workspace", chosen)


def real(folder: Path) -> dict[str, Floats]:
    """Give the quantities of the Complete Journey's households."""
    write_complete_journey(folder / "real")
    chosen = "SELECT account_id FROM accounts"
    return marginals(folder / "real", folder / "real-workspace", chosen, complete_journey_mapping())


def distances(ours: Mapping[str, Floats], theirs: Mapping[str, Floats]) -> dict[str, tuple[float, float]]:
    """Give for each quantity the Kolmogorov-Smirnov distance, and Wasserstein's as a share of the real mean."""
    return {
        name: (
            float(stats.ks_2samp(ours[name], theirs[name]).statistic),
            float(stats.wasserstein_distance(ours[name], theirs[name]) / theirs[name].mean()),
        )
        for name in MARGINALS
    }


def main() -> None:
    """Measure one market."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=6_000)
    parser.add_argument("--seed", type=int, default=80)
    arguments = parser.parse_args()
    duckdb.execute("SET TimeZone = 'UTC'")
    with tempfile.TemporaryDirectory() as temporary:
        ours, theirs = simulated(arguments.accounts, arguments.seed, Path(temporary)), real(Path(temporary))
    print(f"{'':42s}{'simulated: median, 99 %':>26s}{'real: median, 99 %':>22s}{'KS':>8s}{'Wasserstein':>13s}")
    for name, (ks, wasserstein) in distances(ours, theirs).items():
        shown = [f"{np.quantile(side[name], 0.5):.2f}, {np.quantile(side[name], 0.99):.2f}" for side in (ours, theirs)]
        print(f"{name:42s}{shown[0]:>26s}{shown[1]:>22s}{ks:8.2f}{wasserstein:13.2f}")


if __name__ == "__main__":
    main()
