"""Names: in how many wordings a column of the schema is called, and how near a name comes to one of them.

A wording stands in singular and lower case, its words apart. The first wordings of a column are the most telling ones.
"""

from __future__ import annotations

import re
from functools import cache

from rapidfuzz import fuzz

TABLE_WORDINGS: dict[str, tuple[str, ...]] = {
    "accounts": ("account", "customer", "user", "member", "buyer", "client", "household", "kunden", "clientes"),
    "applications": ("application", "membership application", "signup", "enrolment", "membership request"),
    "memberships": ("membership", "subscription", "plan membership"),
    "orders": ("order", "purchase", "sale", "transaction", "basket", "invoice", "bestellungen", "pedidos"),
    "order_lines": (
        "order line", "order item", "line item", "order detail", "order product", "invoice line", "transaction",
        "sale line", "basket item", "positionen",
    ),
    "skus": ("sku", "product", "item", "article", "catalogue", "catalog", "variant", "artikel", "produtos"),
    "stores": ("store", "shop", "seller", "vendor", "merchant", "branch"),
    "addresses": ("address", "location", "shipping address"),
    "shipments": ("shipment", "delivery", "parcel", "fulfilment", "fulfillment"),
    "logins": ("login", "session", "sign in", "visit"),
    "behaviors": ("behavior", "behaviour", "event", "clickstream", "activity", "page view"),
    "coupon_events": ("coupon event", "coupon redemption", "coupon use", "voucher use", "redemption"),
    "returns": ("return", "refund", "return line", "rma", "retouren"),
    "reviews": ("review", "order review", "rating", "feedback"),
    "support_cases": ("support case", "ticket", "support ticket", "case"),
    "promotions": ("promotion", "promo", "sale event"),
    "listings": ("listing", "resale listing", "offer"),
    "labels": ("label", "ground truth", "review outcome"),
}  # fmt: skip

_ID_OF_ACCOUNT = (
    "account id", "customer unique id", "customer id", "user id", "member id", "buyer id", "client id", "household id",
    "customer number", "customer no", "customer key", "shopper id", "user pseudo id", "account", "customer", "user",
    "kunde", "kundennummer", "email", "email address",
)  # fmt: skip
_ID_OF_SKU = (
    "sku id", "product id", "item id", "sku", "article id", "article number", "stock code", "product code", "item code",
    "variant sku", "product sku", "product key", "upc", "ean", "product", "article", "artikel",
)  # fmt: skip
_ID_OF_ORDER = (
    "order id", "order number", "order no", "order key", "invoice no", "invoice", "invoice id", "transaction id",
    "basket id", "receipt id", "receipt no", "purchase id", "order", "order name", "receipt", "name",
)  # fmt: skip
_ID_OF_STORE = ("store id", "shop id", "seller id", "vendor id", "branch id", "store", "shop", "location id")
_ID_OF_ADDRESS = ("address id", "shipping address id", "delivery address id", "address key")
_DEVICE = ("device tok", "device id", "device fingerprint", "user pseudo id", "client id", "device")
_CATEGORY = (
    "category", "product category name", "product category", "department", "item category", "category name",
    "main category", "product type", "type",
)  # fmt: skip

WORDINGS: dict[str, tuple[str, ...]] = {
    "account_id": _ID_OF_ACCOUNT,
    "order_id": _ID_OF_ORDER,
    "sku_id": _ID_OF_SKU,
    "store_id": _ID_OF_STORE,
    "address_id": _ID_OF_ADDRESS,
    "line_id": ("line id", "order line id", "order item id", "line item id", "invoice line id", "item line id"),
    "device_tok": _DEVICE,
    "ip_tok": ("ip tok", "ip", "ip address", "ip hash"),
    "payment_tok": ("payment tok", "payment token", "card token", "card fingerprint", "payment account"),
    "phone_tok": ("phone tok", "phone", "phone number", "telephone", "mobile", "phone hash"),
    "email_tok": ("email tok", "email", "email address", "email hash", "mail"),
    "id_tok": ("id tok", "identity number hash", "national id", "passport hash"),
    "recipient_tok": ("recipient tok", "shipping name", "recipient", "recipient name", "ship to name"),
    "recipient_phone_tok": ("recipient phone tok", "shipping phone", "recipient phone", "ship to phone"),
    "collector_tok": ("collector tok", "collected by", "received by", "signed by"),
    "registered_at": (
        "registered at", "created at", "signup date", "sign up date", "registration date", "registered on", "join date",
        "joined at", "member since", "date created", "user first touch timestamp", "first seen",
    ),
    "submitted_at": ("submitted at", "applied at", "application date", "submitted on", "created at"),
    "ordered_at": (
        "ordered at", "order date", "order purchase timestamp", "purchase date", "created at", "invoice date",
        "transaction timestamp", "order time", "order timestamp", "purchased at", "placed at", "transaction date",
        "date", "datum", "zeit", "event timestamp",
    ),
    "paid_at": ("paid at", "order approved at", "payment date", "paid on", "approved at"),
    "delivered_at": (
        "delivered at", "order delivered customer date", "delivery date", "fulfilled at", "received at",
    ),
    "started_at": ("started at", "start date", "begin date", "valid from"),
    "ended_at": ("ended at", "end date", "cancelled at", "valid to"),
    "opened_at": ("opened at", "opening date", "created at", "open date"),
    "logged_in_at": ("logged in at", "login time", "login at", "session start", "timestamp"),
    "occurred_at": (
        "occurred at", "event time", "event timestamp", "timestamp", "redemption date", "used at", "date",
        "happened at",
    ),
    "returned_at": ("returned at", "return date", "refund date", "refunded at"),
    "reviewed_at": ("reviewed at", "review answer timestamp", "review date", "review creation date", "submitted at"),
    "starts_at": ("starts at", "start date", "begin date", "valid from", "start"),
    "ends_at": ("ends at", "end date", "valid to", "valid until", "end"),
    "warm_up_starts_at": ("warm up starts at", "teaser start", "presale start", "pre sale start"),
    "listed_at": ("listed at", "listing date", "published at"),
    "decided_at": ("decided at", "decision date", "labelled at", "reviewed at"),
    "status": (
        "status", "order status", "financial status", "state", "order state", "fulfillment status", "payment status",
    ),
    "currency": ("currency", "currency code", "iso currency", "ccy", "waehrung", "moeda"),
    "total_minor": (
        "total minor", "total", "order total", "total amount", "grand total", "total price", "amount", "order amount",
        "order value", "payment value", "purchase revenue", "revenue", "summe", "gesamtbetrag",
    ),
    "discount_minor": ("discount minor", "discount amount", "order discount", "total discount", "discount"),
    "shipping_minor": (
        "shipping minor", "shipping", "shipping cost", "freight", "freight value", "shipping price", "postage",
        "shipping fee", "delivery fee", "shipping amount",
    ),
    "quantity": (
        "quantity", "lineitem quantity", "qty", "units", "item quantity", "quantity ordered", "menge", "pieces",
    ),
    "list_price_minor": (
        "list price minor", "list price", "lineitem compare at price", "compare at price", "original price",
        "regular price", "lineitem price", "unit price", "price", "price each", "sales value", "preis",
    ),
    "net_price_minor": (
        "net price minor", "net price", "paid price", "lineitem price", "unit price", "sale price", "price",
        "price each", "item price", "selling price", "sales value", "preis",
    ),
    "member_discount_minor": (
        "member discount minor", "member discount", "loyalty discount", "card discount", "retail disc",
    ),
    "coupon_discount_minor": (
        "coupon discount minor", "coupon discount", "coupon disc", "voucher discount", "promo discount",
    ),
    "category_l1": ("category l1", "category 1", "department", "first category", *_CATEGORY),
    "category_l2": ("category l2", "category 2", "item category2", "subcategory", "sub category", "product category"),
    "category_l3": ("category l3", "category 3", "item category3", "product type", "sub sub category"),
    "brand": ("brand", "brand name", "vendor", "manufacturer", "item brand", "marke", "marca"),
    "pack_size": ("pack size", "units per pack", "pack quantity"),
    "carton_size": ("carton size", "units per carton", "case size"),
    "variant_group": ("variant group", "parent sku", "parent product id", "handle", "style"),
    "variant": ("variant", "variant name", "option", "item variant", "colour", "color"),
    "limit_quantity": ("limit quantity", "purchase limit", "max per customer"),
    "limit_window_days": ("limit window days", "limit days"),
    "market_price_minor": ("market price minor", "market price", "reference price", "resale price"),
    "channel": ("channel", "source", "sales channel", "acquisition channel", "traffic source", "order source"),
    "region_code": (
        "region code", "region", "state", "province", "customer state", "shipping province", "country", "zip",
    ),
    "invited_by": ("invited by", "referrer id", "referred by", "inviter"),
    "session_id": ("session id", "session", "ga session id", "visit id"),
    "first_party": ("first party", "own store", "is own"),
    "geohash": ("geohash", "geo hash"),
    "kind": ("kind", "address type", "type", "location type"),
    "text": ("text", "street", "full address", "address line", "shipping street"),
    "event_type": ("event type", "event name", "action", "activity type", "event"),
    "event_id": ("event id", "id", "event key"),
    "dwell_ms": ("dwell ms", "dwell time", "engagement time msec", "time on page"),
    "review_id": ("review id", "rating id"),
    "rating": ("rating", "review score", "score", "stars"),
    "text_length": ("text length", "review length", "comment length"),
    "coupon_id": ("coupon id", "coupon code", "voucher code", "discount code", "coupon upc"),
    "template_id": ("template id", "coupon template", "campaign code", "coupon upc", "coupon type", "discount code"),
    "promotion_id": ("promotion id", "campaign id", "promo id"),
    "name": ("name", "promotion name", "campaign name", "title", "description"),
    "reason": ("reason", "return reason", "refund reason"),
    "refunded_minor": ("refunded minor", "refund amount", "refunded amount", "refund"),
    "return_id": ("return id", "refund id", "rma number"),
    "shipment_id": ("shipment id", "delivery id", "parcel id", "tracking number", "tracking id"),
    "fee_minor": ("fee minor", "fee", "membership fee"),
    "value_minor": ("value minor", "coupon value", "face value"),
    "price_minor": ("price minor", "price", "asking price"),
    "plan": ("plan", "membership plan", "tier", "membership type", "plan id"),
    "ingested_at": ("ingested at", "loaded at", "etl timestamp"),
}  # fmt: skip
"""Wordings of columns beside their own names, the most telling first; columns that are not here go by their names."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_PLURAL_FROM = 4
_LATER_COSTS = 0.004  # of a wording for each one that stands before it
_WHOLLY_HELD = 0.93  # what a name is worth that holds a whole wording of several words, and more
_SAME_WORD = 0.85  # likeness from which on two words are one, misspelt or inflected
_SAME_NAME = 0.88  # likeness from which on two names are one whose words run together
_EXTRA_WORD_COSTS = 0.07
_NOISE = frozenset({"dataset", "export", "table", "raw", "data", "tbl", "dim", "fact", "stg", "file", "all"})


@cache
def words(name: str) -> str:
    """Write a name as lower-case words in singular: `Lineitem quantity`, `customerIDs` and `order_items` alike."""
    parts = [part.lower() for part in _WORD.findall(name)]
    return " ".join(
        part[:-1] if len(part) >= _PLURAL_FROM and part.endswith("s") and part[-2] != "s" else part for part in parts
    )


@cache
def likeness(name: str, wordings: tuple[str, ...]) -> tuple[float, str]:
    """Give how near a column's name comes to the nearest of some wordings, in [0, 1], and that wording."""
    best = (0.0, "")
    for place, wording in enumerate(wordings):
        score = _likeness(words(name), words(wording)) - _LATER_COSTS * place
        best = max(best, (score, wording), key=lambda found: found[0])
    return best


def _likeness(name: str, wording: str) -> float:
    joined = fuzz.ratio(name.replace(" ", ""), wording.replace(" ", "")) / 100
    if joined >= _SAME_NAME:
        return float(joined)
    own, other = name.split(), wording.split()
    if not own or not other:
        return 0.0
    shared = _shared(own, other)
    is_held = shared >= _SAME_WORD * len(other) and len(other) > 1 and all(_shared(own, [word]) for word in other)
    return max(2 * shared / (len(own) + len(other)), _WHOLLY_HELD if is_held else 0.0)


def _shared(own: list[str], other: list[str]) -> float:
    """Give how many words of a wording a name holds, a misspelt one in part."""
    nearest = (max(fuzz.ratio(word, mine) / 100 for mine in own) for word in other)
    return sum(score for score in nearest if score >= _SAME_WORD)


@cache
def table_likeness(name: str, wordings: tuple[str, ...]) -> float:
    """Give how near a file's name comes to a wording of a table; it may say more, such as whose export it is."""
    own = [word for word in words(name).split() if word not in _NOISE and not word.isdigit()]
    best = 0.0
    for wording in wordings:
        other = words(wording).split()
        if own and all(_shared(own, [word]) for word in other):
            best = max(best, 1 - _EXTRA_WORD_COSTS * max(0, len(own) - len(other)))
    return best


@cache
def column_wordings(column: str) -> tuple[str, ...]:
    """Give the wordings of a canonical column, its own name first."""
    own = words(column)
    return tuple(dict.fromkeys((own, *WORDINGS.get(column, ()))))
