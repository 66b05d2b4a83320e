"""Grains: relations, or other grains, grouped by keys; each once for all features that aggregate it."""

from __future__ import annotations

from dataclasses import dataclass, field

from membergate.learning.features.expressions import columns_of
from membergate.learning.features.relations import RELATIONS

PACKED = 1 << 24
"""Two small integers in one, so that MIN orders by the first and carries the second: half the cost of ARG_MIN."""


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
        "session",
        "page",
        ("member_no", "session"),
        {"looked_round": "BOOL_OR(is_looking_round)", "ordered": "BOOL_OR(is_checkout)"},
        where="session IS NOT NULL",
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
