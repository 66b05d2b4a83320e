"""Relations about trade: goods, order lines, orders, parcels, what comes back."""

from __future__ import annotations

from membergate.learning.features.relation import (
    DAY_US,
    LONGEST_WINDOW_DAYS,
    MINUTE_US,
    Join,
    Relation,
    age_days,
    business_hour,
    known,
)

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
        "is_core": ("COALESCE(c.is_core, w.is_core)", "COALESCE(w.is_core, FALSE)"),
        "return_rate": ("COALESCE(c.return_rate, w.return_rate)", "w.return_rate"),
        "family": (known("e.variant_group"),),
        "variant": ("HASH(e.variant)",),
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

_DISCOUNT = (
    "CASE WHEN e.list_price_minor > 0 THEN GREATEST(0, e.list_price_minor - e.net_price_minor) / e.list_price_minor END"
)
_REROUTED = "CASE WHEN e.rerouted_from IS NOT NULL AND e.rerouted_from <> e.address_id THEN HASH(e.address_id) END"

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
        "order_no": ("HASH(e.order_id)",),
        "week": (f"EPOCH_US(e.ordered_at) // {7 * DAY_US}",),
        "month": (f"EPOCH_US(e.ordered_at) // {30 * DAY_US}",),
        "account": ("HASH(e.account_id)",),
        "quarter_hour": (f"EPOCH_US(e.ordered_at) // {15 * MINUTE_US}",),
        "hours_after_joining": (f"(EPOCH_US(e.ordered_at) - EPOCH_US(c.registered_at)) // {60 * MINUTE_US}",),
        "is_member_price": ("e.member_discount_minor > 0",),
        "discount_ratio": (_DISCOUNT,),
        "is_core": ("COALESCE(s.is_core, FALSE)",),
        "usual_returns": ("e.quantity * COALESCE(s.return_rate, PRIOR('return_rate'))",),
        "family": ("s.family",),
        "variant": ("s.variant",),
    },
    (
        Join("s", "feature_goods", "s.sku_id = e.sku_id"),
        Join("o", "feature_order", "o.row_id = x.row_id AND o.order_key = HASH(e.order_id)"),
        Join("p", "feature_promotion_days", f"p.day = EPOCH_US(e.ordered_at) // {DAY_US}"),
        Join("c", "accounts", "c.account_id = e.account_id"),
    ),
)
"""Order lines. Prices are per unit."""

_GIVEN, _SENT = " + COALESCE(e.discount_minor, 0)", " - COALESCE(e.shipping_minor, 0)"
# What the goods came to before a threshold gave anything off, as `norm_thresholds` counts it.
_GOODS_AMOUNT = [f"e.total_minor{more}" for more in (_GIVEN + _SENT, _GIVEN, _SENT, "")]

ORDER = Relation(
    "order",
    "orders",
    "ordered_at",
    {
        "order_key": ("HASH(e.order_id)",),
        "address": (known("e.address_id"),),
        "recipient": (known("e.recipient_tok"),),
        "device": (known("e.device_tok"),),
        "payer": (known("e.payment_tok"),),
        "is_gift": ("COALESCE(e.gift, FALSE)",),
        "is_company_invoice": ("COALESCE(e.invoice_type = 'company', FALSE)",),
        "is_group_buy": ("COALESCE(e.lane = 'group_buy', FALSE)",),
        "recipient_phone": (known("e.recipient_phone_tok"),),
        "network": (known("e.ip_tok"),),
        "day": (f"EPOCH_US(e.ordered_at) // {DAY_US}",),
        "minute": (f"EPOCH_US(e.ordered_at) // {MINUTE_US}",),
        "age_minutes": (f"(EPOCH_US(x.as_of) - EPOCH_US(e.ordered_at)) // {MINUTE_US}",),
        "is_business_hour": (business_hour("e.ordered_at"),),
        "is_opening": ("p.minute IS NOT NULL",),
        "is_quiet_day": ("d.day IS NULL", "TRUE"),
        "amount_minor": tuple(_GOODS_AMOUNT),
        "currency": ("HASH(e.currency)",),
    },
    (
        Join("p", "feature_openings", f"p.minute = EPOCH_US(e.ordered_at) // {MINUTE_US}"),
        Join("d", "feature_promotion_days", f"d.day = EPOCH_US(e.ordered_at) // {DAY_US}"),
    ),
)
"""Orders, without what later becomes of them: `orders.status` is off limits."""

PARCEL = Relation(
    "parcel",
    "shipments",
    "delivered_at",
    {
        "rerouted_to": (_REROUTED,),
        "collector": (known("e.collector_tok"),),
        "is_business_hour": (business_hour("e.delivered_at"),),
    },
)
"""Delivered parcels."""

REROUTE = Relation("reroute", "shipments", "delivered_at", {"address": (_REROUTED,)})
"""The same parcels, by where they were sent on to."""

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

RETURN = Relation(
    "return",
    "returns",
    "returned_at",
    {
        "sku": ("HASH(e.sku_id)",),
        "units": ("e.quantity",),
        "kept_days": (f"EPOCH_US(e.returned_at) // {DAY_US} - EPOCH_US(l.ordered_at) // {DAY_US}",),
        "is_aftermath": ("p.day IS NOT NULL",),
    },
    (
        Join("l", "order_lines", "l.line_id = e.line_id"),
        Join("p", "feature_aftermath_days", f"p.day = EPOCH_US(e.returned_at) // {DAY_US}"),
    ),
)
"""Goods sent back."""

REVIEW = Relation("review", "reviews", "reviewed_at", {})
"""Reviews that were written; nothing of their text."""

TRADE = Relation(
    "trade",
    "feature_trades",
    "traded_at",
    {"category": ("s.category",), "bought": ("e.bought",), "listed": ("e.listed",)},
    (Join("s", "feature_goods", "s.sku_id = e.sku_id"),),
)
"""What accounts with a shop of their own buy, and what the shop lists."""

RESALE = Relation("resale", "feature_resales", "listed_at", {"sku": ("HASH(e.sku_id)",)})
"""What was listed for more than it was bought for, soon after."""

RELATIONS = (GOODS, ORDER, LINE, PARCEL, REROUTE, DELIVERY, RETURN, REVIEW, TRADE, RESALE)
"""The relations about trade; one that another joins comes first."""
