"""A tiny market, spelled out row by row, so that every feature's value can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from membergate.domain.evidence import Absence
from membergate.learning.features import FeatureTable, Norms, Spine, compute
from membergate.learning.identity import OperatorTable
from membergate.testing import connect

_NEVER = datetime(1970, 1, 1)  # noqa: DTZ001 # the warehouse writes naive UTC


def at(text: str) -> datetime:
    """Read an instant of the tiny market."""
    return datetime.fromisoformat(text)


def known_norms(**priors: float) -> Norms:
    """Give norms that can be done in one's head: allowance 2, one unit a day, resale 100, score 0.5, rarity 2."""
    return Norms(
        datetime(2025, 1, 1, tzinfo=UTC),
        {
            "norm_sku": pa.table(
                {
                    "sku_id": ["s1", "s2"],
                    "resale_price_minor": [100, 200],
                    "resale_score": [0.5, 0.75],
                    "weekly_share": [0.01, 0.01],
                    "rarity": [2.0, 3.0],
                }
            ),
            "norm_category": _category_norms(),
            "norm_place_kind": pa.table(
                {"place_kind": ["home", "pickup"], "typical_log_accounts": [np.log(2), np.log(8)]}
            ),
            "norm_threshold": pa.table(
                {"currency": ["CNY"] * 6, "amount_key": list(range(3200, 3206)), "ceiling_minor": [206] * 6}
            ),
        },
        {
            "allowance": 3.0,
            "daily_units": 1.0,
            "resale_score": 0.25,
            "weekly_share": 0.001,
            "rarity": 4.0,
            "typical_log_accounts": float(np.log(2)),
            "core_categories": 4.0,
            "return_rate": 0.1,
            "utc_offset_hours": 8.0,
            "fee_minor": 365.0,
            "promotion_odds": 0.25,
        },
        priors,
    )


def _category_norms() -> pa.Table:
    return pa.table(
        {
            "category": ["tea", "soap"],
            "allowance": [2, 4],
            "daily_units": [1.0, 0.5],
            "is_core": [True, False],
            "return_rate": [0.1, 0.2],
        }
    )


@dataclass
class TinyMarket:
    """Rows added one by one; SKUs s1 (tea, limit 3 in 30 days) and s2 (soap); addresses home*, pickup*, shop*."""

    accounts: dict[str, datetime] = field(default_factory=dict)
    orders: list[dict[str, object]] = field(default_factory=list)
    lines: list[dict[str, object]] = field(default_factory=list)
    shipments: list[dict[str, object]] = field(default_factory=list)
    applications: list[dict[str, object]] = field(default_factory=list)
    promotions: list[dict[str, object]] = field(default_factory=list)
    logins: list[dict[str, object]] = field(default_factory=list)
    behaviors: list[dict[str, object]] = field(default_factory=list)
    sellers: set[str] = field(default_factory=set)
    invited_by: dict[str, str] = field(default_factory=dict)
    shops: dict[str, str] = field(default_factory=dict)
    geohashes: dict[str, str] = field(default_factory=dict)
    other: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def buys(
        self,
        account: str,
        when: str,
        units: int = 1,
        sku: str = "s1",
        *,
        net: int = 80,
        listed: int = 100,
        address: str | None = "home",
        recipient: str | None = "r",
        gift: bool = False,
        known: str | None = None,
        device: str | None = None,
        payer: str | None = None,
        invoice: str = "none",
        saved: tuple[int, int] = (0, 0),
        subsidy: str | None = None,
        network: str | None = None,
        phone: str | None = None,
    ) -> str:
        """Let an account order one line; give the order's id. `saved` is what member price and coupon spared."""
        self.accounts.setdefault(account, at("2024-01-01"))
        order, ordered_at = f"o{len(self.orders)}", at(when)
        visible_at = at(known) if known else ordered_at
        shared = {"account_id": account, "order_id": order, "ordered_at": ordered_at, **_version(visible_at)}
        own = {"address_id": address, "recipient_tok": recipient, "gift": gift, "status": "paid", "currency": "CNY"}
        own |= {"ip_tok": network, "recipient_phone_tok": phone}
        own |= {"device_tok": device, "payment_tok": payer, "invoice_type": invoice, "lane": "consumer"}
        self.orders.append(shared | own | {"total_minor": units * net})
        price = {"quantity": units, "list_price_minor": listed, "net_price_minor": net}
        self.lines.append(
            shared
            | price
            | {"line_id": f"l{len(self.lines)}", "sku_id": sku, "subsidised_by": subsidy}
            | {"member_discount_minor": saved[0], "coupon_discount_minor": saved[1]}
        )
        return order

    def delivers(
        self, order: str, when: str, address: str, *, instead_of: str | None = None, collector: str | None = None
    ) -> None:
        """Deliver an order somewhere."""
        row = next(row for row in self.orders if row["order_id"] == order)
        kept = {name: row[name] for name in ("account_id", "order_id", "ordered_at")}
        shipment = {"shipment_id": f"h{order}", "address_id": address, "delivered_at": at(when)}
        shipment |= {"rerouted_from": instead_of, "collector_tok": collector}
        self.shipments.append(kept | shipment | _version(at(when)))

    def applies(self, account: str, when: str, application: str) -> None:
        """Let an account apply for membership."""
        self.accounts.setdefault(account, at("2024-01-01"))
        row = {"application_id": application, "account_id": account, "submitted_at": at(when), "plan": "plus"}
        self.applications.append(row | _version(at(when)))

    def signs_in(
        self,
        account: str,
        when: str,
        network: str | None = None,
        *,
        emulator: bool = False,
        device: str | None = None,
        region: str | None = None,
    ) -> None:
        """Let an account sign in."""
        row = {"login_id": f"g{len(self.logins)}", "account_id": account, "logged_in_at": at(when)}
        row |= {"device_tok": device, "region_code": region}
        self.logins.append(row | {"ip_class": network, "emulator": emulator} | _version(at(when)))

    def looks(self, account: str, when: str, session: str, *pages: str, dwell_ms: int = 0) -> None:
        """Let an account walk through pages in one session."""
        for page in pages:
            row = {"event_id": f"b{len(self.behaviors)}", "account_id": account, "occurred_at": at(when)}
            row |= {"event_type": page, "session_id": session, "dwell_ms": dwell_ms}
            self.behaviors.append(row | _version(at(when)))

    def promotes(self, starts: str, ends: str, warm_up: str) -> None:
        """Announce a promotion at its warm-up."""
        row = {"promotion_id": f"p{len(self.promotions)}", "starts_at": at(starts), "ends_at": at(ends)}
        self.promotions.append(row | {"warm_up_starts_at": at(warm_up)} | _version(at(warm_up)))

    def adds(self, table: str, when: str, **columns: object) -> None:
        """Add a row to any other table, known at an instant."""
        rows = self.other.setdefault(table, [])
        rows.append({f"{table}_row": f"{table}{len(rows)}"} | columns | _version(at(when)))

    def returns(self, order: str, when: str, units: int) -> None:
        """Let units of an order of one line come back."""
        line = next(row for row in self.lines if row["order_id"] == order)
        kept = {name: line[name] for name in ("line_id", "account_id", "order_id", "sku_id")}
        self.adds("returns", when, quantity=units, returned_at=at(when), **kept)

    def tables(self) -> dict[str, pa.Table]:
        """Give the market in the form of the warehouse's views."""
        forever = _version(_NEVER)
        skus: list[dict[str, object]] = [
            {"sku_id": "s1", "category_l1": "food", "category_l2": "tea", "limit_quantity": 3, "limit_window_days": 30},
            {"sku_id": "s2", "category_l1": "home", "category_l2": "soap", "limit_quantity": None, "carton_size": 6},
            {"sku_id": "s3", "category_l1": "home", "category_l2": "soap", "limit_quantity": None},
            {"sku_id": "v1", "category_l1": "wear", "category_l2": "socks", "variant_group": "v", "variant": "38"},
            {"sku_id": "v2", "category_l1": "wear", "category_l2": "socks", "variant_group": "v", "variant": "40"},
        ]
        places = {str(row["address_id"]) for row in (*self.orders, *self.shipments) if row["address_id"]}
        addresses = [
            {"address_id": place, "kind": place.rstrip("0123456789"), "text": f"House {place}"}
            | {"geohash": self.geohashes.get(place, f"g{place}")}
            | forever
            for place in sorted(places)
        ]
        accounts = [
            {"account_id": name, "registered_at": since, "is_seller": name in self.sellers, **_version(since)}
            | {"invited_by": self.invited_by.get(name), "seller_id": self.shops.get(name), "channel": "app"}
            for name, since in self.accounts.items()
        ]
        rows = {
            "accounts": accounts,
            "orders": self.orders,
            "order_lines": self.lines,
            "shipments": self.shipments,
            "applications": self.applications,
            "promotions": self.promotions,
            "logins": self.logins,
            "behaviors": self.behaviors,
            "skus": [sku | forever for sku in skus],
            "addresses": addresses,
            **self.other,
        }
        return {name: pa.Table.from_pylist(table, schema=_schema(table)) for name, table in rows.items() if table}


def _version(visible_at: datetime) -> dict[str, object]:
    return {"ingested_at": visible_at, "visible_at": visible_at, "superseded_at": None}


def _schema(rows: Sequence[dict[str, object]]) -> pa.Schema:
    """Type the columns by their values; what is always empty is a text, but for the version columns."""
    columns = {name: [row.get(name) for row in rows] for row in rows for name in row}
    typed = {name: pa.array(values).type for name, values in columns.items()}
    typed["superseded_at"] = pa.timestamp("us")
    return pa.schema([(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in typed.items()])


Ask = Callable[..., float | Absence]


@pytest.fixture
def market() -> TinyMarket:
    """Give an empty tiny market, in which nobody has bought anything."""
    return TinyMarket()


def answers(
    market: TinyMarket,
    account: str,
    when: str,
    members: tuple[str, ...] = (),
    only: tuple[str, ...] | None = None,
    **priors: float,
) -> FeatureTable:
    """Compute features, the catalogue where none are named, for one account as of an instant, as application `q`."""
    own = np.array([account], dtype=object)
    everyone = np.array(members or (account,), dtype=object)
    operators = OperatorTable(own, np.array([len(everyone)]), everyone, np.array([0, len(everyone)]))
    spine = Spine(np.array(["q"], dtype=object), own, np.array([at(when)], dtype="datetime64[us]"))
    return compute(connect(market.tables()), spine, known_norms(**priors), operators, only)


@pytest.fixture
def ask(market: TinyMarket) -> Ask:
    """Ask the tiny market for one feature's value or absence."""

    def asking(feature: str, when: str = "2025-06-30T12:00", account: str = "a", **how: object) -> float | Absence:
        table = answers(market, account, when, only=(feature,), **how)  # type: ignore[arg-type] # members and priors
        absence = table.absence(0, feature)
        return absence if absence is not None else float(table.column(feature)[0])

    return asking


@pytest.fixture
def context(market: TinyMarket) -> Callable[..., dict[str, object]]:
    """Ask the tiny market for an account's context."""

    def asking(when: str = "2025-06-30T12:00", account: str = "a", **how: object) -> dict[str, object]:
        table = answers(market, account, when, **how)  # type: ignore[arg-type] # members and priors
        return {name: column[0] for name, column in table.context.items()}

    return asking
