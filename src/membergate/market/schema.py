"""The canonical market schema, version 1: every table and column that the project reads, as frozen declarations.

Raw behaviour comes as a *market folder* (one file or folder per table). This module says which tables and columns there
are, which are required, what values they take, what identifies a row, when a row happened and whose child it is. The
checks, the loading, the warehouse's views and the reference page are all derived from here; nothing else knows columns.
"""

from __future__ import annotations

from collections.abc import Iterator

from membergate.market.declaring import (
    LARGEST_MONEY_MINOR,
    LARGEST_QUANTITY,
    SMALLEST_PROPENSITY,
    Column,
    Kind,
    Parent,
    Table,
)

SCHEMA_VERSION = 1
"""The version of the contract; it changes when a market folder that used to load would no longer."""


def _id(*names: str) -> Iterator[Column]:
    return (Column(name, Kind.ID) for name in names)


def _required_id(*names: str) -> Iterator[Column]:
    return (Column(name, Kind.ID, is_required=True) for name in names)


def _text(name: str, *, is_required: bool = False) -> Column:
    return Column(name, Kind.TEXT, is_required=is_required)


def _choice(name: str, *choices: str, is_required: bool = False) -> Column:
    return Column(name, Kind.CHOICE, is_required=is_required, choices=choices)


def _money(name: str, *, is_required: bool = False) -> Column:
    return Column(name, Kind.MONEY, is_required=is_required, minimum=0, maximum=LARGEST_MONEY_MINOR)


def _count(name: str, *, is_required: bool = False, minimum: int = 0) -> Column:
    return Column(name, Kind.COUNT, is_required=is_required, minimum=minimum, maximum=LARGEST_QUANTITY)


def _time(name: str, *, is_required: bool = False) -> Column:
    return Column(name, Kind.TIME, is_required=is_required)


def _flag(name: str) -> Column:
    return Column(name, Kind.FLAG)


_QUANTITY = _count("quantity", is_required=True, minimum=1)
_OF_ACCOUNT = Parent("accounts", "account_id")

_ACCOUNTS = Table(
    "accounts",
    (
        *_required_id("account_id"),
        _time("registered_at", is_required=True),
        _text("channel"),
        *_id("invited_by", "phone_tok", "email_tok", "id_tok"),
        _flag("is_seller"),
        *_id("seller_id"),
        _choice("declared_use", "personal", "business"),
        *_id("region_code"),
    ),
    key=("account_id",),
    event=("registered_at",),
    is_required=True,
    mutable=frozenset({"is_seller"}),
)
_APPLICATIONS = Table(
    "applications",
    (
        *_required_id("application_id", "account_id"),
        _time("submitted_at", is_required=True),
        *_required_id("plan"),
        _text("channel"),
        *_id("promotion_id", "device_tok", "ip_tok"),
    ),
    key=("application_id",),
    event=("submitted_at",),
    parent=_OF_ACCOUNT,
    is_required=True,
)
_MEMBERSHIPS = Table(
    "memberships",
    (
        *_required_id("membership_id", "account_id", "plan"),
        _choice("state", "trial", "active", "suspended", "ended", is_required=True),
        _time("started_at", is_required=True),
        _time("ended_at"),
        _money("fee_minor"),
    ),
    key=("membership_id",),
    event=("started_at",),
    parent=_OF_ACCOUNT,
    mutable=frozenset({"state", "ended_at"}),
)
_ORDERS = Table(
    "orders",
    (
        *_required_id("order_id", "account_id"),
        _time("ordered_at", is_required=True),
        _choice("status", "placed", "paid", "shipped", "delivered", "cancelled", "refunded", is_required=True),
        Column("currency", Kind.CURRENCY, is_required=True),
        _money("total_minor", is_required=True),
        *_id("store_id"),
        _time("paid_at"),
        _money("discount_minor"),
        _money("shipping_minor"),
        *_id("address_id", "recipient_tok", "recipient_phone_tok", "payment_tok", "device_tok", "ip_tok", "session_id"),
        _text("channel"),
        _choice("invoice_type", "none", "personal", "company"),
        _flag("gift"),
        _choice("lane", "consumer", "enterprise", "campus", "group_buy", "rural_agent"),
    ),
    key=("order_id",),
    event=("ordered_at",),
    parent=_OF_ACCOUNT,
    is_required=True,
    mutable=frozenset({"status"}),
)
_ORDER_LINES = Table(
    "order_lines",
    (
        *_required_id("line_id", "order_id", "sku_id"),
        _QUANTITY,
        _money("list_price_minor", is_required=True),
        _money("net_price_minor", is_required=True),
        _money("member_discount_minor"),
        _money("coupon_discount_minor"),
        _choice("subsidised_by", "platform", "store"),
    ),
    key=("line_id",),
    event=("ordered_at",),
    parent=Parent("orders", "order_id", inherits=("account_id", "ordered_at")),
    is_required=True,
)
_SKUS = Table(
    "skus",
    (
        *_required_id("sku_id", "category_l1"),
        *_id("category_l2", "category_l3", "brand", "store_id"),
        _count("pack_size"),
        _count("carton_size"),
        *_id("variant_group", "variant"),
        _count("limit_quantity"),
        _count("limit_window_days"),
        _money("market_price_minor"),
    ),
    key=("sku_id",),
    is_required=True,
)
_STORES = Table(
    "stores",
    (*_required_id("store_id"), *_id("category_l1"), _flag("first_party"), _time("opened_at")),
    key=("store_id",),
)
_ADDRESSES = Table(
    "addresses",
    (
        *_required_id("address_id"),
        *_id("geohash", "region_code"),
        _choice(
            "kind", "home", "office", "school", "dorm", "pickup", "locker", "warehouse", "forwarder", "shop",
        ),
        _text("text"),
    ),
    key=("address_id",),
)  # fmt: skip
_SHIPMENTS = Table(
    "shipments",
    (
        *_required_id("shipment_id", "order_id", "address_id"),
        _time("delivered_at"),
        *_id("collector_tok", "rerouted_from"),
    ),
    key=("shipment_id",),
    event=("delivered_at", "ordered_at"),
    parent=Parent("orders", "order_id", inherits=("account_id", "ordered_at")),
)
_LOGINS = Table(
    "logins",
    (
        *_required_id("login_id", "account_id"),
        _time("logged_in_at", is_required=True),
        *_id("device_tok", "ip_tok"),
        _choice("ip_class", "residential", "mobile", "datacentre", "proxy", "campus"),
        _flag("emulator"),
        *_id("region_code"),
    ),
    key=("login_id",),
    event=("logged_in_at",),
    parent=_OF_ACCOUNT,
)
_BEHAVIORS = Table(
    "behaviors",
    (
        *_required_id("event_id", "account_id"),
        _time("occurred_at", is_required=True),
        _choice(
            "event_type", "search", "list_view", "product_view", "add_to_cart", "checkout", "favourite", "review_read",
            is_required=True,
        ),
        *_id("session_id", "sku_id"),
        Column("dwell_ms", Kind.COUNT, minimum=0),
    ),
    key=("event_id",),
    event=("occurred_at",),
    parent=_OF_ACCOUNT,
)  # fmt: skip
_COUPON_EVENTS = Table(
    "coupon_events",
    (
        *_required_id("coupon_id", "template_id", "account_id"),
        _choice("action", "issued", "claimed", "used", "expired", is_required=True),
        _money("value_minor"),
        _time("occurred_at", is_required=True),
    ),
    # One coupon has an event for each step of its life, and a reusable one is used more than once.
    key=("coupon_id", "account_id", "action", "occurred_at"),
    event=("occurred_at",),
    parent=_OF_ACCOUNT,
)
_RETURNS = Table(
    "returns",
    (
        *_required_id("return_id", "line_id"),
        _QUANTITY,
        _time("returned_at", is_required=True),
        _text("reason"),
        _money("refunded_minor"),
    ),
    key=("return_id",),
    event=("returned_at",),
    parent=Parent("order_lines", "line_id", inherits=("account_id", "order_id", "sku_id")),
)
_REVIEWS = Table(
    "reviews",
    (
        *_required_id("review_id", "line_id"),
        _time("reviewed_at", is_required=True),
        Column("rating", Kind.NUMBER),
        Column("text_length", Kind.COUNT, minimum=0),
        _flag("has_media"),
    ),
    key=("review_id",),
    event=("reviewed_at",),
    parent=Parent("order_lines", "line_id", inherits=("account_id", "order_id", "sku_id")),
)
_SUPPORT_CASES = Table(
    "support_cases",
    (*_required_id("case_id", "account_id"), _time("opened_at", is_required=True), _text("topic")),
    key=("case_id",),
    event=("opened_at",),
    parent=_OF_ACCOUNT,
)
_PROMOTIONS = Table(
    "promotions",
    (
        *_required_id("promotion_id"),
        _text("name", is_required=True),
        _time("starts_at", is_required=True),
        _time("ends_at", is_required=True),
        *_id("kind"),
        _time("warm_up_starts_at"),
    ),
    key=("promotion_id",),
    event=("warm_up_starts_at", "starts_at"),
    is_announced=True,
)
_LISTINGS = Table(
    "listings",
    (
        *_required_id("listing_id", "seller_id", "sku_id"),
        _money("price_minor", is_required=True),
        _time("listed_at", is_required=True),
    ),
    key=("listing_id",),
    event=("listed_at",),
)
_LABELS = Table(
    "labels",
    (
        _choice("subject_type", "account", "operator", is_required=True),
        *_required_id("subject_id"),
        _choice("label", "merchant", "genuine", is_required=True),
        _choice("grade", "L0", "L1", "L2", "L3", "L4", is_required=True),
        *_required_id("source"),
        _time("decided_at", is_required=True),
        *_id("category_l1", "store_id"),
        Column("propensity", Kind.NUMBER, minimum=SMALLEST_PROPENSITY, maximum=1),
    ),
    key=("subject_type", "subject_id", "source", "decided_at"),
    event=("decided_at",),
)


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _ACCOUNTS,
        _APPLICATIONS,
        _MEMBERSHIPS,
        _ORDERS,
        _ORDER_LINES,
        _SKUS,
        _STORES,
        _ADDRESSES,
        _SHIPMENTS,
        _LOGINS,
        _BEHAVIORS,
        _COUPON_EVENTS,
        _RETURNS,
        _REVIEWS,
        _SUPPORT_CASES,
        _PROMOTIONS,
        _LISTINGS,
        _LABELS,
    )
}
"""Every table of the schema, in the contract's order; a parent always comes before its children."""

REQUIRED_TABLES = tuple(table.name for table in TABLES.values() if table.is_required)
"""The tables without which there is no market."""

VERSION_COLUMNS = ("ingested_at", "visible_at", "superseded_at")
"""Columns that the warehouse adds to every view: when the row was known, from when it may be seen, and until when."""
