"""Grains of people: sessions, devices, neighbours by soft links, cohorts of registrations."""

from __future__ import annotations

from dataclasses import replace

from membergate.learning.features.grain import Companions, Excess, Grain, Lookup, RunningTotal, SharedCount

_MERCHANT = {"is_merchant": "COALESCE(n.is_merchant, FALSE)"}

_GAINED = RunningTotal(
    "gained_minor",
    ("account",),
    "line",
    "gain_minor",
    where="gain_minor > 0",
    excess=Excess(("sku", "month"), "units", "allowance"),
)

GRAINS = (
    Grain(
        "session",
        "page",
        ("member_no", "session"),
        {
            "looked_round": "BOOL_OR(is_looking_round)",
            "ordered": "BOOL_OR(is_checkout)",
            "searches": "COUNT(*) FILTER (WHERE is_search)",
            "lists": "COUNT(*) FILTER (WHERE is_list)",
            "views": "COUNT(*) FILTER (WHERE is_view)",
            "interests": "COUNT(*) FILTER (WHERE is_interest)",
            "cart_ms": "MIN(at_ms) FILTER (WHERE is_cart)",
            "checkout_ms": "MAX(at_ms) FILTER (WHERE is_checkout)",
        },
        where="session IS NOT NULL",
    ),
    Grain(
        "session_shape",
        "session",
        (
            "LEAST(searches, 7) + 8 * LEAST(lists, 7) + 64 * LEAST(views, 7) + 512 * LEAST(interests, 7) AS shape",
            "ordered",
        ),
        {"sessions": "COUNT(*)"},
    ),
    Grain(
        "device_login",
        "login",
        ("device", "region"),
        {"logins": "COUNT(*)"},
        where="device IS NOT NULL",
    ),
    Grain(
        "device_kind",
        "device_sighting",
        ("member_no", "device"),
        {"orders": "COUNT(*) FILTER (WHERE is_order)", "logins": "COUNT(*) FILTER (WHERE NOT is_order)"},
        where="device IS NOT NULL",
    ),
    Grain("soft_thing", "soft_link", ("thing",), {"uses": "COUNT(*)"}, where="thing IS NOT NULL"),
    Grain(
        "neighbour",
        "soft_thing",
        ("other",),
        {
            "things": "COUNT(*)",
            "uses": "CAST(SUM(uses) AS BIGINT)",
            # The operator is one of those who share; a thing of two weighs 0.72, one of twenty 0.32.
            "closeness": "FIXED_SUM(1.0 / LN(3 + sharers))",
        },
        companions=Companions(("thing",), "soft_link", most_accounts=20),
    ),
    Grain(
        "judged_neighbour",
        "neighbour",
        ("other AS neighbour",),
        {"things": "CAST(SUM(things) AS BIGINT)", "closeness": "MAX(closeness)"},
        where="other IS NOT NULL",
        lookups=(Lookup("confirmed", "n.account = g.neighbour", _MERCHANT),),
    ),
    Grain(
        "earning_neighbour",
        "neighbour",
        ("other AS account",),
        {"closeness": "MAX(closeness)"},
        where="other IS NOT NULL",
        totals=(_GAINED, replace(_GAINED, name="gained_before_minor", days_ago=90)),
    ),
    Grain(
        "cohort",
        "registration",
        ("inviter", "channel", "day"),
        {"openings": "COUNT(*)"},
        where="inviter IS NOT NULL",
        shared=(SharedCount("accounts", ("inviter", "channel", "day"), "registration"),),
    ),
    Grain("inviter", "registration", ("inviter",), {"openings": "COUNT(*)"}, where="inviter IS NOT NULL"),
    Grain(
        "sibling",
        "inviter",
        ("other",),
        {"openings": "CAST(SUM(openings) AS BIGINT)"},
        companions=Companions(("inviter",), "registration", most_accounts=100),
    ),
    Grain(
        "judged_sibling",
        "sibling",
        ("other AS neighbour",),
        {"openings": "CAST(SUM(openings) AS BIGINT)"},
        where="other IS NOT NULL",
        lookups=(Lookup("confirmed", "n.account = g.neighbour", _MERCHANT),),
    ),
    Grain("invitation_week", "invitation", ("week",), {"accounts": "COUNT(*)"}),
)
"""The grains of people; one that another stands on comes first."""
