"""Bad input: one readable error with the workspace as it was, or refused rows that are counted and reasoned.

Each case is a market that would load without a fault, spoiled in one way.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from membergate.domain.errors import BadInputError
from membergate.market.loading import LoadReport
from membergate.market.quarantine import Reason
from membergate.market.warehouse import Warehouse
from membergate.operations.ingest import ingest

ORDERS_HEADER = "order_id,account_id,ordered_at,status,currency,total_minor,ingested_at"
SKUS_WITH_SEMICOLONS = "sku_id;category_l1\ns1;food\n"
Snapshot = Callable[[Path], dict[str, str]]


def edit(market: Path, table: str, old: str, new: str) -> None:
    """Change a text of a table."""
    path = market / f"{table}.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def add(market: Path, table: str, *lines: str) -> None:
    """Add lines to a table."""
    with (market / f"{table}.csv").open("a") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def refused(report: LoadReport) -> dict[str, dict[str, int]]:
    """Give what was refused, by table and reason, after seeing that the books balance."""
    for table in report.tables:
        counted = table.loaded + table.already_known + table.revised + sum(table.quarantined.values())
        assert table.read == counted
    return {table.table: table.quarantined for table in report.tables if table.quarantined}


def cut_parquet(market: Path) -> None:
    """Copy half of a Parquet file."""
    (market / "orders.csv").unlink()
    pq.write_table(pa.table({"order_id": [str(i) for i in range(1000)]}), market / "orders.parquet")
    content = (market / "orders.parquet").read_bytes()
    (market / "orders.parquet").write_bytes(content[: len(content) // 2])


def corrupt_parquet(market: Path) -> None:
    """Break a data page and leave the footer whole: only reading the rows finds it."""
    (market / "orders.csv").unlink()
    rows = pa.table({name: [f"{name}{i}" for i in range(3000)] for name in ORDERS_HEADER.split(",")})
    pq.write_table(rows, market / "orders.parquet", compression="zstd", use_dictionary=False)
    content = bytearray((market / "orders.parquet").read_bytes())
    content[200:1200] = b"\xff" * 1000
    (market / "orders.parquet").write_bytes(bytes(content))


def empty_folder(market: Path) -> None:
    """Leave nothing."""
    for path in market.iterdir():
        path.unlink()


def replace_by_excel(market: Path) -> None:
    """Export to a format that nobody reads here."""
    (market / "orders.csv").rename(market / "orders.xlsx")


def empty_parts(market: Path) -> None:
    """Leave a table folder without parts."""
    (market / "orders.csv").unlink()
    (market / "orders").mkdir()


def put_one_folder_deeper(market: Path) -> None:
    """Give the folder that holds the market's, as `simulate OUT` makes it."""
    inner = market / "market"
    tables = list(market.iterdir())
    inner.mkdir()
    for path in tables:
        path.rename(inner / path.name)


def in_latin_1(market: Path) -> None:
    """Write a table as Latin-1."""
    text = (market / "skus.csv").read_text() + "s3,Käse\n"
    (market / "skus.csv").write_bytes(text.encode("latin-1"))


def in_utf_16(market: Path) -> None:
    """Write a table as UTF-16."""
    (market / "skus.csv").write_bytes((market / "skus.csv").read_text().encode("utf-16"))


def in_major_units(market: Path) -> None:
    """Give prices in yuan."""
    edit(market, "order_lines", "2,1200,1000", "2,12.50,10.25")
    edit(market, "order_lines", "1,1200,1000", "1,12.50,10.25")


def with_semicolons(market: Path) -> None:
    """Separate fields as some spreadsheets do."""
    (market / "skus.csv").write_text(SKUS_WITH_SEMICOLONS)


WHOLE_FILE: list[tuple[str, Callable[[Path], object], list[str]]] = [
    (
        "missing required column",
        lambda m: edit(m, "orders", "total_minor", "total"),
        ["orders", "total_minor", "mapping"],
    ),
    ("missing required table", lambda m: (m / "skus.csv").unlink(), ["skus", "required"]),
    ("one folder too high", put_one_folder_deeper, ["no table in this folder", "give", "market/market"]),
    ("empty file", lambda m: (m / "orders.csv").write_text(""), ["orders.csv", "empty"]),
    ("zero rows", lambda m: (m / "orders.csv").write_text(ORDERS_HEADER + "\n"), ["orders", "no rows"]),
    ("blank lines only", lambda m: (m / "orders.csv").write_text("\n\n"), ["orders.csv", "header"]),
    ("truncated Parquet", cut_parquet, ["orders.parquet", "cut short"]),
    ("corrupt Parquet page", corrupt_parquet, ["orders.parquet", "damaged"]),
    ("folder without a table", empty_folder, ["no table", "NAME.parquet"]),
    ("no such folder", shutil.rmtree, ["no such folder"]),
    ("unknown ending", replace_by_excel, ["orders", ".xlsx", ".parquet"]),
    ("table folder without parts", empty_parts, ["orders", "no Parquet part"]),
    ("table twice", lambda m: (m / "orders.jsonl").write_text("{}\n"), ["twice", "orders.csv", "orders.jsonl"]),
    ("latin-1", in_latin_1, ["UTF-8", "0xE4", "position 40", "iconv", "encoding"]),
    ("utf-16", in_utf_16, ["UTF-8", "position 0", "iconv -f utf-16", "`encoding: utf-16`"]),
    ("money in the major unit", in_major_units, ["order_lines.", "fraction", "unit: major"]),
    ("semicolons", with_semicolons, ["skus.csv", "';'", "delimiter"]),
    ("column twice", lambda m: edit(m, "skus", "sku_id,", "sku_id,sku_id,"), ["skus.csv", "sku_id", "twice"]),
    ("nothing usable", lambda m: edit(m, "skus", ",food\ns2,books", ",\ns2,"), ["no row", "skus", "missing_value"]),
]


# What a loaded warehouse has, an increment may lack, or send without rows.
EXCUSED = {"missing required table", "zero rows"}
CASES = [
    pytest.param(spoil, words, is_fresh, id=f"{name}, {'new' if is_fresh else 'loaded'} workspace")
    for name, spoil, words in WHOLE_FILE
    for is_fresh in (True, False)
    if is_fresh or name not in EXCUSED
]


@pytest.mark.parametrize(("spoil", "words", "is_fresh"), CASES)
def test_a_bad_file_ends_in_one_readable_error(
    workspace: Path,
    market: Path,
    tmp_path: Path,
    spoil: Callable[[Path], object],
    words: list[str],
    snapshot: Snapshot,
    *,
    is_fresh: bool,
) -> None:
    """It names file or column, what is allowed and what to do; the workspace is as it was, even if there was none."""
    before = snapshot(workspace)
    spoil(market)
    with pytest.raises(BadInputError) as error:
        ingest(tmp_path / "new" if is_fresh else workspace, market)
    shown = str(error.value)
    assert all(word in shown for word in words), shown
    assert error.value.where
    assert "Traceback" not in shown
    assert snapshot(workspace) == before
    assert not (tmp_path / "new").exists()


ROWS: list[tuple[str, Callable[[Path], object], dict[str, dict[str, int]]]] = [
    ("wrong type", lambda m: edit(m, "order_lines", "l2,o2,s1,1,", "l2,o2,s1,one,"), {
        "order_lines": {"wrong_type": 1},
    }),
    ("wrong flag", lambda m: edit(m, "accounts", "2025-01-02T00:00:00Z,", "2025-01-02T00:00:00Z,perhaps"), {
        "accounts": {"wrong_type": 1}, "orders": {"parent_quarantined": 1}, "order_lines": {"parent_quarantined": 1},
    }),
    ("unparsable time", lambda m: edit(m, "orders", "2025-02-03T10:00:00Z", "03/02/2025"), {
        "orders": {"unparsable_time": 1}, "order_lines": {"parent_quarantined": 1},
    }),
    ("impossible date", lambda m: edit(m, "orders", "2025-02-03T10:00:00Z", "2025-02-30"), {
        "orders": {"unparsable_time": 1}, "order_lines": {"parent_quarantined": 1},
    }),
    ("epoch zero", lambda m: edit(m, "orders", "2025-02-03T10:00:00Z", "0001-01-01T00:00:00Z"), {
        "orders": {"out_of_range": 1}, "order_lines": {"parent_quarantined": 1},
    }),
    ("mixed time zones", lambda m: edit(m, "orders", "2025-02-03T10:00:00Z", "2025-02-03T10:00:00"), {
        "orders": {"time_without_zone": 1}, "order_lines": {"parent_quarantined": 1},
    }),
    ("missing value", lambda m: edit(m, "orders", "o2,ada", "o2, "), {
        "orders": {"missing_value": 1}, "order_lines": {"parent_quarantined": 1},
    }),
    ("SKU described twice", lambda m: add(m, "skus", "s1,toys"), {}),
    ("conflict", lambda m: add(m, "orders", "o2,ada,2025-02-03T10:00:00Z,paid,CNY,1100,2025-02-03T11:00:00Z"), {
        "orders": {"conflicting_duplicate": 1},
    }),
    ("order that moves", lambda m: add(m, "orders", "o2,bo,2025-02-03T10:00:00Z,paid,CNY,1000,2025-02-05T11:00:00Z"), {
        "orders": {"changed_identity": 1},
    }),
    ("orphan line", lambda m: add(m, "order_lines", "l9,o9,s1,1,1200,1000"), {"order_lines": {"orphan": 1}}),
    ("orphan application", lambda m: add(m, "applications", "ap9,nobody,2025-06-01T00:00:00Z,gold"), {
        "applications": {"orphan": 1},
    }),
    ("zero quantity", lambda m: add(m, "order_lines", "l9,o1,s1,0,1200,1000"), {
        "order_lines": {"non_positive_quantity": 1},
    }),
    ("negative quantity", lambda m: add(m, "order_lines", "l9,o1,s1,-2,1200,1000"), {
        "order_lines": {"non_positive_quantity": 1},
    }),
    ("absurd quantity", lambda m: add(m, "order_lines", "l9,o1,s1,9000000000000,1200,1000"), {
        "order_lines": {"out_of_range": 1},
    }),
    ("negative price", lambda m: add(m, "order_lines", "l9,o1,s1,1,1200,-5"), {"order_lines": {"out_of_range": 1}}),
    ("number beyond 64 bits", lambda m: add(m, "order_lines", f"l9,o1,s1,1,1200,{10**25}"), {
        "order_lines": {"wrong_type": 1},
    }),
    ("total too high", lambda m: edit(m, "orders", "CNY,2000", "CNY,200000"), {
        "orders": {"total_mismatch": 1}, "order_lines": {"parent_quarantined": 1},
    }),
    ("total too low", lambda m: edit(m, "orders", "CNY,2000", "CNY,20"), {
        "orders": {"total_mismatch": 1}, "order_lines": {"parent_quarantined": 1},
    }),
    ("known after it happened", lambda m: edit(m, "orders", "2025-02-03T11:00:00Z", "2025-01-03T11:00:00Z"), {
        "orders": {"event_in_future": 1}, "order_lines": {"parent_quarantined": 1},
    }),
    ("mixed currencies", lambda m: edit(m, "orders", "CNY,1000", "USD,1000"), {
        "orders": {"other_currency": 1}, "order_lines": {"parent_quarantined": 1},
    }),
    ("no currency", lambda m: edit(m, "orders", "CNY,1000", "yuan,1000"), {
        "orders": {"wrong_type": 1}, "order_lines": {"parent_quarantined": 1},
    }),
    ("id of 10 kB", lambda m: add(m, "skus", f"{'x' * 10_240},food"), {"skus": {"oversized_id": 1}}),
    ("NUL in an id", lambda m: add(m, "skus", "s\x003,food"), {"skus": {"nul_in_id": 1}}),
    ("unknown word", lambda m: edit(m, "orders", "paid,CNY,1000", "lost,CNY,1000"), {
        "orders": {"unknown_value": 1}, "order_lines": {"parent_quarantined": 1},
    }),
    ("too many fields", lambda m: add(m, "skus", "s3,food,extra"), {"skus": {"malformed_row": 1}}),
    ("too few fields", lambda m: add(m, "skus", "s3"), {"skus": {"malformed_row": 1}}),
    ("broken quotes", lambda m: add(m, "skus", '"s3"x,food'), {"skus": {"malformed_row": 1}}),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "expected"), [case[1:] for case in ROWS], ids=[case[0] for case in ROWS])
def test_a_bad_row_is_refused_with_its_reason(
    market: Path, tmp_path: Path, spoil: Callable[[Path], object], expected: dict[str, dict[str, int]]
) -> None:
    """Only the row at fault, and what hangs from it, is refused; it is kept raw, with its place and a meaning."""
    spoil(market)
    report = ingest(tmp_path / "workspace", market)
    assert refused(report) == expected
    warehouse = Warehouse.open(tmp_path / "workspace" / "warehouse")
    if expected:
        rows = warehouse.connect().execute("SELECT reason, file, row_number, raw_row FROM quarantine").fetchall()
        assert len(rows) == sum(sum(reasons.values()) for reasons in expected.values())
        for reason, file, number, raw in rows:
            assert Reason(reason).meaning
            assert Path(file).parent == market
            assert number > 0
            assert json.loads(raw)
    again = ingest(tmp_path / "workspace", market)
    assert refused(again) == expected
    assert Warehouse.open(tmp_path / "workspace" / "warehouse").fingerprint == warehouse.fingerprint
    assert sum(table.loaded for table in again.tables) == 0


def test_a_few_fractions_are_refused_and_whole_floats_are_not(market: Path, tmp_path: Path) -> None:
    """1000.0 is a whole number written long; 10.25 among many whole amounts is a fault of its row."""
    lines = [f"k{i},o1,s1,1,0.0,0.0" for i in range(60)]
    add(market, "order_lines", *lines, "l9,o1,s1,1,0.0,10.25")
    assert refused(ingest(tmp_path / "workspace", market)) == {"order_lines": {"fractional_money": 1}}


def test_offsets_are_converted_to_utc(market: Path, tmp_path: Path) -> None:
    """Different offsets in one column name the same time line."""
    edit(market, "orders", "2025-02-03T10:00:00Z", "2025-02-03T18:00:00+08:00")
    ingest(tmp_path / "workspace", market)
    connection = Warehouse.open(tmp_path / "workspace" / "warehouse").connect()
    found = connection.execute("SELECT CAST(ordered_at AS VARCHAR) FROM orders WHERE order_id = 'o2'").fetchone()
    assert found == ("2025-02-03 10:00:00",)


def test_windows_files_with_embedded_newlines_and_quotes(market: Path, tmp_path: Path) -> None:
    """A byte-order mark, CRLF, and newlines, commas and quotes inside quotes are ordinary CSV."""
    (market / "addresses.csv").write_bytes(
        '\ufeffaddress_id,kind,text\r\na1,home,"Flat 3\r\n""The Elms"", High St"\r\na2,office,\r\n'.encode()
    )
    report = ingest(tmp_path / "workspace", market)
    assert refused(report) == {}
    connection = Warehouse.open(tmp_path / "workspace" / "warehouse").connect()
    found = connection.execute("SELECT address_id, text FROM addresses ORDER BY 1").fetchall()
    assert found == [("a1", 'Flat 3\r\n"The Elms", High St'), ("a2", None)]


def test_json_lines_that_are_no_objects(market: Path, tmp_path: Path) -> None:
    """A broken line, a list and a nested id are refused; a byte-order mark, blanks, nulls and odd keys are not."""
    (market / "skus.csv").unlink()
    (market / "skus.jsonl").write_text(
        '\ufeff{"sku_id": "s1", "category_l1": "food", "brand": null, "odd \\"key": 1}\n\n'
        '{"sku_id": "s2", "category_l1": "books\\nand more"}\n{"sku_id": "s3", \n[1]\n'
        '{"sku_id": 4, "category_l1": "x"}\n'
    )
    assert refused(ingest(tmp_path / "workspace", market)) == {"skus": {"malformed_row": 2}}
    connection = Warehouse.open(tmp_path / "workspace" / "warehouse").connect()
    assert connection.execute("SELECT row_number FROM quarantine ORDER BY 1").fetchall() == [(4,), (5,)]
    assert ("4",) in connection.execute("SELECT sku_id FROM skus").fetchall()


def test_a_quote_that_runs_on_is_refused_where_it_opens(market: Path, tmp_path: Path) -> None:
    """A stray quote would swallow every row after it and count as one: the file is refused, with the line."""
    add(market, "orders", '"unclosed', *(f"x{n},a1,2025-01-01T00:00:00Z,paid,CNY,100,2025-01-01" for n in range(50)))
    with pytest.raises(BadInputError, match="a quote that opens here is closed only") as caught:
        ingest(tmp_path / "w", market)
    assert "orders.csv, line " in caught.value.where


def test_json_lines_with_control_characters_and_nameless_keys(market: Path, tmp_path: Path) -> None:
    """A raw control character spoils its own line only, and a value without a name belongs to no column."""
    path = market / "stores.jsonl"
    path.write_text('{"store_id": "s1", "": 1}\n{"store_id": "s\x1f2"}\n{"store_id": "s3"}\n')
    report = ingest(tmp_path / "w", market)
    (stores,) = (table for table in report.tables if table.table == "stores")
    assert (stores.read, stores.loaded, sum(stores.quarantined.values())) == (3, 2, 1)


def test_a_file_that_is_nothing_of_its_name(market: Path, tmp_path: Path) -> None:
    """Where most of many lines are no records, the file is refused instead of being quarantined line by line."""
    (market / "listings.jsonl").write_text("no json\n" * 1_001)
    with pytest.raises(BadInputError, match="1,001 lines of the file are no records"):
        ingest(tmp_path / "workspace", market)
    (market / "listings.jsonl").unlink()
    (market / "listings.csv").write_text("a,b\n" + "1,2,3\n" * 1_001)
    with pytest.raises(BadInputError, match="1,001 lines"):
        ingest(tmp_path / "workspace", market)


def test_an_order_may_cost_more_or_less_than_its_lines(market: Path, tmp_path: Path) -> None:
    """Discounts, shipping, taxes and rounding explain a total; a cancelled order explains itself."""
    (market / "orders.csv").write_text(
        "order_id,account_id,ordered_at,status,currency,total_minor,discount_minor,shipping_minor\n"
        "o1,ada,2025-02-01T10:00:00Z,paid,CNY,1500,500,0\n"
        "o2,ada,2025-02-03T10:00:00Z,paid,CNY,1690,,300\n"
        "o3,bo,2025-02-02T10:00:00Z,cancelled,CNY,0,,\n"
    )
    assert refused(ingest(tmp_path / "workspace", market)) == {}


def test_many_mismatched_totals_are_called_what_they_are(market: Path, tmp_path: Path) -> None:
    """If most totals do not match, the reader is told to look at the export, not at the orders."""
    edit(market, "orders", "CNY,2000", "CNY,20")
    edit(market, "orders", "CNY,1000", "CNY,10")
    assert "2 of 3 totals do not match" in "".join(ingest(tmp_path / "workspace", market).warnings)


def test_a_market_in_another_currency_than_the_one_before(workspace: Path, market: Path, snapshot: Snapshot) -> None:
    """A second market in another currency is refused as a whole: not one of its orders can be used."""
    edit(market, "orders", "CNY", "USD")
    before = snapshot(workspace)
    with pytest.raises(BadInputError, match="no row of the required table orders"):
        ingest(workspace, market)
    assert snapshot(workspace) == before
