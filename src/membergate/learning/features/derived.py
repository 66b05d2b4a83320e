"""Tables that are made from the market before anything is cut: calendars by day, links by thing, rows of two tables.

Each keeps the version columns, so that it is cut as of the row's instant like a market table. Small ones that many
rows are joined with are made once; long ones are read where they are used, and never written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from membergate.learning.features.relation import DAY_US, MINUTE_US, known
from membergate.learning.features.sharing import (
    PROMOTION_DAYS,
    SHARED_DELIVERIES,
    merged,
    promotion_days,
    shared_deliveries,
    span,
)

Columns = Mapping[str, tuple[str, ...]]
"""Loaded table -> the canonical columns that the data really has."""
AFTERMATH_DAYS = 21
"""So long after a promotion what was bought in it for resale comes back or is passed on."""
RESALE_DAYS = 60
"""A SKU that is listed within so many days of its purchase was bought to be listed."""
ANSWER_DAYS = 14
"""An application that no membership has followed after so many days was not granted."""
_VERSIONS = "visible_at, superseded_at"


@dataclass(frozen=True)
class Derived:
    """A table made from the market.

    Parameters
    ----------
    name
        Its name, `feature_…`.
    needs
        The market columns that it cannot be made without.
    write
        Gives its SELECT for the columns that the market has; the flag tells whether the spine is short.
    better_with
        Market columns that it is made better with.
    is_table
        Whether it is made once and written down; otherwise it is a subquery wherever it is read.
    is_cores
        Whether it stands already when a program begins: its rows are accounts and what they share, and what is read are
        the cores of that graph; see `cores`.
    """

    name: str
    needs: frozenset[str]
    write: Callable[[Columns, bool], str]
    better_with: frozenset[str] = frozenset()
    is_table: bool = True
    is_cores: bool = False


def _of(table: str, *names: str) -> frozenset[str]:
    return frozenset(f"{table}.{name}" for name in names)


def _has(columns: Columns, table: str, name: str) -> bool:
    return name in columns.get(table, ())


def _deliveries(columns: Columns, is_few: bool) -> str:
    return shared_deliveries(has_places=_has(columns, "addresses", "geohash"), is_few=is_few)


def _openings(_: Columns, __: bool) -> str:
    """Give the minutes in which a promotion starts, with the spans in which that was known."""
    minutes = (
        f"SELECT EPOCH_US(starts_at) // {MINUTE_US} AS minute, visible_at, "
        "COALESCE(superseded_at, TIMESTAMP 'infinity') AS until FROM promotions"
    )
    return f"SELECT minute, visible_at, until AS superseded_at FROM ({merged('minute', 'visible_at', f'({minutes})')})"


def _warm_up_days(_: Columns, __: bool) -> str:
    warm = f"EPOCH_US(COALESCE(warm_up_starts_at, starts_at)) // {DAY_US}"
    return promotion_days(warm, f"EPOCH_US(starts_at) // {DAY_US}")


def _aftermath_days(_: Columns, __: bool) -> str:
    last = f"EPOCH_US(ends_at) // {DAY_US}"
    return promotion_days(f"{last} + 1", f"{last} + {1 + AFTERMATH_DAYS}")


def _device_sightings(_: Columns, __: bool) -> str:
    """Give every device that an account signed in or ordered with."""
    return (
        f"SELECT account_id, logged_in_at AS seen_at, {known('device_tok')} AS device, FALSE AS is_order, {_VERSIONS}"
        " FROM logins UNION ALL "
        f"SELECT account_id, ordered_at AS seen_at, {known('device_tok')} AS device, TRUE AS is_order, {_VERSIONS}"
        " FROM orders"
    )


_SOFT = ("address_id", "device_tok", "ip_tok", "recipient_phone_tok")


def _soft_links(columns: Columns, _: bool) -> str:
    """Give what ties accounts softly: where parcels go, devices, networks, recipients' phones."""
    return " UNION ALL ".join(
        f"SELECT account_id, ordered_at AS seen_at, "
        f"CASE WHEN {name} IS NOT NULL THEN HASH({name}, {kind}) END AS thing, {_VERSIONS} FROM orders"
        for kind, name in enumerate(_SOFT)
        if _has(columns, "orders", name)
    )


def _sku_days(_: Columns, __: bool) -> str:
    """Give the days on which an account bought a SKU."""
    return (
        f"SELECT account_id, ordered_at AS seen_at, HASH(sku_id, EPOCH_US(ordered_at) // {DAY_US}) AS thing, "
        f"{_VERSIONS} FROM order_lines"
    )


def _templates(_: Columns, __: bool) -> str:
    """Give since when each coupon template was known: a moment that nothing later can change."""
    return (
        "SELECT HASH(template_id) AS template, MIN(visible_at) AS known_at, MIN(visible_at) AS visible_at, "
        "CAST(NULL AS TIMESTAMP) AS superseded_at FROM coupon_events GROUP BY template_id"
    )


def _confirmed(_: Columns, __: bool) -> str:
    """Give the accounts found to be merchants by people or proof, from when on, and until an appeal was upheld."""
    return """
SELECT HASH(subject_id) AS account, TRUE AS is_merchant, MIN(visible_at) FILTER (WHERE is_merchant) AS visible_at,
  MIN(visible_at) FILTER (WHERE is_cleared AND visible_at > found_at) AS superseded_at
FROM (
  SELECT subject_id, visible_at, label = 'merchant' AND grade IN ('L2', 'L3', 'L4') AS is_merchant,
    grade = 'L0' AS is_cleared,
    MIN(CASE WHEN label = 'merchant' AND grade IN ('L2', 'L3', 'L4') THEN visible_at END)
      OVER (PARTITION BY subject_id) AS found_at
  FROM labels WHERE subject_type = 'account'
) GROUP BY subject_id HAVING MIN(visible_at) FILTER (WHERE is_merchant) IS NOT NULL"""


def _verdicts(_: Columns, __: bool) -> str:
    """Give the labels of accounts as events of the accounts."""
    return (
        f"SELECT subject_id AS account_id, decided_at, grade, source, {_VERSIONS} FROM labels "
        "WHERE subject_type = 'account'"
    )


def _breaches(_: Columns, __: bool) -> str:
    """Give the labels of merchants by people or proof, as events of the accounts, until an account is cleared."""
    return """
SELECT m.subject_id AS account_id, m.decided_at, m.visible_at,
  LEAST(MIN(m.superseded_at), MIN(c.visible_at)) AS superseded_at
FROM labels AS m LEFT JOIN labels AS c
  ON c.subject_id = m.subject_id AND c.subject_type = 'account' AND c.grade = 'L0' AND c.visible_at > m.visible_at
WHERE m.subject_type = 'account' AND m.label = 'merchant' AND m.grade IN ('L2', 'L3', 'L4')
GROUP BY m.subject_id, m.decided_at, m.visible_at"""


def _refusals(_: Columns, __: bool) -> str:
    """Give the applications that no membership has followed, from the day on which one was due until one does."""
    return f"""
SELECT a.account_id, a.submitted_at, GREATEST(a.visible_at, a.submitted_at + INTERVAL {ANSWER_DAYS} DAY) AS visible_at,
  LEAST(MIN(a.superseded_at), MIN(m.visible_at)) AS superseded_at
FROM applications AS a LEFT JOIN memberships AS m
  ON m.account_id = a.account_id AND m.started_at >= a.submitted_at
GROUP BY a.application_id, a.account_id, a.submitted_at, a.visible_at"""


def _invitations(_: Columns, __: bool) -> str:
    """Give whom an account invited, as events of the account that invites."""
    return (
        f"SELECT invited_by AS account_id, account_id AS invited, registered_at, {_VERSIONS} FROM accounts "
        "WHERE invited_by IS NOT NULL"
    )


def _sellers() -> str:
    return "(SELECT account_id, seller_id, visible_at, superseded_at FROM accounts WHERE seller_id IS NOT NULL)"


def _trades(_: Columns, __: bool) -> str:
    """Give what sellers' accounts buy and what their shops list, one row a line or a listing."""
    return f"""
SELECT l.account_id, l.ordered_at AS traded_at, l.sku_id, l.quantity AS bought, 0 AS listed, {span(["l", "a"])}
FROM order_lines AS l JOIN {_sellers()} AS a ON a.account_id = l.account_id
UNION ALL
SELECT a.account_id, i.listed_at AS traded_at, i.sku_id, 0 AS bought, 1 AS listed, {span(["i", "a"])}
FROM listings AS i JOIN {_sellers()} AS a ON a.seller_id = i.seller_id"""


def _resales(_: Columns, __: bool) -> str:
    """Give what a seller's account bought and its shop listed for more soon after, one row a line and listing."""
    return f"""
SELECT a.account_id, i.listed_at, i.sku_id, {span(["l", "a", "i"])}
FROM listings AS i JOIN {_sellers()} AS a ON a.seller_id = i.seller_id
JOIN order_lines AS l ON l.account_id = a.account_id AND l.sku_id = i.sku_id
WHERE i.listed_at >= l.ordered_at AND i.listed_at <= l.ordered_at + INTERVAL {RESALE_DAYS} DAY
  AND i.price_minor > l.net_price_minor"""


_LINES = _of("order_lines", "line_id")
_SELLING = _of("accounts", "seller_id") | _of("listings", "seller_id", "sku_id", "listed_at")
_LABELLED = _of("labels", "subject_type", "subject_id", "label", "grade", "decided_at")
DERIVED: dict[str, Derived] = {
    table.name: table
    for table in (
        Derived(PROMOTION_DAYS, _of("promotions", "starts_at", "ends_at"), lambda _, __: promotion_days()),
        Derived(
            SHARED_DELIVERIES,
            _of("shipments", "order_id", "address_id", "delivered_at") | _of("order_lines", "order_id", "sku_id"),
            _deliveries,
            better_with=_of("addresses", "address_id", "geohash"),
        ),
        Derived("feature_openings", _of("promotions", "starts_at"), _openings),
        Derived("feature_warm_up_days", _of("promotions", "starts_at", "warm_up_starts_at"), _warm_up_days),
        Derived("feature_aftermath_days", _of("promotions", "ends_at"), _aftermath_days),
        Derived(
            "feature_device_sightings",
            _of("logins", "logged_in_at", "device_tok") | _of("orders", "device_tok"),
            _device_sightings,
            is_table=False,
        ),
        Derived(
            "feature_soft_links",
            _of("orders", "address_id"),
            _soft_links,
            better_with=_of("orders", *_SOFT),
            is_table=False,
        ),
        Derived(
            "feature_link_cores",
            _of("orders", "address_id"),
            _soft_links,
            better_with=_of("orders", *_SOFT),
            is_cores=True,
        ),
        Derived("feature_purchase_cores", _of("order_lines", "sku_id"), _sku_days, is_cores=True),
        Derived("feature_templates", _of("coupon_events", "template_id"), _templates),
        Derived("feature_confirmed_merchants", _LABELLED, _confirmed),
        Derived("feature_verdicts", _LABELLED | _of("labels", "source"), _verdicts, is_table=False),
        Derived("feature_breaches", _LABELLED, _breaches, is_table=False),
        Derived(
            "feature_refusals",
            _of("applications", "application_id", "submitted_at") | _of("memberships", "started_at"),
            _refusals,
            is_table=False,
        ),
        Derived("feature_invitations", _of("accounts", "invited_by"), _invitations, is_table=False),
        Derived("feature_trades", _SELLING, _trades, is_table=False),
        Derived("feature_resales", _SELLING | _of("listings", "price_minor"), _resales, is_table=False),
    )
}
"""Every derived table by name."""
CORES = tuple(name for name, table in DERIVED.items() if table.is_cores)
"""Those that hold the cores of a graph."""
