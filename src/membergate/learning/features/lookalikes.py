"""Genuine groups whose behaviour resembles a merchant's, typed by what can be observed of them.

The types serve two ends: fairness tables, one row a look-alike, and guards that may lower risk. They never raise it,
and they read no personal attribute: baskets' breadth, addresses' kind, gifts, lanes, invoices, amounts.
"""

from __future__ import annotations

from dataclasses import dataclass

from membergate.learning.features.declaration import Measure


def _share_of_orders(condition: str) -> Measure:
    return Measure("order", f"COUNT(*) FILTER (WHERE {condition}) / COUNT(*)", scope="account")


def _share_of_places(kinds: str) -> Measure:
    return Measure("address_use", f"SUM(orders) FILTER (WHERE place_kind IN ({kinds})) / SUM(orders)", 180)


PROFILE: dict[str, Measure] = {
    "categories": Measure("category", "COUNT(*)", 180),
    "skus": Measure("sku", "COUNT(*)", 180),
    "units_of_all": Measure("sku", "SUM(units)", 180),
    "most_units_of_a_sku": Measure("sku", "MAX(units)", 180),
    "recipients": Measure("recipient", "COUNT(*)", 180),
    "returning_recipients": Measure("recipient", "COUNT(*) FILTER (WHERE orders > 1)", 180),
    "benefit_ratio": Measure("line", "SUM(benefit_minor) / NULLIF(SUM(paid_minor), 0)", 180),
    "gift_ratio": _share_of_orders("is_gift"),
    "group_buy_ratio": _share_of_orders("is_group_buy"),
    "office_ratio": _share_of_places("'office', 'school'"),
    "dorm_ratio": _share_of_places("'dorm'"),
    "pickup_ratio": _share_of_places("'pickup', 'locker'"),
    "forwarder_ratio": _share_of_places("'forwarder'"),
}
"""What the guards look at, beside the context's own counts: name -> measure; NULL where it cannot be computed."""


@dataclass(frozen=True)
class LookAlike:
    """A genuine group and the guard by which it is recognised.

    Parameters
    ----------
    name
        Its name.
    summary
        Who they are.
    resembles
        What makes them look like merchants.
    sql
        The guard: a condition over `PROFILE` and the context's counts; unknown is no.
    """

    name: str
    summary: str
    resembles: str
    sql: str


LOOK_ALIKES: tuple[LookAlike, ...] = (
    LookAlike(
        "newcomer",
        "has hardly bought anything yet",
        "few lines make every share extreme",
        "orders < 3",
    ),
    LookAlike(
        "group_buy_leader",
        "orders for the neighbours, in the lane made for it",
        "regular bulk to one point",
        "group_buy_ratio >= 0.3 AND categories >= 5",
    ),
    LookAlike(
        "office",
        "buys for an office or a school",
        "bulk, business hours, invoices",
        "office_ratio >= 0.5 AND (company_invoice_ratio >= 0.3 OR units_of_all >= 3 * orders)",
    ),
    LookAlike(
        "family_abroad",
        "supplies relatives through a forwarder",
        "forwarder, baby food, health, beauty",
        "forwarder_ratio >= 0.3 AND recipients <= 3",
    ),
    LookAlike(
        "dorm",
        "lives in a dormitory or shared flat",
        "an address used by tens of accounts",
        "dorm_ratio >= 0.5",
    ),
    LookAlike(
        "rural_pickup",
        "collects at a pickup point or locker",
        "hundreds of accounts at one address",
        "pickup_ratio >= 0.5",
    ),
    LookAlike(
        "gift_giver",
        "sends presents to recipients who come back",
        "many recipients, the same SKU several times",
        "(gift_ratio >= 0.2 AND recipients >= 3) OR (recipients >= 5 AND returning_recipients >= 0.5 * recipients)",
    ),
    LookAlike(
        "collector",
        "buys one of everything in a narrow field",
        "narrow category, hyped goods, on the second",
        "categories <= 3 AND skus >= 5 AND units_of_all <= 2 * skus AND most_units_of_a_sku <= 5",
    ),
    LookAlike(
        "bargain_hunter",
        "takes every discount, in household amounts",
        "discount capture",
        "benefit_ratio >= 0.15 AND units_of_all <= 3 * skus AND categories >= 5",
    ),
    LookAlike(
        "large_family",
        "a large or multi-generation household",
        "many units, several recipients",
        "categories >= 10 AND units_of_all >= 40 AND units_of_all <= 6 * skus AND COALESCE(recipients <= 5, TRUE)",
    ),
)
"""Every look-alike, the most telling guard first; a row has the first type whose guard holds."""
