"""Loading: what arrives in the views, from any format, and what each row is counted as."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from membergate.domain.errors import BadInputError, NotEnoughDataError, WorkspaceError
from membergate.market.declaring import Kind
from membergate.market.loading import LoadReport, load
from membergate.market.schema import TABLES
from membergate.market.warehouse import Warehouse, usual_memory

Load = Callable[..., LoadReport]
Rows = Callable[[Warehouse, str], list[tuple[Any, ...]]]
LINES = "SELECT * FROM order_lines ORDER BY line_id"


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_rows(
    small: Any, warehouse: Warehouse, load_all: Load, rows_of: Rows, ending: str
) -> None:
    """CSV, JSON lines and Parquet of the same market are the same market."""
    report = load_all(small.write(ending))
    assert report.warnings == ()
    assert [(t.table, t.loaded) for t in report.tables] == [
        ("accounts", 2), ("applications", 2), ("orders", 3), ("order_lines", 3), ("skus", 2),
    ]  # fmt: skip
    at = datetime(2025, 2, 1, 10)  # noqa: DTZ001 # the warehouse keeps naive UTC
    assert rows_of(warehouse, LINES)[0] == ("l1", "o1", "s1", 2, 1200, 1000, "ada", at, at, at, None)
    assert rows_of(warehouse, "SELECT account_id, phone_tok, is_seller FROM accounts ORDER BY 1") == [
        ("ada", "t1", False), ("bo", None, False),
    ]  # fmt: skip
    assert rows_of(warehouse, "SELECT visible_at FROM skus LIMIT 1") == [(datetime(1970, 1, 1),)]  # noqa: DTZ001


def test_the_warehouse_says_what_it_holds(small: Any, warehouse: Warehouse, load_all: Load) -> None:
    """Columns are those that came, rows are counted, the last instant leaves announcements out."""
    small.tables["promotions"] = [
        {"promotion_id": "p", "name": "next year", "starts_at": "2026-11-01", "ends_at": "2026-11-12"}
    ]
    load_all(small.write())
    assert warehouse.columns()["orders"] == (
        "order_id", "account_id", "ordered_at", "status", "currency", "total_minor", "shipping_minor",
    )  # fmt: skip
    assert warehouse.rows()["order_lines"] == 3
    assert warehouse.last_instant() == datetime(2025, 6, 2, tzinfo=UTC)
    assert warehouse.currency == "CNY"
    assert Warehouse.open(warehouse.root).fingerprint == warehouse.fingerprint
    warehouse.verify()


def test_a_part_carries_the_columns_that_only_other_parts_have(
    small: Any, warehouse: Warehouse, load_all: Load, rows_of: Rows
) -> None:
    """A column that comes with a later ingest is NULL in the rows before it."""
    load_all(small.write())
    small.tables["orders"] = [small.tables["orders"][0] | {"order_id": "o9", "store_id": "north"}]
    small.tables["order_lines"] = [small.tables["order_lines"][0] | {"line_id": "l9", "order_id": "o9"}]
    load_all(small.write())
    assert "store_id" in warehouse.columns()["orders"]
    assert rows_of(warehouse, "SELECT order_id, store_id FROM orders ORDER BY 1")[-2:] == [
        ("o3", None),
        ("o9", "north"),
    ]


def test_a_second_ingest_changes_nothing(small: Any, warehouse: Warehouse, load_all: Load) -> None:
    """The same folder again is known word for word: no row, no part, no new fingerprint."""
    folder = small.write()
    load_all(folder)
    before = warehouse.fingerprint, sorted(warehouse.root.rglob("*"))
    report = load_all(folder)
    assert all(t.already_known == t.read and t.loaded == 0 for t in report.tables)
    assert (warehouse.fingerprint, sorted(warehouse.root.rglob("*"))) == before


def test_overlapping_ingests_neither_double_nor_lose(
    small: Any, warehouse: Warehouse, load_all: Load, rows_of: Rows
) -> None:
    """Two exports that share an order give each order and line once."""
    whole = {name: list(rows) for name, rows in small.tables.items()}
    small.tables["orders"], small.tables["order_lines"] = whole["orders"][:2], whole["order_lines"][:2]
    load_all(small.write())
    small.tables["orders"], small.tables["order_lines"] = whole["orders"][1:], whole["order_lines"][1:]
    report = load_all(small.write(".parquet"))
    assert {t.table: (t.loaded, t.already_known) for t in report.tables}["order_lines"] == (1, 1)
    assert [row[0] for row in rows_of(warehouse, LINES)] == ["l1", "l2", "l3"]


def test_two_warehouses_of_the_same_market_are_the_same_bytes(small: Any, tmp_path: Path, load_all: Load) -> None:
    """What a model's lineage names can be made again: equal input gives equal fingerprints."""
    folder = small.write()
    first, second = (Warehouse.open_or_create(tmp_path / name) for name in ("one", "two"))
    load(folder, first)
    load(folder, second)
    assert first.fingerprint == second.fingerprint


def test_a_repeated_line_in_one_file_is_one_line(
    small: Any, warehouse: Warehouse, load_all: Load, rows_of: Rows
) -> None:
    """An identical duplicate is counted as known, not doubled, and does not spoil the order's total."""
    small.tables["order_lines"] += [dict(small.tables["order_lines"][1])] * 3
    report = load_all(small.write())
    assert {t.table: (t.loaded, t.already_known) for t in report.tables}["order_lines"] == (3, 3)
    assert {t.table: t.quarantined for t in report.tables}["orders"] == {}


def test_a_late_line_is_not_seen_before_it_was_known(
    small: Any, warehouse: Warehouse, load_all: Load, rows_of: Rows
) -> None:
    """A line is visible when its order and itself are known; what it inherits comes with it."""
    for row in small.tables["orders"]:
        row["ingested_at"] = "2025-02-05T00:00:00Z"
    for row in small.tables["order_lines"]:
        row["ingested_at"] = "2025-02-04T00:00:00Z"
    small.tables["order_lines"][0]["ingested_at"] = "2025-02-09T00:00:00Z"
    small.tables["returns"] = [
        {"return_id": "r1", "line_id": "l1", "quantity": "1", "returned_at": "2025-02-07T00:00:00Z"}
    ]
    small.tables["shipments"] = [
        {"shipment_id": "s1", "order_id": "o1", "address_id": "a1", "delivered_at": "2025-02-06T00:00:00Z"},
        {"shipment_id": "s2", "order_id": "o2", "address_id": "a1", "delivered_at": None},
    ]
    load_all(small.write())
    seen = "SELECT day(visible_at) FROM {} ORDER BY 1"
    assert rows_of(warehouse, seen.format("order_lines")) == [(5,), (5,), (9,)]
    assert rows_of(warehouse, "SELECT account_id, order_id, sku_id, day(visible_at) FROM returns") == [
        ("ada", "o1", "s1", 9)
    ]
    assert rows_of(warehouse, "SELECT account_id, day(visible_at) FROM shipments ORDER BY shipment_id") == [
        ("ada", 6), ("ada", 5),
    ]  # fmt: skip


def test_rows_are_sorted_by_account_and_time(small: Any, warehouse: Warehouse, load_all: Load) -> None:
    """A reader of one account touches few row groups, because its rows lie together."""
    load_all(small.write())
    part = warehouse.root / warehouse.manifest.tables["orders"].parts[0].file
    assert pq.read_table(part)["order_id"].to_pylist() == ["o1", "o2", "o3"]


def test_a_folder_of_parts_is_one_table(small: Any, warehouse: Warehouse, load_all: Load, rows_of: Rows) -> None:
    """Parts may differ in their columns, and the quarantine says which part a row lay in."""
    folder = small.write(".parquet")
    (folder / "orders.parquet").unlink()
    parts = folder / "orders" / "month=2"
    parts.mkdir(parents=True)
    rows = small.tables["orders"]
    pq.write_table(pa.Table.from_pylist(rows[:2]), parts / "part-1.parquet")
    pq.write_table(
        pa.Table.from_pylist([{**rows[2], "channel": "app"}, {**rows[2], "currency": ""}]), parts / "part-2.parquet"
    )
    report = load_all(folder)
    orders = next(t for t in report.tables if t.table == "orders")
    assert (orders.read, orders.loaded, orders.quarantined) == (4, 3, {"missing_value": 1})
    assert rows_of(warehouse, "SELECT order_id, channel FROM orders ORDER BY 1")[-1] == ("o3", "app")
    file, number = rows_of(warehouse, "SELECT file, row_number FROM quarantine")[0]
    assert (Path(file).name, number) == ("part-2.parquet", 2)


def test_ids_that_passed_through_floats_still_meet(small: Any, warehouse: Warehouse, load_all: Load) -> None:
    """A frame library turns whole ids into 7.0 where one is missing; they join with 7 all the same."""
    folder = small.write()
    (folder / "accounts.csv").unlink()
    (folder / "applications.csv").write_text("application_id,account_id,submitted_at,plan\nx,7,2025-06-01,gold\n")
    (folder / "orders.csv").write_text(
        "order_id,account_id,ordered_at,status,currency,total_minor\no1,7,2025-02-01,paid,cny,2000\n"
    )
    (folder / "order_lines.csv").write_text(
        "line_id,order_id,sku_id,quantity,list_price_minor,net_price_minor\nl1,o1,s1,2.0,1000.0,1000.00\n"
    )
    accounts = {
        "account_id": [7.0, float("nan")],
        "registered_at": pa.array([0, 1], pa.timestamp("ns", tz="Asia/Shanghai")),
    }
    pq.write_table(pa.table(accounts), folder / "accounts.parquet")
    report = load_all(folder)
    assert {t.table: t.loaded for t in report.tables} == {
        "accounts": 1, "applications": 1, "orders": 1, "order_lines": 1, "skus": 2,
    }  # fmt: skip
    assert warehouse.currency == "CNY"


def test_an_increment_may_lack_tables_that_the_warehouse_has(small: Any, warehouse: Warehouse, load_all: Load) -> None:
    """Once loaded, accounts and SKUs need not come with every hour's orders."""
    load_all(small.write())
    small.tables = {
        "orders": [small.tables["orders"][0] | {"order_id": "o7"}],
        "order_lines": [small.tables["order_lines"][0] | {"line_id": "l7", "order_id": "o7"}],
    }
    assert [t.loaded for t in load_all(small.write()).tables] == [1, 1]
    assert warehouse.rows()["orders"] == 4


def test_what_nobody_reads_is_said(small: Any, load_all: Load) -> None:
    """Unknown tables and columns are named, with the nearest known name; SKUs that nobody describes are counted."""
    small.tables["acounts"] = [{"a": "1"}]
    for row in small.tables["accounts"]:
        row["chanel"] = "app"
    small.tables["skus"].pop()
    warnings = "\n".join(load_all(small.write()).warnings)
    assert "acounts (did you mean accounts?)" in warnings
    assert "chanel (did you mean channel?)" in warnings
    assert "1 lines name a SKU" in warnings


def test_many_small_ingests_are_gathered(small: Any, warehouse: Warehouse, load_all: Load, monkeypatch: Any) -> None:
    """Parts do not pile up: from some number on, the next ingest writes the table anew."""
    monkeypatch.setattr("membergate.market.loading._MOST_PARTS", 2)
    order, line = small.tables["orders"][0], small.tables["order_lines"][0]
    for number in range(4):
        small.tables["orders"] = [order | {"order_id": f"n{number}"}]
        small.tables["order_lines"] = [line | {"line_id": f"m{number}", "order_id": f"n{number}"}]
        load_all(small.write())
    assert warehouse.rows()["orders"] == 4
    assert len(warehouse.manifest.tables["orders"].parts) == 2
    warehouse.verify()


def test_progress_is_told_in_order(small: Any, load_all: Load) -> None:
    """Whoever asks is told each step, with how many there are."""
    told: list[tuple[str, int, int]] = []
    load_all(small.write(), progress=lambda *step: told.append(step))
    assert told[0] == ("reading accounts", 1, 5)
    assert told[-1] == ("loading skus", 5, 5)


def test_there_must_be_a_warehouse_to_open(tmp_path: Path) -> None:
    """Reading where nothing was ingested says which command to run, and creates nothing."""
    with pytest.raises(WorkspaceError, match="no warehouse") as error:
        Warehouse.open(tmp_path / "none")
    assert "ingest" in error.value.next_step
    with pytest.raises(NotEnoughDataError):
        Warehouse.open_or_create(tmp_path / "none").last_instant()
    assert not (tmp_path / "none").exists()


def test_a_damaged_warehouse_is_refused(small: Any, warehouse: Warehouse, load_all: Load) -> None:
    """A changed byte is found by verify; a missing or shortened part, or a foreign manifest, already by opening."""
    load_all(small.write())
    part = warehouse.root / warehouse.manifest.tables["skus"].parts[0].file
    content = part.read_bytes()
    part.write_bytes(content[:20] + bytes([content[20] ^ 1]) + content[21:])
    with pytest.raises(WorkspaceError, match="altered"):
        Warehouse.open(warehouse.root).verify()
    part.write_bytes(content[:-1])
    with pytest.raises(WorkspaceError, match="instead of"):
        Warehouse.open(warehouse.root)
    part.unlink()
    with pytest.raises(WorkspaceError, match="missing"):
        Warehouse.open(warehouse.root)
    for manifest in ("{", "{}", '{"format": "membergate-warehouse/1"}'):
        (warehouse.root / "manifest.json").write_text(manifest)
        with pytest.raises(WorkspaceError):
            Warehouse.open(warehouse.root)


def test_a_clock_bounds_the_present(small: Any, load_all: Load) -> None:
    """With a clock, what happened more than a day after now is refused, and what hangs from it with it."""
    small.tables["applications"][0]["submitted_at"] = "2025-01-31T00:00:00Z"
    report = load_all(small.write(), clock=lambda: datetime(2025, 2, 2, tzinfo=UTC))
    assert {t.table: t.quarantined for t in report.tables if t.quarantined} == {
        "applications": {"event_in_future": 1},
        "orders": {"event_in_future": 1},
        "order_lines": {"parent_quarantined": 1},
    }
    with pytest.raises(BadInputError, match="no row of the required table"):
        load_all(small.write(), clock=lambda: datetime(2024, 2, 2, tzinfo=UTC))


_SAMPLE = {
    Kind.ID: "ada",
    Kind.TEXT: "words",
    Kind.CURRENCY: "CNY",
    Kind.MONEY: "1",
    Kind.COUNT: "1",
    Kind.NUMBER: "0.5",
    Kind.TIME: "2025-03-01T00:00:00Z",
    Kind.FLAG: "true",
}


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_every_column_and_word_of_the_schema_loads(
    small: Any, warehouse: Warehouse, load_all: Load, ending: str
) -> None:
    """One row for each word that each column may take, in all eighteen tables: nothing is refused, nothing is lost."""
    for table in TABLES.values():
        words = max([len(column.choices) for column in table.columns] + [1])
        small.tables[table.name] = [
            {
                column.name: column.choices[number % len(column.choices)] if column.choices else _SAMPLE[column.kind]
                for column in table.readable_columns
            }
            | {name: f"ada{number}" for name in table.key[:1] if table.column(name).kind is Kind.ID}
            | ({table.parent.key: "ada0"} if table.parent and table.parent.key not in table.key else {})
            | ({"source": f"source{number}"} if table.name == "labels" else {})
            for number in range(words)
        ]
    for row in small.tables["coupon_events"]:
        row["account_id"] = "ada0"
    report = load_all(small.write(ending))
    assert {t.table: t.quarantined for t in report.tables if t.quarantined} == {}
    assert {t.table: t.loaded for t in report.tables} == {name: len(rows) for name, rows in small.tables.items()}
    assert warehouse.columns() == {table.name: table.column_names for table in TABLES.values()}
    with warehouse.connect() as connection:
        for table in TABLES.values():
            for column in table.columns:
                if column.choices:
                    found = connection.execute(f"SELECT DISTINCT {column.name} FROM {table.name}").fetchall()
                    assert {row[0] for row in found} == set(column.choices)


def test_reading_is_bounded_in_memory(tmp_path: Path) -> None:
    """A connection takes 4 GiB, or half of a smaller machine, unless it is told otherwise; the rest is spilled."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert int(usual_memory().removesuffix("MiB")) << 20 <= min(4 << 30, physical // 2)
    warehouse = Warehouse.open_or_create(tmp_path)
    for told in (None, "256MiB"):
        with warehouse.connect(memory_limit=told) as connection:
            shown = connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]
        amount, unit = shown.split()
        bytes_allowed = float(amount) * {"MiB": 1 << 20, "GiB": 1 << 30}[unit]
        assert bytes_allowed == pytest.approx(int((told or usual_memory()).removesuffix("MiB")) << 20, rel=0.05)
