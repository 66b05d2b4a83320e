"""A feature table that is brought up to date knows what was loaded since, also what happened long before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from membergate.domain.errors import BadInputError
from membergate.learning.features import Norms, Spine, availability
from membergate.market.warehouse import literal
from membergate.operations.features import as_arrow, compute_features, refresh_features
from membergate.operations.history import History
from membergate.operations.ingest import ingest
from membergate.operations.workspace import Workspace

LATE = "account_id IN (SELECT account_id FROM few WHERE place <= 3)"
"""Whose rows reach the second export only: they are as old as everybody's."""


@pytest.fixture
def exports(market: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Give a market of 120 accounts in two exports: three accounts, and a tenth of all sign-ins, come second."""
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
    with duckdb.connect(":memory:") as connection:
        for file in market.glob("*.parquet"):
            connection.execute(f"CREATE VIEW {file.stem} AS SELECT * FROM {literal(str(file))}")
        connection.execute(
            "CREATE TABLE few AS SELECT account_id, row_number() OVER (ORDER BY account_id) AS place FROM "
            "(SELECT DISTINCT account_id FROM applications ORDER BY account_id LIMIT 120)"
        )
        among = "account_id IN (SELECT account_id FROM few)"
        whose = {
            "accounts": (among, LATE), "applications": (among, LATE), "orders": (among, LATE),
            "order_lines": (f"order_id IN (SELECT order_id FROM orders WHERE {among})",
                            f"order_id IN (SELECT order_id FROM orders WHERE {LATE})"),
            "skus": ("true", "sku_id IN (SELECT min(sku_id) FROM skus)"),
            "logins": (among, f"({LATE} OR hash(login_id) % 10 = 0)"),
        }  # fmt: skip
        for name, (kept, late) in whose.items():
            for folder, which in zip(folders, (f"NOT ({late})", late), strict=True):
                target = literal(str(folder / f"{name}.parquet"))
                connection.execute(f"COPY (SELECT * FROM {name} WHERE {kept} AND {which}) TO {target}")
    return folders


def test_what_comes_late_is_computed(
    exports: tuple[Path, Path], tmp_path: Path, still_clock: Callable[[], datetime]
) -> None:
    """Accounts that were not there yet, and rows from long ago, change the table to what a full computation gives."""
    workspace, table = Workspace(tmp_path / "workspace"), tmp_path / "features.parquet"
    ingest(workspace.root, exports[0], clock=still_clock)
    first = compute_features(workspace, table)
    assert first > 100
    assert refresh_features(workspace, table) == (0, first)
    before = pq.read_table(table)
    ingest(workspace.root, exports[1], clock=still_clock)
    again, rows = refresh_features(workspace, table)
    assert rows == first + 3
    assert again == rows
    found, history = pq.read_table(table), History(workspace.warehouse())
    instants = found["as_of"].to_numpy().astype("datetime64[us]")
    accounts = np.array(found["account_id"].to_pylist(), dtype=object)
    usable = [entry.feature.id for entry in availability(history.warehouse.columns()) if entry.is_computable]
    spine = Spine(accounts, accounts, instants)
    norms = Norms.load(table.with_suffix(".norms"))
    full = as_arrow(history.features(spine, history.operators(spine), norms, usable))
    assert found.equals(full.cast(found.schema))
    assert not before.equals(found)
    assert refresh_features(workspace, table) == (0, rows)


def test_a_table_is_not_brought_back(
    exports: tuple[Path, Path], tmp_path: Path, still_clock: Callable[[], datetime]
) -> None:
    """An instant before the table's own, and a table of unknown making, are refused; the table stays."""
    workspace, table = Workspace(tmp_path / "workspace"), tmp_path / "features.parquet"
    ingest(workspace.root, exports[0], clock=still_clock)
    compute_features(workspace, table)
    content = table.read_bytes()
    last = History(workspace.warehouse()).last_instant
    with pytest.raises(BadInputError, match="stands as of"):
        refresh_features(workspace, table, as_of=last - timedelta(days=9))
    assert table.read_bytes() == content
    pq.write_table(pq.read_table(table).replace_schema_metadata(None), table)
    with pytest.raises(BadInputError, match="does not say what it was computed from"):
        refresh_features(workspace, table)
