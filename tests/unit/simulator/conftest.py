"""One tiny market for all tests of the simulator, made once."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from membergate.market.simulator import SimulationReport, simulate


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SimulationReport:
    """Give a tiny market with seed 7."""
    return simulate(tmp_path_factory.mktemp("tiny"), preset="tiny", seed=7)


@pytest.fixture(scope="session")
def small_market(tmp_path_factory: pytest.TempPathFactory) -> SimulationReport:
    """Give a market of 300 accounts with seed 5."""
    return simulate(tmp_path_factory.mktemp("small"), preset="tiny", seed=5, accounts=300)


@pytest.fixture(scope="session")
def tables(tiny: SimulationReport) -> duckdb.DuckDBPyConnection:
    """Give the tiny market and its truth as views; `last_orders` holds the last version of each order."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
    for folder in (tiny.market, tiny.truth):
        for file in sorted(Path(folder).glob("*.parquet")):
            connection.execute(f"CREATE VIEW {file.stem} AS SELECT * FROM '{file}'")
    connection.execute(
        "CREATE TABLE last_orders AS SELECT DISTINCT ON (order_id) * FROM orders ORDER BY order_id, ingested_at DESC"
    )
    return connection
