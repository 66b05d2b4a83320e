"""Relations about people: applications, traces, pages, links, labels, the question itself."""

from __future__ import annotations

from membergate.learning.features.relation import DAY_US, Join, Relation, known

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
        "device": (known("e.device_tok"),),
        "region": ("HASH(COALESCE(e.region_code, ''))", "0"),
    },
)
"""Sign-ins."""

PAGE = Relation(
    "page",
    "behaviors",
    "occurred_at",
    {
        "session": (known("e.session_id"),),
        "is_looking_round": ("e.event_type IN ('search', 'list_view')",),
        "is_checkout": ("e.event_type = 'checkout'",),
        "is_interest": ("e.event_type IN ('favourite', 'review_read')",),
        "is_search": ("e.event_type = 'search'",),
        "is_list": ("e.event_type = 'list_view'",),
        "is_view": ("e.event_type = 'product_view'",),
        "is_cart": ("e.event_type = 'add_to_cart'",),
        "reading_ms": ("CASE WHEN e.event_type = 'review_read' THEN COALESCE(e.dwell_ms, 0) ELSE 0 END",),
        "at_ms": ("EPOCH_US(e.occurred_at) // 1000",),
    },
)
"""Page events."""

PLACE = Relation(
    "place",
    "addresses",
    "",
    {
        "address": ("HASH(e.address_id)",),
        "place_kind": ("e.kind", "'unknown'"),
        "spot": (known("e.geohash"),),
        "cell": (known("LEFT(e.geohash, 5)"),),
        "wording": (known("e.text"),),
    },
)
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
        "link_core": ("k.core",),
        "purchase_core": ("p.core",),
    },
    (
        Join("c", "accounts", "c.account_id = x.account_id"),
        Join("k", "feature_link_cores", "k.account = HASH(x.account_id)"),
        Join("p", "feature_purchase_cores", "p.account = HASH(x.account_id)"),
    ),
)
"""The question itself, the account's own row, and where it stands in the graphs of its week."""

# GREATEST passes NULL over: without the condition, no promotion would be one of today
_DAYS_AHEAD = (
    "CASE WHEN p.starts_at IS NOT NULL"
    f" THEN GREATEST(0, EPOCH_US(p.starts_at) // {DAY_US} - EPOCH_US(x.as_of) // {DAY_US}) END"
)
CALENDAR = Relation(
    "calendar",
    "",
    "",
    {"days_ahead": (_DAYS_AHEAD,)},
    (Join("p", "promotions", "p.ends_at > x.as_of"),),
)
"""The promotions that are running or announced, one row each."""

DEVICE_SIGHTING = Relation(
    "device_sighting",
    "feature_device_sightings",
    "seen_at",
    {"device": ("e.device",), "is_order": ("e.is_order",)},
)
"""Devices that an account signed in or ordered with."""

SOFT_LINK = Relation("soft_link", "feature_soft_links", "seen_at", {"thing": ("e.thing",)})
"""Things that tie accounts softly: places, devices, networks, recipients' phones."""

CONFIRMED = Relation(
    "confirmed", "feature_confirmed_merchants", "", {"account": ("e.account",), "is_merchant": ("e.is_merchant",)}
)
"""Accounts that people or proof found to be merchants."""

VERDICT = Relation(
    "verdict",
    "feature_verdicts",
    "decided_at",
    {"is_cleared": ("e.grade = 'L0'",), "is_price_slip": ("e.source = 'price_slip'",)},
)
"""Labels of the account."""

BREACH = Relation("breach", "feature_breaches", "decided_at", {})
"""Findings that an account is a merchant, by people or proof, until it is cleared."""

REFUSAL = Relation("refusal", "feature_refusals", "submitted_at", {})
"""Applications that no membership has followed."""

REGISTRATION = Relation(
    "registration",
    "accounts",
    "registered_at",
    {
        "inviter": (known("e.invited_by"),),
        "channel": ("HASH(COALESCE(e.channel, ''))", "0"),
        "day": (f"EPOCH_US(e.registered_at) // {DAY_US}",),
    },
)
"""The opening of an account."""

INVITATION = Relation(
    "invitation", "feature_invitations", "registered_at", {"week": (f"EPOCH_US(e.registered_at) // {7 * DAY_US}",)}
)
"""Whom an account invited."""

COUPON = Relation(
    "coupon",
    "coupon_events",
    "occurred_at",
    {
        "is_claim": ("e.action = 'claimed'",),
        "is_warm_up": ("w.day IS NOT NULL",),
        "lag_s": ("GREATEST(0, EPOCH_US(e.occurred_at) - EPOCH_US(t.known_at)) // 1000000",),
    },
    (
        Join("w", "feature_warm_up_days", f"w.day = EPOCH_US(e.occurred_at) // {DAY_US}"),
        Join("t", "feature_templates", "t.template = HASH(e.template_id)"),
    ),
)
"""What happens to coupons."""

CASE = Relation(
    "case",
    "support_cases",
    "opened_at",
    {
        "is_trade": ("COALESCE(e.topic IN ('invoice', 'carton_price', 'wholesale_price', 'shelf_life'), FALSE)",),
        "is_packaging": ("COALESCE(e.topic IN ('neutral_parcel', 'no_receipt', 'split_parcel'), FALSE)",),
    },
)
"""What support is asked for."""

RELATIONS = (
    PLACE, CONFIRMED, LOGIN, PAGE, APPLICATION, SUBJECT, CALENDAR, DEVICE_SIGHTING, SOFT_LINK, VERDICT, REGISTRATION,
    INVITATION, COUPON, CASE, BREACH, REFUSAL,
)  # fmt: skip
"""The relations about people; one that another joins comes first."""
