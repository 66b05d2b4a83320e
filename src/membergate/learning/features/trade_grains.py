"""Grains of trade: SKUs, months, places, recipients, companions in buying."""

from __future__ import annotations

from membergate.learning.features.grain import PACKED, Companions, Grain, Lookup, RunningTotal, SharedCount
from membergate.learning.features.relation import amount_key

_PLACE_OF_ADDRESS = Lookup(
    "place",
    "n.address = g.address",
    {"place_kind": "COALESCE(n.place_kind, 'unknown')", "spot": "n.spot", "cell": "n.cell", "wording": "n.wording"},
)
_SILENCE = "LAG(age_days) OVER (PARTITION BY row_id ORDER BY age_days DESC) - age_days"
GRAINS = (
    Grain(
        "sku_day",
        "line",
        ("sku", "age_days"),
        {
            "daily_units": "MIN(daily_units)",
            "units": "CAST(SUM(units) AS BIGINT)",
            "lines": "COUNT(*)",
            "ungifted_units": "CAST(SUM(units) FILTER (WHERE NOT is_gift) AS BIGINT)",
        },
        sequels={"gap_days": "LAG(age_days) OVER (PARTITION BY row_id, sku ORDER BY age_days DESC) - age_days"},
    ),
    Grain(
        "sku_rhythm",
        "sku_day",
        ("sku",),
        {"gaps": "COUNT(gap_days)", "total": "SUM(gap_days)", "squares": "SUM(gap_days * gap_days)"},
    ),
    Grain(
        "sku",
        "sku_day",
        ("sku",),
        {
            "daily_units": "MIN(daily_units)",
            "units": "CAST(SUM(units) AS BIGINT)",
            "lines": "CAST(SUM(lines) AS BIGINT)",
            "days": "COUNT(*)",
            "first_age_days": "MAX(age_days)",
            "last_age_days": "MIN(age_days)",
            "last_units": f"MIN(age_days * {PACKED} + LEAST(units, {PACKED} - 1)) % {PACKED}",
        },
    ),
    Grain(
        "limit_window",
        "line",
        ("member_no", "sku", "limit_window_no"),
        {
            "units": "CAST(SUM(units) AS BIGINT)",
            "limit_units": "MIN(limit_units)",
            "orders": "COUNT(DISTINCT order_no)",
        },
        where="limit_units > 0",
    ),
    Grain(
        "limited_week",
        "line",
        ("sku", "week"),
        {"units": "CAST(SUM(units) AS BIGINT)"},
        where="limit_units > 0",
        totals=(RunningTotal("sold", ("sku", "week"), "line", "units", where="limit_units > 0", window_days=90),),
        window_days=90,
    ),
    Grain("category", "line", ("category",), {"lines": "COUNT(*)", "is_core": "BOOL_OR(is_core)"}),
    Grain(
        "family_variant",
        "line",
        ("family", "variant"),
        {"units": "CAST(SUM(units) AS BIGINT)"},
        where="family IS NOT NULL",
    ),
    Grain(
        "family",
        "family_variant",
        ("family",),
        {"units": "CAST(SUM(units) AS BIGINT)", "spread": "FIXED_SUM(units * LN(units))"},
    ),
    Grain(
        "sku_month",
        "line",
        ("sku", "age_days // 30 AS month_no"),
        {"allowance": "MIN(allowance)", "units": "CAST(SUM(units) AS BIGINT)", "gain_minor": "SUM(gain_minor)"},
    ),
    Grain(
        "buying_day",
        "line",
        ("day",),
        {"units": "CAST(SUM(units) AS BIGINT)", "is_promotion": "BOOL_OR(is_promotion_day)"},
    ),
    Grain(
        "benefit_day",
        "line",
        ("age_days",),
        {"taken_minor": "CAST(SUM(taken_minor) AS BIGINT)"},
        sequels={
            "taken_so_far_minor": (
                "SUM(taken_minor) OVER (PARTITION BY row_id ORDER BY age_days DESC ROWS UNBOUNDED PRECEDING)"
            )
        },
    ),
    Grain("order_day", "order", ("age_days",), {"orders": "COUNT(*)"}, sequels={"silence_days": _SILENCE}),
    Grain(
        "quiet_order_day",
        "order",
        ("age_days",),
        {"orders": "COUNT(*)"},
        where="is_quiet_day",
        sequels={"silence_days": _SILENCE},
    ),
    Grain(
        "destination",
        "line",
        ("member_no", "address"),
        {
            "units": "CAST(SUM(units) AS BIGINT)",
            "is_habit": "MAX(age_days) > MIN(age_days)",
            "is_always_gift": "BOOL_AND(is_gift)",
        },
        where="address IS NOT NULL",
        lookups=(_PLACE_OF_ADDRESS,),
    ),
    Grain(
        "address_use",
        "order",
        ("address",),
        {"orders": "COUNT(*)"},
        where="address IS NOT NULL",
        lookups=(
            _PLACE_OF_ADDRESS,
            Lookup(
                "norm_place_kind",
                "n.place_kind = g.place_kind",
                {"typical_log_accounts": "COALESCE(n.typical_log_accounts, PRIOR('typical_log_accounts'))"},
            ),
        ),
        shared=(
            SharedCount("accounts", ("address",), "order"),
            SharedCount("senders", ("address",), "reroute", alone=0),
        ),
    ),
    Grain(
        "order_amount",
        "order",
        ("amount_minor", f"{amount_key('amount_minor')} AS amount_key", "currency"),
        {"orders": "COUNT(*)"},
        lookups=(
            Lookup(
                "norm_threshold",
                "n.amount_key = g.amount_key AND HASH(n.currency) = g.currency AND g.amount_minor < n.ceiling_minor",
                {"is_at_threshold": "n.ceiling_minor IS NOT NULL"},
            ),
        ),
    ),
    Grain(
        "device_use",
        "order",
        ("device",),
        {"orders": "COUNT(*)"},
        where="device IS NOT NULL",
        shared=(SharedCount("accounts", ("device",), "order"),),
    ),
    Grain(
        "payer_use",
        "order",
        ("payer",),
        {"orders": "COUNT(*)"},
        where="payer IS NOT NULL",
        shared=(SharedCount("accounts", ("payer",), "order"),),
    ),
    Grain(
        "reroute_point",
        "parcel",
        ("rerouted_to",),
        {"parcels": "COUNT(*)"},
        where="rerouted_to IS NOT NULL",
        shared=(SharedCount("accounts", ("rerouted_to",), "parcel"),),
    ),
    Grain(
        "collector_use",
        "parcel",
        ("collector",),
        {"parcels": "COUNT(*)"},
        where="collector IS NOT NULL",
        shared=(SharedCount("accounts", ("collector",), "parcel"),),
    ),
    Grain("sku_return", "return", ("sku",), {"units": "CAST(SUM(units) AS BIGINT)"}, where="kept_days >= 7"),
    Grain(
        "recipient_phone", "order", ("recipient_phone",), {"orders": "COUNT(*)"}, where="recipient_phone IS NOT NULL"
    ),
    Grain(
        "network_minute",
        "order",
        ("network", "minute", "day"),
        {"members": "COUNT(DISTINCT member_no)"},
        where="network IS NOT NULL",
        shared=(
            SharedCount("accounts", ("network", "minute"), "order", 90),
            SharedCount("accounts_in_day", ("network", "day"), "order", 90),
        ),
        window_days=90,
    ),
    Grain("recipient", "order", ("recipient",), {"orders": "COUNT(*)"}, where="recipient IS NOT NULL"),
    Grain(
        "quiet_bucket",
        "line",
        ("sku", "day"),
        {"rarity": "MIN(rarity)"},
        where="is_quiet_day",
        window_days=90,
    ),
    Grain(
        "companion",
        "quiet_bucket",
        ("other",),
        {
            "rarity": "FIXED_SUM(rarity)",
            "is_sustained": "MAX(day) > MIN(day)",
            "span_days": "MAX(day) - MIN(day)",
            "buckets": "COUNT(*)",
        },
        companions=Companions(("sku", "day"), "line", most_accounts=20, window_days=90),
    ),
    Grain("basket_week", "line", ("sku", "week"), {"rarity": "MIN(rarity)"}, window_days=90),
    Grain(
        "basket_companion",
        "basket_week",
        ("other",),
        {"rarity": "FIXED_SUM(rarity)", "weeks": "COUNT(DISTINCT week)"},
        companions=Companions(("sku", "week"), "line", most_accounts=20, window_days=90),
    ),
    Grain(
        "rush_bucket",
        "line",
        ("sku", "quarter_hour"),
        {"rarity": "MIN(rarity)"},
        where="is_promotion_day",
        window_days=90,
    ),
    Grain(
        "rush_companion",
        "rush_bucket",
        ("other",),
        {"rarity": "FIXED_SUM(rarity)", "buckets": "COUNT(*)"},
        companions=Companions(("sku", "quarter_hour"), "line", most_accounts=20, window_days=90),
    ),
    Grain(
        "traded_category",
        "trade",
        ("category",),
        {"bought": "CAST(SUM(bought) AS BIGINT)", "listed": "CAST(SUM(listed) AS BIGINT)"},
    ),
    Grain("resold_sku", "resale", ("sku",), {"listings": "COUNT(*)"}),
    Grain(
        "delivery_bucket",
        "delivery",
        ("sku", "place", "week"),
        {"members": "COUNT(DISTINCT member_no)", "weekly_share": "MIN(weekly_share)"},
        shared=(
            SharedCount("accounts", ("sku", "place", "week"), "delivery", 90),
            SharedCount("accounts_in_week", ("place", "week"), "delivery", 90),
        ),
        window_days=90,
    ),
)
"""The grains of trade; one that another stands on comes first."""
