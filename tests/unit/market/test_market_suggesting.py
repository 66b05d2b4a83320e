"""Proposed mappings: how many columns are right on layouts whose right answer is known, held as a floor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.unit.market.layouts import write_layout

from membergate.domain.errors import BadInputError
from membergate.market.examples import write_complete_journey
from membergate.market.mapping import parse_mapping
from membergate.market.schema import TABLES
from membergate.market.suggesting import Proposal, suggest
from membergate.operations.ingest import ingest
from membergate.operations.simulate import simulate
from membergate.operations.suggest import suggest as suggest_mapping

TRUTH: dict[str, dict[str, str]] = {
    "shopify": {
        "accounts.account_id": "Email",
        "accounts.registered_at": "Created at",
        "orders.order_id": "Name",
        "orders.account_id": "Email",
        "orders.ordered_at": "Created at",
        "orders.status": "Financial Status",
        "orders.currency": "Currency",
        "orders.total_minor": "Total",
        "orders.paid_at": "Paid at",
        "orders.discount_minor": "Discount Amount",
        "orders.shipping_minor": "Shipping",
        "orders.recipient_tok": "Shipping Name",
        "orders.recipient_phone_tok": "Shipping Phone",
        "orders.channel": "Source",
        "order_lines.order_id": "Name",
        "order_lines.sku_id": "Lineitem sku",
        "order_lines.quantity": "Lineitem quantity",
        "order_lines.list_price_minor": "Lineitem compare at price",
        "order_lines.net_price_minor": "Lineitem price",
        "skus.sku_id": "Variant SKU",
        "skus.category_l1": "Type",
        "skus.brand": "Vendor",
        "skus.variant_group": "Handle",
    },
    "olist": {
        "accounts.account_id": "customer_unique_id",
        "accounts.region_code": "customer_state",
        "orders.order_id": "order_id",
        "orders.account_id": "customer_unique_id",
        "orders.ordered_at": "order_purchase_timestamp",
        "orders.paid_at": "order_approved_at",
        "orders.status": "order_status",
        "order_lines.line_id": "order_item_id",
        "order_lines.order_id": "order_id",
        "order_lines.sku_id": "product_id",
        "order_lines.list_price_minor": "price",
        "order_lines.net_price_minor": "price",
        "skus.sku_id": "product_id",
        "skus.category_l1": "product_category_name",
        "stores.store_id": "seller_id",
        "reviews.review_id": "review_id",
        "reviews.reviewed_at": "review_answer_timestamp",
        "reviews.rating": "review_score",
    },
    "uci_online_retail": {
        "accounts.account_id": "Customer ID",
        "accounts.region_code": "Country",
        "orders.order_id": "Invoice",
        "orders.account_id": "Customer ID",
        "orders.ordered_at": "InvoiceDate",
        "order_lines.order_id": "Invoice",
        "order_lines.sku_id": "StockCode",
        "order_lines.quantity": "Quantity",
        "order_lines.list_price_minor": "Price",
        "order_lines.net_price_minor": "Price",
        "skus.sku_id": "StockCode",
    },
    "ga4": {  # what is not nested
        "accounts.account_id": "user_id",
        "accounts.registered_at": "user_first_touch_timestamp",
        "behaviors.account_id": "user_id",
        "behaviors.occurred_at": "event_timestamp",
        "behaviors.event_type": "event_name",
    },
    "complete_journey": {
        "accounts.account_id": "household_id",
        "orders.order_id": "basket_id",
        "orders.account_id": "household_id",
        "orders.store_id": "store_id",
        "orders.ordered_at": "transaction_timestamp",
        "order_lines.order_id": "basket_id",
        "order_lines.sku_id": "product_id",
        "order_lines.quantity": "quantity",
        "order_lines.list_price_minor": "sales_value",
        "order_lines.net_price_minor": "sales_value",
        "order_lines.member_discount_minor": "retail_disc",
        "order_lines.coupon_discount_minor": "coupon_disc",
        "skus.sku_id": "product_id",
        "skus.category_l1": "department",
        "skus.category_l2": "product_category",
        "skus.category_l3": "product_type",
        "skus.brand": "brand",
        "stores.store_id": "store_id",
        "coupon_events.coupon_id": "coupon_upc",
        "coupon_events.account_id": "household_id",
        "coupon_events.occurred_at": "redemption_date",
    },
}
"""Canonical column -> the source's column that a person who knows the layout maps onto it, where one column does."""
FLOORS = {
    "shopify": (0.9, 1),
    "olist": (0.95, 0),
    "uci_online_retail": (0.95, 0),
    "ga4": (1.0, 0),
    "complete_journey": (0.8, 0),
}
"""Share of those columns that a proposal must get right, and how many others it may propose that are in no truth."""


def proposed(name: str, folder: Path) -> Proposal:
    """Give the proposal for a layout."""
    if name == "complete_journey":
        write_complete_journey(folder)
    else:
        write_layout(name, folder)
    return suggest(folder)


@pytest.mark.parametrize("name", TRUTH)
def test_columns_that_are_right(name: str, tmp_path: Path) -> None:
    """On every known layout most columns are right, and next to nothing is made up."""
    found = {f"{c.table}.{c.column}": c.source_column for c in proposed(name, tmp_path / name).columns}
    truth = TRUTH[name]
    share = sum(found.get(column) == source for column, source in truth.items()) / len(truth)
    made_up = sorted(f"{c}: {s}" for c, s in found.items() if c not in truth)
    wrong = sorted(f"{c}: {found.get(c)} instead of {s}" for c, s in truth.items() if found.get(c) != s)
    floor, most_made_up = FLOORS[name]
    assert share >= floor, wrong
    assert len(made_up) <= most_made_up, made_up


UNSEEN = {
    "sales_order": (
        "entity_id,increment_id,state,status,customer_id,grand_total,subtotal,discount_amount,shipping_amount,"
        "order_currency_code,created_at,updated_at,store_id,customer_email\n"
        "1,000000001,complete,complete,7,30.50,25.50,0.00,5.00,EUR,2025-01-02 10:00:00,2025-01-03 10:00:00,1,"
        "a@b.example\n"
        "2,000000002,processing,processing,8,12.00,12.00,0.00,0.00,EUR,2025-01-04 11:00:00,2025-01-04 11:00:00,1,"
        "c@d.example\n"
    ),
    "sales_order_item": (
        "item_id,order_id,product_id,sku,name,qty_ordered,price,original_price,discount_amount\n"
        "11,1,501,TEA-1,Green tea,1,25.50,27.00,0.00\n12,2,502,CUP-1,Cup,2,6.00,6.00,0.00\n"
    ),
    "customer_entity": (
        "entity_id,email,created_at,is_active\n"
        "7,a@b.example,2024-01-01 09:00:00,1\n8,c@d.example,2024-05-01 09:00:00,1\n"
    ),
    "catalog_product": (
        "entity_id,sku,name,category,manufacturer\n501,TEA-1,Green tea,Drinks,Leaf\n502,CUP-1,Cup,Kitchen,Kiln\n"
    ),
}  # fmt: skip
"""Tables as a common shop system calls them. The wordings were written without looking at it, and stay so."""
UNSEEN_TRUTH = {
    "accounts.account_id": "entity_id", "accounts.registered_at": "created_at", "orders.order_id": "entity_id",
    "orders.account_id": "customer_id", "orders.ordered_at": "created_at", "orders.status": "status",
    "orders.currency": "order_currency_code", "orders.total_minor": "grand_total",
    "orders.discount_minor": "discount_amount", "orders.shipping_minor": "shipping_amount",
    "orders.store_id": "store_id", "order_lines.line_id": "item_id", "order_lines.order_id": "order_id",
    "order_lines.sku_id": "product_id", "order_lines.quantity": "qty_ordered",
    "order_lines.list_price_minor": "original_price", "order_lines.net_price_minor": "price",
    "skus.sku_id": "entity_id", "skus.category_l1": "category", "skus.brand": "manufacturer",
}  # fmt: skip


def test_a_layout_that_nobody_looked_at(tmp_path: Path) -> None:
    """Keys called `entity_id` are found by their place and values, most of the rest by its names."""
    for name, text in UNSEEN.items():
        (tmp_path / f"{name}.csv").write_text(text)
    found = {f"{c.table}.{c.column}": c.source_column for c in suggest(tmp_path).columns}
    right = [column for column, source in UNSEEN_TRUTH.items() if found.get(column) == source]
    assert len(right) >= 0.85 * len(UNSEEN_TRUTH), sorted(set(UNSEEN_TRUTH) - set(right))


def test_our_own_schema_is_proposed_as_it_is(tmp_path: Path) -> None:
    """A folder that follows the schema gives a mapping of every column onto itself, and that mapping loads it."""
    simulate(tmp_path, preset="tiny", seed=3, accounts=200)
    folder = tmp_path / "market"
    proposal = suggest(folder)
    found = {(c.table, c.column): (c.source, c.source_column) for c in proposal.columns}
    wrong = {place: source for place, source in found.items() if place != source}
    missed = [place for place in proposal.unused if not place.endswith("ingested_at")]
    assert wrong == {}
    assert missed == []
    assert proposal.missing == ()
    out = tmp_path / "mapping.yaml"
    out.write_text(proposal.text)
    report = ingest(tmp_path / "workspace", folder, out)
    assert sum(sum(t.quarantined.values()) for t in report.tables) == 0


@pytest.mark.parametrize("name", [*TRUTH])
def test_a_proposal_is_a_mapping(name: str, tmp_path: Path) -> None:
    """What is written parses as YAML; it is refused only for what it says itself is missing."""
    proposal = proposed(name, tmp_path / name)
    assert yaml.safe_load(proposal.text)["version"] == 1
    required = [column for column in proposal.missing if TABLES[column.partition(".")[0]].is_required]
    if not required:
        parse_mapping(proposal.text, origin="proposed.yaml")
    assert all(f"{column.partition('.')[2]}: nothing found" in proposal.text or name == "ga4" for column in required)


def test_a_confirmed_proposal_loads(tmp_path: Path) -> None:
    """With the one thing that nothing in the export says, the currency, the proposal for invoices loads them."""
    folder = write_layout("uci_online_retail", tmp_path / "raw")
    out = tmp_path / "mine.yaml"
    assert suggest_mapping(folder, out).missing == ("orders.currency",)
    text = out.read_text()
    out.write_text(text.replace("# currency: nothing found; a required column", "currency: {constant: GBP}"))
    report = ingest(tmp_path / "workspace", folder, out)
    loaded = {t.table: t.loaded for t in report.tables}
    assert loaded["orders"] == 4
    assert loaded["accounts"] == 2
    with pytest.raises(BadInputError, match="there already"):
        suggest_mapping(folder, out)


def test_chinese_text_is_not_taken_for_western(tmp_path: Path) -> None:
    """A file in GB 18030, as office programs write it in China, is seen as such."""
    text = "订单号,会员号,下单时间\n1,张三,2025-11-10 20:00:00\n2,李四,2025-11-10 20:00:01\n"
    (tmp_path / "orders.csv").write_bytes(text.encode("gb18030"))
    assert yaml.safe_load(suggest(tmp_path).text)["sources"]["orders"] == {"encoding": "gb18030"}


@pytest.mark.parametrize("content", [b"", b"\x8f\x90\xff,\x81\n\x8f,\x00\n", bytes(range(256)) * 20])
def test_what_is_no_table_is_told_by_its_own_name(tmp_path: Path, content: bytes) -> None:
    """An empty or binary file ends in one error that names it, and nothing is proposed."""
    (tmp_path / "orders.csv").write_bytes(content)
    with pytest.raises(BadInputError) as error:
        suggest(tmp_path)
    assert str(tmp_path / "orders.csv") in error.value.where


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark_is_believed(tmp_path: Path, encoding: str) -> None:
    """What spreadsheets call Unicode text is UTF-16 with tabs; the proposal says so, and loads."""
    text = "SKU\tDepartment\n1\t酒水\n2\tBücher\n"
    (tmp_path / "skus.csv").write_bytes(text.encode(encoding))
    mapping = yaml.safe_load(suggest(tmp_path).text)
    assert mapping["sources"]["skus"] == {"encoding": encoding, "delimiter": "\t"}
    assert mapping["tables"]["skus"]["columns"]["sku_id"] == "SKU"


def test_a_long_file_with_a_byte_order_mark_is_cut_between_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head that is looked at ends behind a line, also where a character that holds a line end's byte stands."""
    monkeypatch.setattr("membergate.market.suggesting.profiling._HEAD_BYTES", 1001)
    rows = "".join(f"{number},\u0a0a\u000a" for number in range(300))
    (tmp_path / "skus.csv").write_bytes(f"sku_id,category_l1\n{rows}".encode("utf-16"))
    assert yaml.safe_load(suggest(tmp_path).text)["tables"]["skus"]["columns"]["sku_id"] == "sku_id"


def test_nul_bytes_without_a_mark_are_told(tmp_path: Path) -> None:
    """UTF-16 without a mark is not guessed at, and never printed."""
    (tmp_path / "orders.csv").write_bytes("order_id,account_id\n1,2\n".encode("utf-16-le"))
    with pytest.raises(BadInputError, match="UTF-16 without a byte-order mark"):
        suggest(tmp_path)


def test_how_files_are_written(tmp_path: Path) -> None:
    """Separator, encoding, notation of dates and seconds since 1970 are seen and said."""
    header = "Order Number;Customer No;Order Date;Total Amount;Currency\n"
    (tmp_path / "orders_1.csv").write_bytes(
        f"{header}1;7;31.12.2024 09:00;19.99;EUR\n2;Jörg;01.02.2025 10:00;5.00;EUR\n".encode("cp1252")
    )
    (tmp_path / "orders_2.csv").write_text(f"{header}3;7;02.02.2025 10:00;5.00;EUR\n")
    logins = [{"user_id": "7", "login_time": 1735689600}, {"user_id": "8", "login_time": 1735776000}]
    (tmp_path / "logins.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in logins))
    mapping = yaml.safe_load(suggest(tmp_path).text)
    assert mapping["sources"]["orders"] == {"files": ["orders*"], "encoding": "cp1252", "delimiter": ";"}
    orders = mapping["tables"]["orders"]["columns"]
    assert orders["ordered_at"] == {"expression": """strptime("Order Date", '%d.%m.%Y %H:%M')"""}
    assert orders["total_minor"] == {"from": "Total Amount", "unit": "major"}
    logged_in = mapping["tables"]["logins"]["columns"]["logged_in_at"]
    assert logged_in == {"expression": "make_timestamp(cast(login_time as bigint) * 1000000)"}


LINES = (
    "order id,customer id,order date,currency,order total,sku,quantity,unit price,shipping,{other}\n"
    "1,a,2025-01-01T10:00:00Z,EUR,{total},S1,1,20,5,300\n"
    "1,a,2025-01-01T10:00:00Z,EUR,{total},,1,5,5,300\n"
    "2,b,2025-01-02T10:00:00Z,EUR,30,S2,1,25,5,300\n"
)


@pytest.mark.parametrize(
    ("total", "other", "unit", "check"),
    [("30.50", "x", "major", False), ("30", "x", None, True), ("30.50", "discount_minor", "major", False)],
)
def test_a_source_counts_money_in_one_unit(
    tmp_path: Path, total: str, other: str, unit: str | None, check: bool
) -> None:
    """One column with decimals says the unit of the others, but for a name that says another; without one all ask."""
    (tmp_path / "orders.csv").write_text(LINES.format(total=total, other=other))
    text = suggest(tmp_path).text
    tables = yaml.safe_load(text)["tables"]
    money = {
        "total_minor": tables["orders"]["columns"]["total_minor"],
        "shipping_minor": tables["orders"]["columns"]["shipping_minor"],
        "net_price_minor": tables["order_lines"]["columns"]["net_price_minor"],
    }
    assert {(value.get("unit") if isinstance(value, dict) else None) for value in money.values()} == {unit}
    asked = [line for line in text.splitlines() if "CHECK" in line and "in cents, or is" in line]
    assert bool(asked) is check
    if other != "x":
        discount = tables["orders"]["columns"]["discount_minor"]
        assert "unit" not in (discount if isinstance(discount, dict) else {})


def test_articles_are_those_that_lines_name(tmp_path: Path) -> None:
    """No table lists them and one line names none: each that a line names is proposed once, and it loads."""
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "orders.csv").write_text(LINES.format(total="30.50", other="x"))
    proposal = suggest(folder)
    skus = yaml.safe_load(proposal.text)["tables"]["skus"]
    assert (skus["from"], skus["distinct_on"], skus["columns"]["sku_id"]) == ("orders", "sku", "sku")
    assert proposal.missing == ()
    (tmp_path / "mine.yaml").write_text(proposal.text)
    report = ingest(tmp_path / "workspace", folder, tmp_path / "mine.yaml")
    found = {table.table: (table.loaded, table.quarantined) for table in report.tables}
    assert found["skus"] == (2, {})
