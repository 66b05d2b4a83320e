"""Ingest as a property: however a log of rows is cut into exports, the warehouse ends up with the same rows."""

from __future__ import annotations

import csv
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from membergate.market.loading import load
from membergate.market.warehouse import Warehouse

Row = dict[str, Any]

ORDER = st.fixed_dictionaries(
    {
        "order_id": st.sampled_from(["o1", "o2"]),
        "account_id": st.sampled_from(["ada", "ada", "ada", "bo"]),
        "ordered_at": st.just("2025-02-01T00:00:00Z"),
        "status": st.sampled_from(["placed", "paid", "delivered"]),
        "currency": st.just("CNY"),
        "total_minor": st.sampled_from(["1000", "1000", "1000", "2000", "x"]),
        "channel": st.sampled_from(["", "app", "web"]),
        "ingested_at": st.sampled_from(["2025-02-01T01:00:00Z", "2025-02-02T00:00:00Z", "2025-02-03T00:00:00Z"]),
    }
)
FIXED: dict[str, list[Row]] = {
    "accounts": [{"account_id": name, "registered_at": "2025-01-01T00:00:00Z"} for name in ("ada", "bo")],
    "applications": [{"application_id": "a", "account_id": "ada", "submitted_at": "2025-06-01", "plan": "gold"}],
    "order_lines": [
        {"line_id": "l", "order_id": "base", "sku_id": "s", "quantity": 1, "list_price_minor": 5, "net_price_minor": 5}
    ],
    "skus": [{"sku_id": "s", "category_l1": "food"}],
}
BASE: Row = {
    "order_id": "base", "account_id": "ada", "ordered_at": "2025-02-01T00:00:00Z", "status": "paid",
    "currency": "CNY", "total_minor": "5", "channel": "", "ingested_at": "2025-02-01T00:00:00Z",
}  # fmt: skip


def write(folder: Path, orders: list[Row]) -> Path:
    """Write one export."""
    folder.mkdir()
    for name, rows in {**FIXED, "orders": [BASE, *orders]}.items():
        with (folder / f"{name}.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def ingest_in_parts(root: Path, orders: list[Row], cuts: list[int]) -> tuple[Any, set[str]]:
    """Ingest the rows cut at these places, and give the orders with the reasons for which rows were refused."""
    warehouse = Warehouse.open_or_create(root / "warehouse")
    reasons: set[str] = set()
    for number, (start, end) in enumerate(pairwise([0, *cuts, len(orders)])):
        report = load(write(root / f"export{number}", orders[start:end]), warehouse)
        for table in report.tables:
            assert table.read == table.loaded + table.already_known + table.revised + sum(table.quarantined.values())
            reasons |= set(table.quarantined)
    rows = warehouse.connect(threads=1).execute("SELECT * FROM orders ORDER BY ALL").fetchall()
    return rows, reasons


@given(orders=st.lists(ORDER, max_size=7), data=st.data())
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_cutting_a_log_changes_nothing(orders: list[Row], data: st.DataObject) -> None:
    """A log in the order of its ingestion gives the same versions at once, in two exports, and once more on top."""
    log = sorted(orders, key=lambda row: str(row["ingested_at"]))
    cut = data.draw(st.integers(0, len(log)))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("whole", "parts", "twice"):
            (Path(folder) / name).mkdir()
        whole = ingest_in_parts(Path(folder) / "whole", log, [])
        parts = ingest_in_parts(Path(folder) / "parts", log, [cut])
        twice = ingest_in_parts(Path(folder) / "twice", log + log, [len(log)])
    assert parts == whole
    assert twice == whole
