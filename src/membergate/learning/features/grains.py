"""What features aggregate: relations cut as of each row's instant, and the grains grouped out of them.

A relation reads one table of events (alias `e`), joined on the account to the spine (alias `x`) and to what describes
the event. A grain groups a relation, or another grain, once for all features that aggregate it. Nothing here names an
instant: the compiler adds the as-of cut to every market table it reads, so no declaration can see the future.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from membergate.learning.features.expressions import columns_of

DAY_US = 86_400_000_000
"""Microseconds in a day."""
PACKED = 1 << 24
"""Two small integers in one, so that MIN orders by the first and carries the second: half the cost of ARG_MIN."""
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


@dataclass(frozen=True)
class SharedCount:
    """How many accounts of the whole market share a grain's keys, as of the row's instant.

    Parameters
    ----------
    name
        The column it adds to the grain.
    keys
        The grain's keys that make the shared thing.
    relation
        The relation in which all accounts are looked for; it must have the keys as columns.
    window_days
        For dated things (a key is a day or a week): events older than this, from the spine's earliest instant, need not
        be read. None for things that last, whose accounts are counted over all of history.
    """

    name: str
    keys: tuple[str, ...]
    relation: str
    window_days: int | None = None


@dataclass(frozen=True)
class Companions:
    """Pairs a grain of shared things with the other accounts that share them, as a column `other`.

    Each row of the source is there once with `other` NULL, which stands for itself, and once for every other account
    that shares the thing as of the row's instant; accounts of the row's own scope are no others.

    Parameters
    ----------
    keys, relation, window_days
        As for `SharedCount`.
    most_accounts
        A thing that more accounts were seen with is a crowd and says nothing about pairs; it keeps the work linear.
    """

    keys: tuple[str, ...]
    relation: str
    most_accounts: int
    window_days: int | None = None


@dataclass(frozen=True)
class Lookup:
    """Columns that a grain takes from elsewhere, once it is grouped.

    Parameters
    ----------
    table
        A norm, or the name of a static relation, which is cut as of the row's instant.
    on
        The SQL condition between what is looked up (alias `n`) and the grain (alias `g`).
    columns
        Name -> SQL over alias `n`, with its default for keys that are not known there. Of a relation, the columns are
        named as its own.
    """

    table: str
    on: str
    columns: dict[str, str]

    @property
    def is_market(self) -> bool:
        """Whether it looks a relation up, and no norm."""
        return self.table in RELATIONS


@dataclass(frozen=True)
class Grain:
    """A relation or grain grouped by the spine's row and some keys.

    Parameters
    ----------
    name
        Its name.
    source
        The relation or grain that it groups.
    keys
        What to group by: columns of the source, or `SQL AS name` over them.
    columns
        Name -> SQL aggregate over the source.
    where
        SQL over the source's columns; rows that do not satisfy it are left out.
    lookups, shared
        What is added to each group.
    companions
        If given, the source's rows are first paired with the accounts that share them; group by `other`.
    window_days
        Only source rows of the last so many days; it needs a source that carries `age_days`.
    """

    name: str
    source: str
    keys: tuple[str, ...]
    columns: dict[str, str]
    where: str = ""
    lookups: tuple[Lookup, ...] = ()
    shared: tuple[SharedCount, ...] = ()
    companions: Companions | None = None
    window_days: int | None = None
    added: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        names = {name for lookup in self.lookups for name in lookup.columns} | {count.name for count in self.shared}
        object.__setattr__(self, "added", frozenset(names))

    def behind(self, added: str) -> frozenset[str]:
        """Give the grain's own columns by which an added column is looked up or counted."""
        found = {key for count in self.shared if count.name == added for key in count.keys}
        for lookup in self.lookups:
            if added in lookup.columns:
                found |= {name for alias, name in columns_of(lookup.on) if alias == "g"}
        return frozenset(found)


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
        # HASH(NULL) is a number like any other: what is not known must not become one shared place or person
        "address": ("CASE WHEN e.address_id IS NOT NULL THEN HASH(e.address_id) END",),
        "recipient": ("CASE WHEN e.recipient_tok IS NOT NULL THEN HASH(e.recipient_tok) END",),
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
    },
    (Join("c", "accounts", "c.account_id = x.account_id"),),
)
"""The question itself, and the account's own row."""

RELATIONS = {
    relation.name: relation for relation in (PLACE, GOODS, ORDER, LINE, PARCEL, DELIVERY, APPLICATION, SUBJECT)
}
"""Every relation by name; one that another joins comes first."""

_PLACE_OF_ADDRESS = Lookup("place", "n.address = g.address", {"place_kind": "COALESCE(n.place_kind, 'unknown')"})
_GRAINS = (
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
        {"units": "CAST(SUM(units) AS BIGINT)", "limit_units": "MIN(limit_units)"},
        where="limit_units > 0",
    ),
    Grain("category", "line", ("category",), {"lines": "COUNT(*)"}),
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
        "destination",
        "line",
        ("member_no", "address"),
        {"units": "CAST(SUM(units) AS BIGINT)", "is_habit": "MAX(age_days) > MIN(age_days)"},
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
        shared=(SharedCount("accounts", ("address",), "order"),),
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
        {"rarity": "FIXED_SUM(rarity)", "is_sustained": "MAX(day) > MIN(day)", "buckets": "COUNT(*)"},
        companions=Companions(("sku", "day"), "line", most_accounts=20, window_days=90),
    ),
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

GRAINS = {grain.name: grain for grain in _GRAINS}
"""Every grain by name."""
