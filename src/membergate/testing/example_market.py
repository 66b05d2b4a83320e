"""A small market in the form of the warehouse's views: late rows, corrected orders, shared addresses, promotions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from membergate.market.schema import VERSION_COLUMNS
from membergate.testing.example_dealings import dealings

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
"""When the example market opens."""
LAST_DAY_NO = 240
"""How many days it lasts."""
_DAY_US = 86_400_000_000
_CATEGORIES = ("tea", "soap", "paper", "audio", "socks", "water")
_STARTS = (104.0, 160.5)
_KINDS = ("home", "office", "dorm", "pickup", "warehouse", None)
_SKUS = 24
_ADDRESSES = 12

Instants = NDArray[np.datetime64]


def example_market(seed: int, *, accounts: int = 30, orders: int = 500) -> dict[str, pa.Table]:
    """Draw a small market.

    Parameters
    ----------
    seed
        Of the draw.
    accounts, orders
        How many.
    """
    draw = np.random.default_rng(seed)
    trade = _Trade.drawn(draw, accounts, orders)
    people = _people(draw, trade.account_ids)
    traded = trade.tables(draw)
    opening = np.datetime64(FIRST_DAY.replace(tzinfo=None), "us")
    around = dealings(_rows, draw, traded["order_lines"], trade.account_ids, opening)
    return people | traded | around | {"skus": _skus(), "addresses": _addresses(), "promotions": _promotions()}


@dataclass(frozen=True)
class _Trade:
    """Who ordered what and when; lines are two an order.

    Parameters
    ----------
    account_ids, order_ids
        Ids, one an account and one an order.
    who
        Place of each order's account.
    ordered_at, order_late, delivered_at
        Of each order: when, when it became known, when it was delivered.
    place
        Id of each order's address.
    order_of_line, sku, price, line_late
        Of each line: its order, its SKU's number, the list price, when it became known.
    """

    account_ids: NDArray[np.object_]
    order_ids: list[str]
    who: NDArray[np.int64]
    ordered_at: Instants
    order_late: Instants
    delivered_at: Instants
    place: list[str]
    order_of_line: NDArray[np.int64]
    sku: NDArray[np.int64]
    price: NDArray[np.int64]
    line_late: Instants

    @classmethod
    def drawn(cls, draw: np.random.Generator, accounts: int, orders: int) -> _Trade:
        who = draw.integers(accounts, size=orders)
        ordered_at = _instant(draw.uniform(0, LAST_DAY_NO, orders))
        # Some are there when a promotion starts, and one or two are in step with each other.
        ordered_at[::15] = _instant(np.where(np.arange(len(ordered_at[::15])) % 2, _STARTS[0], _STARTS[1]))
        order_of_line = np.repeat(np.arange(orders), 2)
        sku = (draw.integers(12, size=2 * orders) * draw.integers(1, 4, size=2 * orders)) % _SKUS
        order_late = ordered_at + _lateness(draw, orders)
        line_late = np.maximum(order_late[order_of_line], ordered_at[order_of_line] + _lateness(draw, 2 * orders))
        return cls(
            account_ids=np.array([f"a{i}" for i in range(accounts)], dtype=object),
            order_ids=[f"o{i}" for i in range(orders)],
            who=who,
            ordered_at=ordered_at,
            order_late=order_late,
            delivered_at=ordered_at + draw.integers(1, 5, orders) * np.timedelta64(1, "D"),
            place=[f"p{who[i] // 4 if i % 3 else i % 9}" for i in range(orders)],
            order_of_line=order_of_line,
            sku=sku,
            price=500 + 100 * sku,
            line_late=line_late,
        )

    def tables(self, draw: np.random.Generator) -> dict[str, pa.Table]:
        return {
            "orders": self._orders(),
            "order_lines": self._lines(draw),
            "shipments": self._shipments(draw),
            "logins": self._logins(),
            "behaviors": self._pages(),
        }

    def _orders(self) -> pa.Table:
        places = range(len(self.order_ids))
        return _corrected(
            _rows(
                self.order_late,
                order_id=self.order_ids,
                account_id=self.account_ids[self.who],
                ordered_at=self.ordered_at,
                status=["paid" for _ in places],
                currency=["CNY" for _ in places],
                total_minor=np.bincount(self.order_of_line, weights=self.price).astype(np.int64),
                address_id=self.place,
                recipient_tok=[f"t{self.who[i]}" if i % 4 else f"u{i}" for i in places],
                invoice_type=["company" if i % 6 == 0 else "none" for i in places],
                gift=[i % 11 == 0 for i in places],
                lane=["group_buy" if i % 13 == 0 else "consumer" for i in places],
                device_tok=[(f"d{self.who[i] // 2}" if i % 6 else f"e{i}") if i % 5 else None for i in places],
                payment_tok=[f"y{self.who[i] // 3}" if i % 7 else f"y{self.who[i]}" for i in places],
                ip_tok=[f"n{self.who[i] // 5}" if i % 8 else None for i in places],
                recipient_phone_tok=[f"f{self.who[i]}" if i % 3 else f"f{i % 40}" for i in places],
            )
        )

    def _lines(self, draw: np.random.Generator) -> pa.Table:
        count = len(self.sku)
        return _rows(
            self.line_late,
            line_id=[f"l{i}" for i in range(count)],
            order_id=[self.order_ids[i] for i in self.order_of_line],
            sku_id=[f"s{i}" for i in self.sku],
            quantity=draw.geometric(0.4, count),
            list_price_minor=self.price,
            net_price_minor=self.price - draw.integers(0, 200, count),
            member_discount_minor=draw.integers(0, 50, count),
            coupon_discount_minor=draw.integers(0, 50, count),
            subsidised_by=["platform" if i % 4 == 0 else None for i in range(count)],
            account_id=self.account_ids[self.who[self.order_of_line]],
            ordered_at=self.ordered_at[self.order_of_line],
        )

    def _shipments(self, draw: np.random.Generator) -> pa.Table:
        return _rows(
            self.delivered_at + _lateness(draw, len(self.order_ids)),
            shipment_id=[f"h{i}" for i in range(len(self.order_ids))],
            order_id=self.order_ids,
            address_id=self.place,
            delivered_at=self.delivered_at,
            rerouted_from=[f"p{i % 11}" if i % 10 == 0 else None for i in range(len(self.order_ids))],
            collector_tok=[f"z{i % 15}" if i % 2 else None for i in range(len(self.order_ids))],
            account_id=self.account_ids[self.who],
            ordered_at=self.ordered_at,
        )

    def _logins(self) -> pa.Table:
        places = range(len(self.order_ids))
        return _rows(
            self.order_late,
            login_id=[f"g{i}" for i in places],
            account_id=self.account_ids[self.who],
            logged_in_at=self.ordered_at,
            ip_class=[("residential", "mobile", "proxy", None)[i % 4] for i in places],
            emulator=[i % 17 == 0 for i in places],
            device_tok=[f"d{self.who[i] // 2}" if i % 4 else f"x{i % 6}" for i in places],
            region_code=[f"r{i % 2}" if i % 5 else None for i in places],
        )

    def _pages(self) -> pa.Table:
        """Four pages an order: some begin with a search, all end at the checkout."""
        order = np.repeat(np.arange(len(self.order_ids)), 4)
        page = np.tile(np.arange(4), len(self.order_ids))
        first = [("search", "product_view", "favourite")[i % 3] for i in range(len(self.order_ids))]
        return _rows(
            self.order_late[order],
            event_id=[f"b{i}" for i in range(len(order))],
            account_id=self.account_ids[self.who[order]],
            occurred_at=self.ordered_at[order] + page * order % 50 * np.timedelta64(1, "s"),
            event_type=[
                (first[i], "review_read", "add_to_cart", "checkout")[p] for p, i in zip(page, order, strict=True)
            ],
            session_id=[f"v{i}" if i % 9 else None for i in order],
            dwell_ms=[1000 * (i % 7) for i in order],
        )


def _people(draw: np.random.Generator, account_ids: NDArray[np.object_]) -> dict[str, pa.Table]:
    count = len(account_ids)
    registered_at = _instant(draw.uniform(0, 30, count) // 5 * 5 + 0.1)
    applied_at = _instant(draw.uniform(90, LAST_DAY_NO, count))
    applied_at[:3] = _instant(np.full(3, _STARTS[1] + 0.02))
    return {
        "accounts": _rows(
            registered_at,
            account_id=account_ids,
            registered_at=registered_at,
            declared_use=["business" if i % 5 == 0 else "personal" for i in range(count)],
            region_code=[f"r{i % 3}" for i in range(count)],
            is_seller=[i % 7 == 0 for i in range(count)],
            seller_id=[f"se{i // 7}" if i % 7 == 0 else None for i in range(count)],
            channel=[("app", "web", None)[i % 3] for i in range(count)],
            invited_by=[f"a{i % 4}" if i % 3 == 0 and i > 3 else None for i in range(count)],  # noqa: PLR2004 # not itself
        ),
        "applications": _rows(
            applied_at,
            application_id=[f"q{i}" for i in range(count)],
            account_id=account_ids,
            submitted_at=applied_at,
            plan=["plus"] * count,
        ),
    }


def _skus() -> pa.Table:
    return _rows(
        np.full(_SKUS, np.datetime64(0, "us")),
        sku_id=[f"s{i}" for i in range(_SKUS)],
        category_l1=[_CATEGORIES[i % 6][0] for i in range(_SKUS)],
        category_l2=[_CATEGORIES[i % 6] for i in range(_SKUS)],
        limit_quantity=[3 if i % 4 == 0 else None for i in range(_SKUS)],
        limit_window_days=[30 if i % 8 == 0 else None for i in range(_SKUS)],
        carton_size=[(1, 2, 6)[i % 3] for i in range(_SKUS)],
        variant_group=[f"v{i // 12}" if i % 2 else None for i in range(_SKUS)],
        variant=[f"size {i % 4}" if i % 2 else None for i in range(_SKUS)],
        market_price_minor=[480 + 110 * i if i % 3 else None for i in range(_SKUS)],
    )


def _addresses() -> pa.Table:
    from_the_start = np.datetime64(0, "us")
    places = np.arange(_ADDRESSES)
    return _rows(
        np.where(places % 5 == 0, _instant(np.linspace(0.0, 165.0, _ADDRESSES)), from_the_start),
        address_id=[f"p{i}" for i in places],
        kind=[_KINDS[i % 6] for i in places],
        geohash=[f"wx4g{i // 4}e{i // 2}" for i in places],
        text=[f"Long Street {i}" for i in places],
    )


def _promotions() -> pa.Table:
    return _rows(
        _instant(np.array([100.0, 150.0])),
        promotion_id=["spring", "summer"],
        name=["spring", "summer"],
        starts_at=_instant(np.array(_STARTS)),
        ends_at=_instant(np.array([107.0, 163.5])),
        warm_up_starts_at=_instant(np.array([100.0, 155.0])),
    )


def _instant(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Give instants so many days after the market opens."""
    opening = np.datetime64(FIRST_DAY.replace(tzinfo=None), "us")
    instants: NDArray[np.datetime64] = opening + (days * _DAY_US).astype(np.int64).astype("timedelta64[us]")
    return instants


def _lateness(draw: np.random.Generator, n: int) -> NDArray[np.timedelta64]:
    """Give how late the platform came to know each row: most at once, a few days later."""
    late = np.where(draw.random(n) < 0.1, draw.integers(1, 20, n), 0)  # noqa: PLR2004 # one in ten
    return late.astype("timedelta64[D]").astype("timedelta64[us]")


def _rows(visible_at: NDArray[np.datetime64], **columns: Iterable[object]) -> pa.Table:
    """Lay out rows with their version columns; nothing supersedes them yet."""
    versions = (visible_at, visible_at, np.full(len(visible_at), np.datetime64("NaT"), dtype="datetime64[us]"))
    return pa.table(columns | dict(zip(VERSION_COLUMNS, versions, strict=True)))


def _corrected(orders: pa.Table) -> pa.Table:
    """Let every ninth order have a second version, a few days later: refunded, and sent to another address."""
    first = orders.to_pylist()
    second = []
    for row in first[::9]:
        known_at = row["visible_at"] + timedelta(days=3)
        second.append(
            row | {"status": "refunded", "address_id": "p11", "visible_at": known_at, "ingested_at": known_at}
        )
        row["superseded_at"] = known_at
    return pa.Table.from_pylist(first + second, schema=orders.schema)
