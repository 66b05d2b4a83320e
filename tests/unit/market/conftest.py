"""A market small enough to read, and ways to write it, load it and look at it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from membergate.market.loading import LoadReport, TableReport, load
from membergate.market.warehouse import Warehouse

Row = dict[str, Any]

_TABLES: dict[str, list[Row]] = {
    "accounts": [
        {"account_id": "ada", "registered_at": "2025-01-01T00:00:00Z", "phone_tok": "t1", "is_seller": "false"},
        {"account_id": "bo", "registered_at": "2025-01-02T00:00:00Z", "phone_tok": None, "is_seller": "false"},
    ],
    "applications": [
        {"application_id": "ap1", "account_id": "ada", "submitted_at": "2025-06-01T00:00:00Z", "plan": "gold"},
        {"application_id": "ap2", "account_id": "bo", "submitted_at": "2025-06-02T00:00:00Z", "plan": "gold"},
    ],
    "orders": [
        {"order_id": "o1", "account_id": "ada", "ordered_at": "2025-02-01T10:00:00Z", "status": "paid",
         "currency": "CNY", "total_minor": "2500", "shipping_minor": "500"},
        {"order_id": "o2", "account_id": "ada", "ordered_at": "2025-02-03T10:00:00Z", "status": "placed",
         "currency": "CNY", "total_minor": "1000", "shipping_minor": None},
        {"order_id": "o3", "account_id": "bo", "ordered_at": "2025-02-02T10:00:00Z", "status": "delivered",
         "currency": "CNY", "total_minor": "900", "shipping_minor": None},
    ],
    "order_lines": [
        {"line_id": "l1", "order_id": "o1", "sku_id": "s1", "quantity": "2", "list_price_minor": "1200",
         "net_price_minor": "1000"},
        {"line_id": "l2", "order_id": "o2", "sku_id": "s1", "quantity": "1", "list_price_minor": "1200",
         "net_price_minor": "1000"},
        {"line_id": "l3", "order_id": "o3", "sku_id": "s2", "quantity": "3", "list_price_minor": "300",
         "net_price_minor": "300"},
    ],
    "skus": [
        {"sku_id": "s1", "category_l1": "food", "market_price_minor": "1300"},
        {"sku_id": "s2", "category_l1": "books", "market_price_minor": None},
    ],
}  # fmt: skip


class SmallMarket:
    """Five required tables as lists of rows, every value a text, to be changed by a test and written in any format."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written = 0
        self.tables: dict[str, list[Row]] = deepcopy(_TABLES)

    def write(self, ending: str = ".csv") -> Path:
        """Write all tables into a fresh folder and give it."""
        self._written += 1
        folder = self._folder / f"market{self._written}"
        folder.mkdir(parents=True)
        for name, rows in self.tables.items():
            (folder / f"{name}{ending}").write_bytes(_WRITERS[ending](rows))
        return folder


def as_csv(rows: list[Row]) -> bytes:
    """Write rows as CSV in UTF-8."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, names)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def _as_jsonl(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _as_parquet(rows: list[Row]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    sink = io.BytesIO()
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), sink)
    return sink.getvalue()


_WRITERS: dict[str, Callable[[list[Row]], bytes]] = {".csv": as_csv, ".jsonl": _as_jsonl, ".parquet": _as_parquet}


@pytest.fixture
def small(tmp_path: Path) -> SmallMarket:
    """Give a market that loads without a fault."""
    return SmallMarket(tmp_path / "folders")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """Give an empty warehouse."""
    return Warehouse.open_or_create(tmp_path / "warehouse")


@pytest.fixture
def report_of() -> Callable[[LoadReport, str], TableReport]:
    """Give a way to find one table's report."""
    return lambda report, table: next(found for found in report.tables if found.table == table)


@pytest.fixture
def rows_of() -> Callable[[Warehouse, str], list[tuple[Any, ...]]]:
    """Give a way to run a query over a warehouse."""
    return lambda warehouse, query: warehouse.connect(threads=1).execute(query).fetchall()


def accounts_for(report: LoadReport) -> bool:
    """Tell whether every row that was read is accounted for."""
    return all(t.read == t.loaded + t.already_known + t.revised + sum(t.quarantined.values()) for t in report.tables)


@pytest.fixture
def load_all(warehouse: Warehouse) -> Callable[[Path], LoadReport]:
    """Give a way to load a folder that checks the books each time."""

    def load_and_check(folder: Path, **options: Any) -> LoadReport:
        report = load(folder, warehouse, **options)
        assert accounts_for(report)
        return report

    return load_and_check
