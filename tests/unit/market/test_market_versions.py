"""Versions: what a later ingest of a row that is already known changes, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from membergate.market.loading import LoadReport
from membergate.market.warehouse import Warehouse

Load = Callable[..., LoadReport]
Rows = Callable[[Warehouse, str], list[tuple[Any, ...]]]


def test_a_later_version_supersedes_the_one_before(
    small: Any, warehouse: Warehouse, load_all: Load, rows_of: Rows
) -> None:
    """With a later ingested_at, an order's new status is seen from then on, and the old one until then."""
    for row in small.tables["orders"]:
        row["ingested_at"] = "2025-02-04T00:00:00Z"
    load_all(small.write())
    small.tables["orders"][1] |= {"status": "delivered", "ingested_at": "2025-02-10T00:00:00Z"}
    report = load_all(small.write())
    assert {t.table: (t.loaded, t.already_known, t.revised) for t in report.tables}["orders"] == (1, 2, 0)
    as_of = (
        "SELECT status FROM orders WHERE order_id = 'o2' AND visible_at <= TIMESTAMP '{0}' "
        "AND (superseded_at IS NULL OR superseded_at > TIMESTAMP '{0}')"
    )
    assert rows_of(warehouse, as_of.format("2025-02-03")) == []
    assert rows_of(warehouse, as_of.format("2025-02-09")) == [("placed",)]
    assert rows_of(warehouse, as_of.format("2025-02-10")) == [("delivered",)]


def test_versions_in_one_file_in_any_order(small: Any, warehouse: Warehouse, load_all: Load, rows_of: Rows) -> None:
    """A log that holds several versions of a row gives the same chain whatever its order, and drops repeats."""
    base = small.tables["orders"].pop(1)
    versions = [
        base | {"status": status, "ingested_at": f"2025-02-{day}T00:00:00Z"}
        for day, status in [("09", "shipped"), ("04", "placed"), ("06", "placed"), ("08", "paid")]
    ]
    small.tables["orders"] += versions
    report = load_all(small.write())
    orders = next(t for t in report.tables if t.table == "orders")
    assert (orders.loaded, orders.already_known) == (5, 1)
    chain = "SELECT status, day(visible_at), day(superseded_at) FROM orders WHERE order_id = 'o2' ORDER BY visible_at"
    assert rows_of(warehouse, chain) == [("placed", 4, 8), ("paid", 8, 9), ("shipped", 9, None)]


def test_without_ingestion_times_a_changed_status_is_a_revision(
    small: Any, warehouse: Warehouse, load_all: Load, rows_of: Rows
) -> None:
    """The same instant, another status: the row says the last word, and the report counts a revision."""
    load_all(small.write())
    small.tables["orders"][1]["status"] = "delivered"
    report = load_all(small.write())
    assert {t.table: (t.loaded, t.already_known, t.revised) for t in report.tables}["orders"] == (0, 2, 1)
    assert rows_of(warehouse, "SELECT status, superseded_at FROM orders WHERE order_id = 'o2'") == [("delivered", None)]
    assert warehouse.rows()["orders"] == 3


def test_a_static_table_is_revised_by_its_next_export(
    small: Any, warehouse: Warehouse, load_all: Load, rows_of: Rows
) -> None:
    """A SKU has no instants of its own, so its new market price replaces the old one."""
    load_all(small.write())
    small.tables["skus"][0]["market_price_minor"] = "1700"
    report = load_all(small.write())
    assert {t.table: t.revised for t in report.tables}["skus"] == 1
    assert rows_of(warehouse, "SELECT market_price_minor FROM skus WHERE sku_id = 's1'") == [(1700,)]


def test_a_wider_export_fills_in_and_a_narrower_one_takes_nothing_away(
    small: Any, warehouse: Warehouse, load_all: Load, rows_of: Rows
) -> None:
    """A value where there was none is a revision; a column that an export lacks says nothing about its values."""
    load_all(small.write())
    small.tables["accounts"][1]["phone_tok"] = "t2"
    assert {t.table: t.revised for t in load_all(small.write()).tables}["accounts"] == 1
    for row in small.tables["accounts"]:
        del row["phone_tok"]
    assert {t.table: t.already_known for t in load_all(small.write()).tables}["accounts"] == 2
    small.tables["accounts"][1] |= {"is_seller": "true", "ingested_at": "2025-03-01T00:00:00Z"}
    load_all(small.write())
    last = "SELECT phone_tok, is_seller FROM accounts WHERE account_id = 'bo' AND superseded_at IS NULL"
    assert rows_of(warehouse, last) == [("t2", True)]
