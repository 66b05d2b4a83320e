"""Oddities that spoil no row: an ingest ends within bounds, loads everything, and says in words what is odd."""

from __future__ import annotations

import resource
from pathlib import Path

import duckdb
import pytest

from membergate.operations.ingest import ingest

ORDERS = 60_000
_TABLES = {
    "accounts": "SELECT 'a' || i AS account_id, '2025-01-01T00:00:00Z' AS registered_at FROM range({n}) AS r(i)",
    "applications": (
        "SELECT 'p' || i AS application_id, 'a' || i AS account_id, '2025-06-01T00:00:00Z' AS submitted_at, "
        "'gold' AS plan FROM range({n}) AS r(i)"
    ),
    "orders": (
        "SELECT 'o' || i AS order_id, 'a' || i AS account_id, '2025-02-01T00:00:00Z' AS ordered_at, 'paid' AS status, "
        "'CNY' AS currency, 1000 AS total_minor, 'x' || i AS address_id, '2025-02-01T00:00:10Z' AS paid_at "
        "FROM range({n}) AS r(i)"
    ),
    "order_lines": (
        "SELECT 'l' || i AS line_id, 'o' || i AS order_id, 's' || (i % 100) AS sku_id, 1 AS quantity, "
        "1000 AS list_price_minor, 1000 AS net_price_minor FROM range({n}) AS r(i)"
    ),
    "skus": (
        "SELECT 's' || i AS sku_id, 'food' AS category_l1, 'c' || (i % 7) AS category_l2, "
        "'d' || (i % 14) AS category_l3 FROM range(100) AS r(i)"
    ),
}
CASES = {
    "nothing odd": ("orders", "", []),
    "one account with every order": (
        "orders", "REPLACE ('a1' AS account_id)", ["one account_id, 'a1', stands on 100%"],
    ),
    "one address of every account": (
        "orders", "REPLACE ('x' AS address_id)", ["one address_id, 'x'", f"from {ORDERS:,} accounts"],
    ),
    "an article in every basket": ("order_lines", "REPLACE ('s1' AS sku_id)", ["one sku_id, 's1', stands on 100%"]),
    "ids in another case": (
        "accounts",
        "REPLACE (CASE account_id WHEN 'a3' THEN 'A4' WHEN 'a5' THEN ' a6' ELSE account_id END AS account_id)",
        ["2 ids differ", "' a6' and 'a6'", "lower(trim(account_id))"],
    ),
    "clocks that run backwards": (
        "orders", "REPLACE ('2025-01-31T00:00:00Z' AS paid_at)", [f"in {ORDERS:,} rows paid_at lies before ordered_at"],
    ),
    "a category tree with holes": (
        "skus",
        (
            "REPLACE (CASE WHEN category_l3 = 'd1' THEN NULL ELSE category_l2 END AS category_l2, "
            "CASE WHEN sku_id = 's9' THEN 'books' ELSE 'food' END AS category_l1)"
        ),
        ["have a category_l3 and no category_l2", "1 values of category_l2 hang below more than one category_l1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_odd_is_said(case: str, tmp_path: Path) -> None:
    """Each oddity has its sentence, an ordinary market has none, and an account that nobody knows is an orphan only."""
    table, change, words = CASES[case]
    folder = tmp_path / "market"
    folder.mkdir()
    for name, query in _TABLES.items():
        rows = query.format(n=ORDERS)
        select = f"SELECT * {change} FROM ({rows})" if name == table else rows
        duckdb.execute(f"COPY ({select}) TO '{folder / name}.parquet'")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = ingest(tmp_path / "workspace", folder)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    said = " ".join(report.warnings)
    assert all(word in said for word in words), said
    assert bool(report.warnings) is bool(words)
    assert next(t.read for t in report.tables if t.table == "orders") == ORDERS
    assert grown < 1_000_000  # kilobytes
