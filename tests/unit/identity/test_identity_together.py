"""What is bought together links: from how many days on, where, and how entries of one place are recognised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import duckdb
import pytest

from membergate.learning.identity import LinkIndex, LinkKind
from membergate.learning.identity.places import same_places

Row = dict[str, object]
Market = Callable[..., duckdb.DuckDBPyConnection]
At = Callable[[float], datetime]


def bought(account: str, days: list[float], at: At, sku: str = "s", **where: str) -> tuple[list[Row], list[Row]]:
    """Order one SKU on some days, each visible at once."""
    orders = [
        {"account_id": account, "order_id": f"{account}-{n}", "ordered_at": at(d).isoformat(), "seen": d, **where}
        for n, d in enumerate(days)
    ]
    lines: list[Row] = [
        {"account_id": account, "order_id": row["order_id"], "sku_id": sku, "seen": row["seen"]} for row in orders
    ]
    return orders, lines


def index_of(market: Market, *parts: tuple[list[Row], list[Row]], **tables: list[Row]) -> LinkIndex:
    """Index the orders of several accounts; `ordered_at` becomes a timestamp."""
    connection = market(
        placed=[row for orders, _ in parts for row in orders],
        order_lines=[row for _, lines in parts for row in lines],
        **tables,
    )
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW orders AS SELECT * REPLACE (ordered_at::TIMESTAMPTZ::TIMESTAMP AS ordered_at)"
        " FROM placed"
    )
    return LinkIndex.build(connection)


def test_the_third_day_on_a_line_links(market: Market, at: At) -> None:
    """Two accounts on one line that buy a SKU on the same three days are one operator from the third day on."""
    days = [1.2, 5.2, 9.2]
    index = index_of(market, bought("a", days, at, ip_tok="x"), bought("b", [d + 0.1 for d in days], at, ip_tok="x"))
    assert index.operator_of("b", at(9.25)).account_ids == ("b",)
    assert index.operator_of("b", at(9.35)).account_ids == ("a", "b")
    (link,) = index.explain("a", "b", at(10))
    assert link.kind is LinkKind.TOGETHER_ON_LINE
    assert link.shared_tokens == 3
    assert link.since == at(9.3)


@pytest.mark.parametrize(
    ("days", "sku", "line"),
    [
        ([1.2, 5.2, 8.2], "s", "x"),
        ([1.2, 1.3, 1.4], "s", "x"),
        ([1.2, 5.2, 9.2], "other", "x"),
        ([1.2, 5.2, 9.2], "s", "y"),
    ],
)
def test_less_than_that_says_nothing(market: Market, at: At, days: list[float], sku: str, line: str) -> None:
    """Two days in common, three purchases of one day, other goods and another line are what neighbours have."""
    index = index_of(market, bought("a", [1.2, 5.2, 9.2], at, ip_tok="x"), bought("b", days, at, sku=sku, ip_tok=line))
    assert index.operator_of("b", at(20)).account_ids == ("b",)


def test_a_campus_or_a_proxy_is_no_line(market: Market, at: At) -> None:
    """On a line that more than twenty share, or that is a proxy's, the same goods are chance."""
    days = [1.2, 5.2, 9.2]
    pair = [bought(name, days, at, ip_tok="x") for name in "ab"]
    crowd = [bought(f"student-{n}", [1.1], at, sku=f"s{n}", ip_tok="x") for n in range(20)]
    assert len(index_of(market, *pair, *crowd).operator_of("a", at(20)).account_ids) == 1
    proxy: list[Row] = [{"account_id": "z", "ip_tok": "x", "ip_class": "proxy", "seen": 12}]
    index = index_of(market, *pair, logins=proxy)
    assert len(index.operator_of("a", at(11)).account_ids) == 2
    assert len(index.operator_of("a", at(13)).account_ids) == 1


def test_a_place_in_other_words_is_one_place(market: Market, at: At) -> None:
    """Parcels to one door, written in two ways, on four days: one operator; to the door beside it, two."""
    texts = {
        "x": "Jiefang Road 12 Bldg 5 Rm 301",
        "y": "ask Li Jiefanglu 12 B5 x9 Rm 301",
        "z": "Jiefang Road 12 Bldg 5 Rm 304",
    }
    places: list[Row] = [
        {"address_id": name, "geohash": "wtw3sjq6", "text": text, "seen": 0} for name, text in texts.items()
    ]
    days = [1.2, 3.2, 5.2, 7.2]
    parts = [bought(account, days, at, address_id=place) for account, place in zip("abc", "xyz", strict=True)]
    resolved = index_of(market, *parts, addresses=places).operators_as_of(at(9))
    assert sorted(Counter(resolved.values()).values()) == [1, 2]
    assert resolved["a"] == resolved["b"]


def test_entries_far_apart_or_of_other_numbers_are_two_places() -> None:
    """Two towns, two houses, two rooms and two streets differ; the same words and numbers nearby do not."""
    here, near, far = "wtw3sjq6", "wtw3sjq7", "wtw3sm00"
    plain = "Renmin Road 120 Bldg 7 Rm 1501"
    same = [("R01 " + plain, near), ("renmin rd no 120, b7 - RM 1501 call first", near)]
    others = [
        (plain, far),
        ("Renmin Road 121 Bldg 7 Rm 1502", near),
        ("Taishan Road 120 Bldg 7 Rm 1501", near),
        ("", near),
    ]
    for text, place in same:
        assert same_places([here, place], [plain, text]).tolist() == [0, 0], text
    for text, place in others:
        assert same_places([here, place], [plain, text]).tolist() == [0, 1], text
    assert same_places([], []).tolist() == []
