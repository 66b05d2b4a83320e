"""A hand-made market, so that each test shows the few rows that matter to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

Row = dict[str, object]
Market = Callable[..., duckdb.DuckDBPyConnection]

START = datetime(2025, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    """Give the instant `number` days after the start of the hand-made market."""
    return START + timedelta(days=number)


@pytest.fixture
def at() -> Callable[[float], datetime]:
    """Days of the hand-made market as aware instants."""
    return day


@pytest.fixture(scope="session")
def database() -> duckdb.DuckDBPyConnection:
    """One database for all tests, since opening one costs more than a test; each market is a connection of its own."""
    return duckdb.connect(config={"threads": 1})


@pytest.fixture
def market(database: duckdb.DuckDBPyConnection) -> Market:
    """Make tables from rows; `seen` and `replaced` are days, from which come `visible_at` and `superseded_at`."""

    def make(**tables: list[Row]) -> duckdb.DuckDBPyConnection:
        connection = database.cursor()
        connection.execute("SET TimeZone = 'UTC'")
        for table, rows in tables.items():
            connection.register(table, _arrow(rows))
        return connection

    return make


def _arrow(rows: list[Row]) -> pa.Table:
    names = sorted({name for row in rows for name in row} - {"seen", "replaced"})
    columns: dict[str, pa.Array] = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    for name, source in (("visible_at", "seen"), ("superseded_at", "replaced")):
        days = [row.get(source) for row in rows]
        instants = [None if d is None else day(float(str(d))).replace(tzinfo=None) for d in days]
        columns[name] = pa.array(instants, pa.timestamp("us"))
    return pa.table(columns)
