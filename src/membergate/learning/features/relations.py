"""Relations: one table of events each, cut as of each row's instant, with what describes the events.

A relation reads its table (alias `e`), joined on the account to the spine (alias `x`). Nothing here names an instant:
the compiler adds the as-of cut to every market table it reads, so no declaration can see the future.
"""

from __future__ import annotations

from dataclasses import dataclass

DAY_US = 86_400_000_000
"""Microseconds in a day."""
LONGEST_WINDOW_DAYS = 365
"""Events older than this are read by no feature."""


def age_days(event_time: str) -> str:
    """Write the age of event `e` in calendar days (UTC) before the row's instant, so that days and ages group alike."""
    return f"(EPOCH_US(x.as_of) // {DAY_US} - EPOCH_US(e.{event_time}) // {DAY_US})"


@dataclass(frozen=True)
class Join:
    """A table that describes an event.

    Parameters
    ----------
    alias
        The name under which columns refer to it.
    table
        A market table, cut as of the instant; or a norm (`norm_…`), which is fitted and needs no cut; or another
        relation (`feature_…`), which is cut already, unless it is static.
    on
        The SQL condition, over `e` and earlier aliases.
    """

    alias: str
    table: str
    on: str

    @property
    def is_cut(self) -> bool:
        """Whether its rows need no as-of cut any more."""
        joined = RELATIONS.get(self.relation)
        return self.table.startswith("norm_") or (joined is not None and not joined.is_static)

    @property
    def relation(self) -> str:
        """The name of the relation that it joins, if it joins one."""
        return self.table.removeprefix("feature_")


@dataclass(frozen=True)
class Relation:
    """Visible events of the spine's accounts, one row an event; or, without events, a table that describes them.

    Parameters
    ----------
    name
        Its name.
    table
        The market table that it reads; empty for the spine itself.
    event_time
        The column that says when an event happened; `age_days` is counted from it. Empty for a table without events,
        which is made once for all rows of the spine, keeps its version columns, and is cut where it is joined.
    columns
        Name -> SQL alternatives, best first: the first one whose market columns all exist is taken, and the last one
        says what is needed at least.
    joins
        What describes the events; read only where a used column names the alias.
    """

    name: str
    table: str
    event_time: str
    columns: dict[str, tuple[str, ...]]
    joins: tuple[Join, ...] = ()

    @property
    def is_static(self) -> bool:
        """Whether it describes things and holds no events."""
        return bool(self.table) and not self.event_time

    def join(self, alias: str) -> Join | None:
        """Give the join of that alias, or None for the relation's own."""
        return next((join for join in self.joins if join.alias == alias), None)


def _known(column: str) -> str:
    """Write the key of a thing, NULL where it is not known: HASH(NULL) is a number, and would be one shared thing."""
    return f"CASE WHEN {column} IS NOT NULL THEN HASH({column}) END"


_PRICE = "COALESCE(e.market_price_minor, n.resale_price_minor)", "n.resale_price_minor"
_CATEGORY = "COALESCE(e.category_l2, e.category_l1)", "e.category_l1"

GOODS = Relation(
    "goods",
    "skus",
    "",
    {
        "sku_id": ("e.sku_id",),
        "category": tuple(f"HASH({category})" for category in _CATEGORY),
        "resale_minor": _PRICE,
        "resale_score": ("n.resale_score",),
        "rarity": ("n.rarity",),
        "allowance": ("c.allowance", "w.allowance"),
        "daily_units": ("c.daily_units", "w.daily_units"),
        "limit_units": ("e.limit_quantity",),
        "carton_units": ("e.carton_size",),
        "limit_window_days": ("e.limit_window_days",),
    },
    (
        Join("n", "norm_sku", "n.sku_id = e.sku_id"),
        Join("c", "norm_category", f"c.category = {_CATEGORY[0]}"),
        Join("w", "norm_category", f"w.category = {_CATEGORY[1]}"),
    ),
)
"""SKUs and what is normal for them, worked out once a SKU and not once a line."""

# LEAST and GREATEST pass NULL over, so without the condition an unknown margin would become the highest
_MARGIN = (
    "CASE WHEN s.resale_minor IS NOT NULL AND e.net_price_minor > 0 "
    "THEN GREATEST(-1.0, LEAST(3.0, (s.resale_minor - e.net_price_minor) / e.net_price_minor)) END"
)
_MEMBER_MINOR, _COUPON_MINOR = "COALESCE(e.member_discount_minor, 0)", "COALESCE(e.coupon_discount_minor, 0)"
_DISCOUNTS = f"CAST({_MEMBER_MINOR} > 0 AS INTEGER) + CAST({_COUPON_MINOR} > 0 AS INTEGER)"

LINE = Relation(
    "line",
    "order_lines",
    "ordered_at",
    {
        "units": ("e.quantity",),
        "sku": ("HASH(e.sku_id)",),
        "category": ("s.category",),
        "day": (f"EPOCH_US(e.ordered_at) // {DAY_US}",),
        "paid_minor": ("e.quantity * e.net_price_minor",),
        "benefit_minor": ("e.quantity * GREATEST(0, e.list_price_minor - e.net_price_minor)",),
        "margin_ratio": (_MARGIN,),
        "gain_minor": ("e.quantity * GREATEST(0, s.resale_minor - e.net_price_minor)",),
        "resale_score": ("COALESCE(s.resale_score, PRIOR('resale_score'))",),
        "rarity": ("COALESCE(s.rarity, PRIOR('rarity'))",),
        "allowance": ("COALESCE(s.allowance, PRIOR('allowance'))",),
        "daily_units": ("COALESCE(s.daily_units, PRIOR('daily_units'))",),
        "limit_units": ("s.limit_units",),
        "carton_units": ("s.carton_units",),
        "is_subsidised": ("e.subsidised_by IS NOT NULL",),
        "taken_minor": (f"{_MEMBER_MINOR} + {_COUPON_MINOR}", _MEMBER_MINOR, _COUPON_MINOR),
        "incentives": (f"{_DISCOUNTS} + CAST(e.subsidised_by IS NOT NULL AS INTEGER)", _DISCOUNTS),
        "limit_window_no": (
            f"{age_days('ordered_at')} // GREATEST(COALESCE(s.limit_window_days, {LONGEST_WINDOW_DAYS}), 1)",
            "0",
        ),
        "is_promotion_day": ("p.day IS NOT NULL",),
        "is_quiet_day": ("p.day IS NULL", "TRUE"),
        "is_gift": ("COALESCE(o.is_gift, FALSE)", "FALSE"),
        "address": ("o.address",),
    },
    (
        Join("s", "feature_goods", "s.sku_id = e.sku_id"),
        Join("o", "feature_order", "o.row_id = x.row_id AND o.order_key = HASH(e.order_id)"),
        Join("p", "feature_promotion_days", f"p.day = EPOCH_US(e.ordered_at) // {DAY_US}"),
    ),
)
"""Order lines. Prices are per unit."""

ORDER = Relation(
    "order",
    "orders",
    "ordered_at",
    {
        "order_key": ("HASH(e.order_id)",),
        "address": (_known("e.address_id"),),
        "recipient": (_known("e.recipient_tok"),),
        "device": (_known("e.device_tok"),),
        "payer": (_known("e.payment_tok"),),
        "is_gift": ("COALESCE(e.gift, FALSE)",),
        "is_company_invoice": ("COALESCE(e.invoice_type = 'company', FALSE)",),
        "is_group_buy": ("COALESCE(e.lane = 'group_buy', FALSE)",),
    },
)
"""Orders, without what later becomes of them: `orders.status` is off limits."""

PARCEL = Relation("parcel", "shipments", "delivered_at", {})
"""Delivered parcels."""

DELIVERY = Relation(
    "delivery",
    "feature_shared_deliveries",
    "delivered_at",
    {
        "sku": ("HASH(e.sku_id)",),
        "place": ("e.place",),
        "week": ("e.week",),
        "weekly_share": ("COALESCE(n.weekly_share, PRIOR('weekly_share'))",),
    },
    (Join("n", "norm_sku", "n.sku_id = e.sku_id"),),
)
"""What was delivered to places that several accounts used in the same week: one row a line. The place is the final one,
after any re-routing. Deliveries to places of one's own say nothing of convergence and are left out before the lines are
read, which saves most of the work."""

APPLICATION = Relation(
    "application",
    "applications",
    "submitted_at",
    {"is_other": ("e.application_id <> x.subject_id",)},
)
"""Applications for membership."""

LOGIN = Relation(
    "login",
    "logins",
    "logged_in_at",
    {
        "is_hidden_network": ("COALESCE(e.ip_class IN ('datacentre', 'proxy'), FALSE)",),
        "is_emulated": ("COALESCE(e.emulator, FALSE)",),
    },
)
"""Sign-ins."""

PAGE = Relation(
    "page",
    "behaviors",
    "occurred_at",
    {
        "session": (_known("e.session_id"),),
        "is_looking_round": ("e.event_type IN ('search', 'list_view')",),
        "is_checkout": ("e.event_type = 'checkout'",),
        "is_interest": ("e.event_type IN ('favourite', 'review_read')",),
    },
)
"""Page events."""

PLACE = Relation("place", "addresses", "", {"address": ("HASH(e.address_id)",), "place_kind": ("e.kind", "'unknown'")})
"""What is known of an address; grains look it up once they are grouped by address."""

SUBJECT = Relation(
    "subject",
    "",
    "",
    {
        "operator_size": ("x.operator_size",),
        "tenure_days": (f"(EPOCH_US(x.as_of) - EPOCH_US(c.registered_at)) // {DAY_US}",),
        "region_code": ("c.region_code",),
        "declared_use": ("c.declared_use",),
        "is_seller": ("c.is_seller",),
    },
    (Join("c", "accounts", "c.account_id = x.account_id"),),
)
"""The question itself, and the account's own row."""

RELATIONS = {
    relation.name: relation
    for relation in (PLACE, GOODS, ORDER, LINE, PARCEL, DELIVERY, LOGIN, PAGE, APPLICATION, SUBJECT)
}
"""Every relation by name; one that another joins comes first."""
