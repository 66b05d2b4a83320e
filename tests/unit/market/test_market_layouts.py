"""The mappings that ship: each reads a tiny folder of its layout, traps included, up to the features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.market.layouts import write_layout

from membergate.domain.errors import BadInputError
from membergate.market.loading import LoadReport
from membergate.market.mapping import find_mapping, load_mapping, shipped_mappings
from membergate.operations.features import catalogue
from membergate.operations.ingest import KEY_FILE, ingest
from membergate.operations.workspace import Workspace

LAYOUTS = ("ga4", "ga4 as Parquet", "olist", "shopify", "uci_online_retail", "uci_online_retail_1")


@dataclass(frozen=True)
class Loaded:
    """A layout in a workspace.

    Parameters
    ----------
    folder, root
        The raw folder and the workspace.
    report
        What the ingest said.
    """

    folder: Path
    root: Path
    report: LoadReport

    @property
    def refused(self) -> dict[str, dict[str, int]]:
        """What was quarantined, by table."""
        return {t.table: t.quarantined for t in self.report.tables if t.quarantined}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query."""
        return Workspace(self.root).warehouse().connect(threads=1).execute(query).fetchall()


Load = Callable[[str], Loaded]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Give a way to load a layout by the shipped name; each is loaded once."""
    known: dict[str, Loaded] = {}

    def load(name: str) -> Loaded:
        if name not in known:
            base = tmp_path_factory.mktemp("layout")
            folder = write_layout(name, base / "raw")
            known[name] = Loaded(
                folder, base / "workspace", ingest(base / "workspace", folder, name.split(maxsplit=1)[0])
            )
        return known[name]

    return load


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_feeds_the_features(loaded: Load, name: str) -> None:
    """Behind every shipped mapping at least the features of quantity, price and category can be computed."""
    layout = loaded(name)
    assert layout.report.warnings == ()
    computable = {entry.id for entry in catalogue(Workspace(layout.root)) if entry.state == "computable"}
    assert {"A2", "A3", "B1", "B3", "B4", "C2", "D3", "D4", "D5", "H1", "H5", "L2"} <= computable
    assert ({"E2", "E4", "E5"} <= computable) is (name == "shopify")


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_second_export_adds_nothing(loaded: Load, name: str) -> None:
    """Ids that a mapping makes are the same every time, tokens included: the same rows are known already."""
    layout = loaded(name)
    again = ingest(layout.root, layout.folder, name.split(maxsplit=1)[0])
    assert all(t.loaded == t.revised == 0 for t in again.tables)


def test_shopify_orders(loaded: Load) -> None:
    """Order columns stand on an order's first row; offsets follow a space; prices before and after the discount."""
    shop = loaded("shopify")
    orders = "SELECT order_id, status, total_minor, ordered_at, paid_at, shipping_minor FROM orders ORDER BY 1"
    assert shop.rows(orders) == [
        ("#1001", "shipped", 6000, datetime(2025, 3, 4, 17, 34, 56), datetime(2025, 3, 4, 17, 35, 10), 500),  # noqa: DTZ001 # naive UTC
        ("#1002", "paid", 2700, datetime(2025, 4, 1, 13), datetime(2025, 4, 1, 13), 0),  # noqa: DTZ001 # daylight saving
        ("#1003", "placed", 3000, datetime(2025, 4, 2, 14), None, 0),  # noqa: DTZ001
    ]
    lines = "SELECT line_id, sku_id, quantity, list_price_minor, net_price_minor FROM order_lines ORDER BY 1"
    assert shop.rows(lines) == [
        ("#1001-1", "MUG-B", 2, 1800, 1500), ("#1001-2", "Tea, loose", 1, 3000, 3000),
        ("#1002-1", "MUG-B", 2, 1500, 1350), ("#1003-1", "Tea, loose", 1, 3000, 3000),
    ]  # fmt: skip
    assert shop.rows("SELECT sku_id, category_l1 FROM skus ORDER BY 1") == [
        ("MUG-B", "Kitchen"),  # the type stands on the first row of the product, the SKU on its second
        ("Tea, loose", "UNKNOWN"),
    ]
    # A walk-in customer without e-mail address and telephone number belongs to no account.
    assert shop.refused == {"orders": {"missing_value": 1}, "order_lines": {"parent_quarantined": 1}}


def test_shopify_people_are_tokens(loaded: Load) -> None:
    """One person in two spellings is one account at one address, and no personal data enter the warehouse."""
    shop = loaded("shopify")
    people = "SELECT count(DISTINCT account_id), count(DISTINCT address_id), count(DISTINCT recipient_tok) FROM orders"
    assert shop.rows(f"{people} WHERE order_id IN ('#1001', '#1002')") == [(1, 1, 1)]
    assert shop.rows("SELECT count(*), min(length(account_id)) FROM accounts") == [(2, 64)]
    stored = b"".join(path.read_bytes() for path in (shop.root / "warehouse").rglob("*.parquet"))
    assert all(word not in stored for word in (b"example.com", b"Ada Lane", b"High St", b"4960000", b"5550100"))
    assert (shop.root / KEY_FILE).stat().st_mode & 0o077 == 0


def test_the_key_of_tokens_is_the_workspaces_own(loaded: Load, tmp_path: Path) -> None:
    """Another workspace makes other tokens; a failed first ingest leaves no key behind; a damaged key is refused."""
    shop = loaded("shopify")
    ingest(tmp_path / "other", shop.folder, "shopify")
    theirs = Workspace(tmp_path / "other").warehouse().connect(threads=1).execute("SELECT account_id FROM accounts")
    assert not {row[0] for row in theirs.fetchall()} & {row[0] for row in shop.rows("SELECT account_id FROM accounts")}
    with pytest.raises(BadInputError):
        ingest(tmp_path / "none", tmp_path / "nowhere", "shopify")
    assert not (tmp_path / "none").exists()
    (tmp_path / "other" / KEY_FILE).write_bytes(b"short")
    with pytest.raises(Exception, match="key of the workspace's tokens is damaged"):
        ingest(tmp_path / "other", shop.folder, "shopify")


def test_olist(loaded: Load) -> None:
    """Accounts are persons and not the customer ids of orders; an order is paid in parts; a review has a line."""
    market = loaded("olist")
    assert market.rows("SELECT account_id, region_code FROM accounts ORDER BY 1") == [("u1", "SP"), ("u2", "RJ")]
    orders = "SELECT order_id, account_id, status, total_minor, shipping_minor, store_id FROM orders ORDER BY 1"
    assert market.rows(orders) == [
        ("o1", "u1", "delivered", 7286, 3020, "s1"),
        ("o2", "u1", "paid", 8000, 1000, None),  # two sellers
        ("o3", "u2", "cancelled", 0, None, None),  # cancelled before it had items
    ]
    assert market.rows("SELECT sku_id, category_l1 FROM skus ORDER BY 1") == [
        ("p1", "health_beauty"), ("p2", "UNKNOWN"),
    ]  # fmt: skip
    assert market.rows("SELECT line_id, rating, text_length FROM reviews") == [("o1-1", 5.0, 13)]
    assert market.refused == {"reviews": {"orphan": 1}}


def test_olist_without_what_is_optional(tmp_path: Path) -> None:
    """Reviews, sellers and translations may be missing: their tables are left out, the category stays Portuguese."""
    folder = write_layout("olist", tmp_path / "raw")
    for name in ("olist_order_reviews_dataset", "olist_sellers_dataset", "product_category_name_translation"):
        (folder / f"{name}.csv").unlink()
    ingest(tmp_path / "workspace", folder, "olist")
    warehouse = Workspace(tmp_path / "workspace").warehouse()
    assert not {"reviews", "stores"} & set(warehouse.columns())
    categories = warehouse.connect(threads=1).execute("SELECT category_l1 FROM skus ORDER BY 1").fetchall()
    assert categories == [("UNKNOWN",), ("beleza_saude",)]


def test_online_retail(loaded: Load) -> None:
    """Postage is shipping, cancellations are returns of the latest purchase, an article has one spelling."""
    shop = loaded("uci_online_retail")
    assert shop.rows("SELECT order_id, account_id, total_minor, shipping_minor FROM orders ORDER BY 1") == [
        ("489434", "13085", 19590, 1800), ("489500", "13085", 2700, 0), ("489700", "12680", 1260, 0),
    ]  # fmt: skip
    assert shop.rows("SELECT ordered_at FROM orders WHERE order_id = '489500'") == [(datetime(2010, 7, 1, 8),)]  # noqa: DTZ001 # summer time
    assert shop.rows("SELECT line_id, sku_id FROM order_lines WHERE sku_id = '79323P' ORDER BY 1") == [
        ("489434-2", "79323P"), ("489434-3", "79323P"), ("489500-1", "79323P"),
    ]  # fmt: skip
    returned = "SELECT return_id, line_id, quantity, refunded_minor FROM returns"
    assert shop.rows(returned) == [("C489600-1", "489500-1", 3, 2025)]
    assert shop.refused == {"returns": {"missing_value": 1}}  # bought before the data begin


def test_the_first_online_retail(loaded: Load) -> None:
    """Latin-1, American dates and other names; a quantity or a date that is none goes to the quarantine."""
    shop = loaded("uci_online_retail_1")
    assert shop.rows("SELECT order_id, account_id, total_minor, shipping_minor, ordered_at FROM orders ORDER BY 1") == [
        ("536365", "17850", 3330, 1800, datetime(2010, 12, 1, 8, 26)),  # noqa: DTZ001 # winter
        ("536367", "13047", 2550, 0, datetime(2011, 1, 5, 8, 34)),  # noqa: DTZ001 # winter
    ]
    assert shop.rows("SELECT return_id, line_id, quantity FROM returns") == [("C536379-1", "536365-1", 1)]
    assert shop.refused == {
        "orders": {"missing_value": 2},
        "order_lines": {"missing_value": 1, "parent_quarantined": 1},
    }


@pytest.mark.parametrize("name", ["ga4", "ga4 as Parquet"])
def test_ga4(loaded: Load, name: str) -> None:
    """Nested events: a purchase sent twice is one, a refund takes it back, items are lines, views are behaviour."""
    site = loaded(name)
    assert site.rows("SELECT order_id, account_id, status, total_minor, session_id FROM orders ORDER BY 1") == [
        ("T1", "ada", "paid", 5950, "web.1-77"),
        ("T2", "web.2", "refunded", 2500, "web.2-77"),
    ]
    assert site.rows("SELECT line_id, sku_id, quantity, net_price_minor FROM order_lines ORDER BY 1") == [
        ("T1-1", "A1", 2, 2500), ("T1-2", "A2", 1, 950), ("T2-1", "A1", 1, 2500),
    ]  # fmt: skip
    assert site.rows("SELECT sku_id, category_l1, brand FROM skus ORDER BY 1") == [
        ("A1", "Apparel", None), ("A2", "Apparel", None),
    ]  # fmt: skip
    assert site.rows("SELECT event_type, sku_id FROM behaviors ORDER BY event_id") == [
        ("product_view", "A1"), ("product_view", "A2"), ("add_to_cart", "A1"), ("search", None),
    ]  # fmt: skip
    # Whoever signs in on the way keeps the device that browsed before.
    assert site.rows("SELECT DISTINCT device_tok FROM applications WHERE account_id IN ('ada', 'web.1')") == [
        ("web.1",),
    ]
    assert site.refused == {}


def test_shipped_names(tmp_path: Path) -> None:
    """A shipped mapping goes by its name; a file of that name comes first; anything else is told what there is."""
    assert set(shipped_mappings()) == {"complete_journey", "ga4", "olist", "shopify", "uci_online_retail",
                                        "uci_online_retail_1"}  # fmt: skip
    assert all(load_mapping(find_mapping(name)).derivations for name in shipped_mappings())
    own = tmp_path / "shopify"
    own.write_text("version: 1\ntables: {}")
    assert find_mapping(own) == own
    with pytest.raises(BadInputError, match="did you mean shopify") as error:
        find_mapping("shopfy")
    assert "olist" in error.value.allowed


def test_files_of_several_kinds(tmp_path: Path) -> None:
    """One source in CSV and in JSON lines is refused: which copy counts is for the user to say."""
    folder = write_layout("shopify", tmp_path / "raw")
    (folder / "orders_export_3.jsonl").write_text("{}\n")
    with pytest.raises(BadInputError, match="of several kinds") as error:
        ingest(tmp_path / "workspace", folder, "shopify")
    assert "orders_export_3.jsonl" in error.value.where


def test_missing_export(tmp_path: Path) -> None:
    """A folder of another layout is told which files the mapping looks for."""
    folder = write_layout("olist", tmp_path / "raw")
    with pytest.raises(BadInputError, match="'lines' that the folder has not") as error:
        ingest(tmp_path / "workspace", folder, "uci_online_retail")
    assert "online_retail*" in error.value.where
