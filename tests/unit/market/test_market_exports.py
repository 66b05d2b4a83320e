"""Exports as they come: columns that are never filled are left out, and overlapping files hold rows twice."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from tests.unit.market.layouts import write_layout

from membergate.domain.errors import BadInputError
from membergate.market.loading import LoadReport
from membergate.market.mapping import find_mapping, parse_mapping
from membergate.operations.ingest import ingest
from membergate.operations.workspace import Workspace


def rows(root: Path, query: str) -> list[tuple[Any, ...]]:
    """Run a query on a workspace."""
    return Workspace(root).warehouse().connect(threads=1).execute(query).fetchall()


def filled(value: Any) -> Any:
    """Leave out what is null, as BigQuery writes JSON lines."""
    if isinstance(value, dict):
        return {key: filled(inner) for key, inner in value.items() if inner is not None}
    return [filled(inner) for inner in value] if isinstance(value, list) else value


def refused(report: LoadReport) -> dict[str, dict[str, int]]:
    """Give what was quarantined, by table."""
    return {table.table: table.quarantined for table in report.tables if table.quarantined}


def test_ga4_leaves_out_what_is_null(tmp_path: Path) -> None:
    """No visitor signs in and the property knows no places: those columns stand on no line, and all else is read."""
    folder = write_layout("ga4", tmp_path / "raw")
    for path in folder.iterdir():
        events = [json.loads(line) for line in path.read_text().splitlines()]
        for event in events:
            for name in ("user_id", "user_first_touch_timestamp", "geo", "traffic_source"):
                del event[name]
        path.write_text("".join(json.dumps(filled(event)) + "\n" for event in events))
    report = ingest(tmp_path / "w", folder, "ga4")
    assert refused(report) == {}
    assert rows(tmp_path / "w", "SELECT order_id, account_id, total_minor FROM orders ORDER BY 1") == [
        ("T1", "web.1", 5950), ("T2", "web.2", 2500),
    ]  # fmt: skip
    assert rows(tmp_path / "w", "SELECT DISTINCT region_code, channel FROM accounts") == [(None, None)]


@pytest.mark.parametrize(
    ("refund", "items", "status"),
    [
        ({}, [], "refunded"),
        ({"refund_value_in_usd": 0.0}, None, "refunded"),
        ({"refund_value_in_usd": 25.0}, [], "refunded"),
        ({"refund_value_in_usd": 5.0}, [], "paid"),
        ({}, [{"item_id": "A1", "quantity": "1"}], "paid"),
    ],
)
def test_a_refund_without_value_and_items_takes_all_back(
    tmp_path: Path, refund: dict[str, float], items: list[dict[str, str]] | None, status: str
) -> None:
    """GA4 needs no more than the transaction for a full refund; one that names a value or items is as large as that."""
    folder = write_layout("ga4", tmp_path / "raw")
    path = folder / "events_20210131.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    (event,) = (event for event in events if event["event_name"] == "refund")
    event |= {"ecommerce": {"transaction_id": "T2", **refund}, "items": items}
    path.write_text("".join(json.dumps(filled(event)) + "\n" for event in events))
    ingest(tmp_path / "w", folder, "ga4")
    assert rows(tmp_path / "w", "SELECT status FROM orders ORDER BY order_id") == [("paid",), (status,)]


def test_online_retail_with_dates_as_a_spreadsheet_saves_them(tmp_path: Path) -> None:
    """American dates are read as the ISO ones are, to the same instants."""
    folder = write_layout("uci_online_retail", tmp_path / "raw")
    ingest(tmp_path / "iso", folder, "uci_online_retail")
    path = folder / "online_retail_II.csv"
    path.write_text(re.sub(r"(\d{4})-0?(\d+)-0?(\d+) 0?(\d+):(\d\d):00", r"\2/\3/\1 \4:\5", path.read_text()))
    assert "12/1/2009 7:45" in path.read_text()
    ingest(tmp_path / "american", folder, "uci_online_retail")
    orders = "SELECT order_id, ordered_at, total_minor FROM orders ORDER BY 1"
    assert rows(tmp_path / "american", orders) == rows(tmp_path / "iso", orders) != []


def without_columns(path: Path, *names: str) -> None:
    """Take columns out of a CSV file."""
    with path.open(newline="") as stream:
        table = list(csv.DictReader(stream))
    kept = [name for name in table[0] if name not in names]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)


def test_shopify_without_columns_that_older_exports_lack(tmp_path: Path) -> None:
    """No telephone number and no discount by line: prices are as they stand, and no telephone tokens are made."""
    folder = write_layout("shopify", tmp_path / "raw")
    for path in folder.glob("orders_export*"):
        without_columns(path, "Phone", "Lineitem discount", "Discount Code")
    report = ingest(tmp_path / "w", folder, "shopify")
    prices = "SELECT net_price_minor FROM order_lines WHERE order_id = '#1001' ORDER BY 1"
    assert rows(tmp_path / "w", prices) == [(1500,), (3000,)]
    assert "phone_tok" not in Workspace(tmp_path / "w").warehouse().columns()["accounts"]
    assert next(table.read for table in report.tables if table.table == "coupon_events") == 0


def overlapping_sheets(folder: Path) -> None:
    """Write two yearly sheets that both hold the invoices of the first days of a December."""
    head = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"
    old = "489434,85048,LIGHTS,12,2009-12-01 07:45:00,6.95,13085.0,United Kingdom\n"
    both = (
        "536365,85123a,HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n"
        "536365,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom\n"
        ",71053,LANTERN,6,2010-12-01 08:26:00,3.39,,United Kingdom\n"
    )
    new = "581587,22138,BAKING SET,3,2011-12-09 12:50:00,4.95,12680.0,France\n"
    folder.mkdir()
    (folder / "online_retail_II_2009.csv").write_text(head + old + both)
    (folder / "online_retail_II_2010.csv").write_text(head + both + new)


def test_an_invoice_in_both_yearly_sheets_counts_once(tmp_path: Path) -> None:
    """Its lines and its total are those of one sheet, and a note counts the others."""
    overlapping_sheets(tmp_path / "raw")
    report = ingest(tmp_path / "w", tmp_path / "raw", "uci_online_retail")
    assert rows(tmp_path / "w", "SELECT order_id, total_minor FROM orders ORDER BY 1") == [
        ("489434", 8340), ("536365", 3564), ("581587", 1485),
    ]  # fmt: skip
    assert rows(tmp_path / "w", "SELECT count(*) FROM order_lines") == [(4,)]
    (note,) = report.warnings
    assert note.startswith("lines: 1 x Invoice in several files, such as online_retail_II_2009.csv; ")
    assert note.endswith("and 2 rows of the others are left out")


def test_parts_of_one_folder_do_not_overlap(tmp_path: Path) -> None:
    """An invoice that a program has cut in two over Parquet parts keeps all its lines."""
    overlapping_sheets(tmp_path / "raw")
    texts = dict.fromkeys(("Invoice", "StockCode", "InvoiceDate", "Customer ID"), pa.string())
    options = pc.ConvertOptions(column_types=texts, strings_can_be_null=True)
    table = pc.read_csv(tmp_path / "raw" / "online_retail_II_2009.csv", convert_options=options)
    parts = tmp_path / "parts" / "online_retail"
    parts.mkdir(parents=True)
    pq.write_table(table.slice(0, 2), parts / "part-0.parquet")
    pq.write_table(table.slice(2), parts / "part-1.parquet")
    report = ingest(tmp_path / "w", tmp_path / "parts", "uci_online_retail")
    assert rows(tmp_path / "w", "SELECT total_minor FROM orders WHERE order_id = '536365'") == [(3564,)]
    assert report.warnings == ()


def test_shopify_exports_of_overlapping_periods(tmp_path: Path) -> None:
    """An order in two files keeps its lines and its total; the later file says how it stands."""
    folder = write_layout("shopify", tmp_path / "raw")
    first = (folder / "orders_export_1.csv").read_text().splitlines(keepends=True)
    later = folder / "orders_export_2.csv"
    again = "".join(line.replace('"fulfilled"', '""') for line in first[1:3])
    later.write_text(later.read_text() + again)
    report = ingest(tmp_path / "w", folder, "shopify")
    assert rows(tmp_path / "w", "SELECT status, total_minor FROM orders WHERE order_id = '#1001'") == [("paid", 6000)]
    assert rows(tmp_path / "w", "SELECT count(*) FROM order_lines WHERE order_id = '#1001'") == [(2,)]
    assert "2 rows of the others are left out" in report.warnings[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("one_file_per: [Name]", "one_file_per: [Nam]", ["no column 'Nam'", "did you mean Name?", "line"]),
        ("one_file_per: [Name]", "one_file_per: [Phone]", ["Phone may be missing", "line"]),
        ("may_lack: [Phone", "may_lack: [7, Phone", ["may_lack lists column names", "line"]),
        ("one_file_per: [Name]", "one_file: [Name]", ["did you mean one_file_per?"]),
    ],
)
def test_a_source_that_says_something_wrong(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    """The error names the line."""
    folder, text = write_layout("shopify", tmp_path / "raw"), find_mapping("shopify").read_text()
    assert old in text
    (tmp_path / "m.yaml").write_text(text.replace(old, new))
    with pytest.raises(BadInputError) as error:
        ingest(tmp_path / "w", folder, tmp_path / "m.yaml")
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_source_made_from_another_lies_in_no_files() -> None:
    """What is said of files is refused there."""
    text = "version: 1\nsources:\n  a: {from: b, one_file_per: [x]}\ntables: {}"
    with pytest.raises(BadInputError, match="unknown key 'one_file_per'"):
        parse_mapping(text, origin="m.yaml")
