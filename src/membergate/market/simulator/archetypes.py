"""Who applies: the archetypes of genuine members and merchants, one record each.

The figures are design priors. An archetype is how someone lives and shops,
not what they are: whether an account is a merchant follows from what becomes of the units that it buys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Grouping(StrEnum):
    """How a merchant's accounts hang together."""

    SINGLE = "single"
    """One account of its own."""
    ONE_OPERATOR = "one_operator"
    """Many accounts of one operator."""
    CROWD_BUY = "crowd_buy"
    """A hub and the hired accounts of real people."""


@dataclass(frozen=True, slots=True)
class Resale:
    """How a merchant buys in order to resell; its private life is that of a genuine archetype.

    Parameters
    ----------
    orders_per_month
        Resale orders of one account in an ordinary month.
    units, units_q99
        Mean and 99th percentile of units in a line, before limits, capital and the resale market bite.
    lift
        Factors on the rate in warm-up, burst and the fortnight after.
    categories
        Level-2 categories that the operator trades in.
    lines
        Mean lines of an order.
    life
        Genuine archetypes, with weights, from which the private life is drawn; `life_rate` scales its rate of orders.
    life_rate
        Factor on that life's rate of orders, 0 for an account that only works.
    resold
        Share of the units bought for resale that are in fact resold.
    early_share, early_days
        Probability that buying for resale begins before the application, and how long before, in days on average.
    regularity
        Shape of the Gamma law of the gaps between buying days: 1 is memoryless, larger is a rhythm.
    cold_start
        Probability that the account is opened just for the application.
    grouping
        How accounts hang together.
    hours
        The daily rhythm of its resale orders.
    drop_share
        Share of its promotion orders placed right at an opening.
    drop_ship
        Mean share of resale orders sent straight to an end buyer.
    carelessness
        Parameters of the Beta law of how carelessly devices, payments and addresses are shared and proof is left.
    place_kinds
        Kinds of its stock places, with weights.
    company_invoice, seller_link, business_use
        Probabilities of a company invoice, of a linked seller account, of declaring business use.
    automation
        Share of its sessions that a script drives.
    ramp_days
        Days after admission in which the volume climbs to its full height; 0 starts at full height.
    """

    orders_per_month: float
    units: float
    units_q99: float
    lift: tuple[float, float, float]
    categories: int
    lines: float
    life: Mapping[str, float]
    life_rate: float
    resold: float
    early_share: float
    early_days: float
    regularity: float = 1.0
    cold_start: float = 0.2
    grouping: Grouping = Grouping.SINGLE
    hours: str = "any"
    drop_share: float = 0.3
    drop_ship: float = 0.0
    carelessness: tuple[float, float] = (1.5, 1.5)
    place_kinds: Mapping[str, float] = field(default_factory=lambda: {"home": 1.0})
    company_invoice: float = 0.02
    seller_link: float = 0.03
    business_use: float = 0.02
    automation: float = 0.05
    ramp_days: float = 0.0


@dataclass(frozen=True, slots=True)
class Archetype:
    """One way of living with the shop.

    Parameters
    ----------
    code, name
        Identifier and plain name.
    share
        Share of applicants, in [0, 1]; all shares sum to 1.
    orders_per_month, rate_shape
        Mean rate of private orders, and the shape of its Gamma law over accounts (small = uneven).
    units, units_q99
        Mean and 99th percentile of units in a line.
    basket
        Mean lines of an order.
    categories
        Level-2 categories that an account of this kind uses.
    lift
        Factors on the rate in warm-up, burst and, as far as the pantry is full, the fortnight after.
    hours
        The daily rhythm: daily, evening, night, business, any.
    drop_share
        Share of promotion orders placed right at an opening.
    deal_pull
        Probability of preferring the more deeply discounted of two goods, and then again of two.
    taste
        Factors on the popularity of level-1 categories.
    cold_start
        Probability that the account is opened just for the application.
    home_kind
        Kind of the habitual delivery place.
    others, others_share
        Fewest and most further recipients, and the share of orders that goes to them.
    festival_lift
        Factor on the rate in the three weeks before a festival.
    gift, company_invoice, business_use
        Probabilities that an order is a gift, asks for a company invoice, and that the account declares business use.
    lane, lane_share
        Order lane that the platform may set, and how often it does.
    coupon
        Probability that an order uses a coupon.
    return_rate, review_rate
        Probability of a return and of a review, for each line.
    views
        Mean product views before an order.
    reviewer_specificity
        Probability that one reviewer recognises the account as genuine.
    resale
        How it buys for resale; None for a genuine archetype.
    """

    code: str
    name: str
    share: float
    orders_per_month: float = 0.0
    rate_shape: float = 2.0
    units: float = 1.2
    units_q99: float = 5.0
    basket: float = 2.0
    categories: int = 8
    lift: tuple[float, float, float] = (1.2, 3.0, 0.7)
    hours: str = "daily"
    drop_share: float = 0.05
    deal_pull: float = 0.3
    taste: Mapping[str, float] = field(default_factory=dict)
    cold_start: float = 0.12
    home_kind: str = "home"
    others: tuple[int, int] = (0, 1)
    others_share: float = 0.06
    festival_lift: float = 1.0
    gift: float = 0.02
    company_invoice: float = 0.01
    business_use: float = 0.015
    lane: str = "consumer"
    lane_share: float = 0.0
    coupon: float = 0.2
    return_rate: float = 0.045
    review_rate: float = 0.14
    views: float = 5.0
    reviewer_specificity: float = 0.97
    resale: Resale | None = None


_RESALE_TASTE = {"liquor": 4.0, "dairy_baby": 3.0, "beauty": 3.0, "electronics": 3.0, "health": 2.0, "drinks": 2.0}

GENUINE: tuple[Archetype, ...] = (
    Archetype(
        "G1", "light member", 0.295, 0.8, 1.2, 1.1, 4, 1.6, 5, (1.1, 2.0, 0.8), "daily", 0.06, 0.3,
        cold_start=0.30, review_rate=0.10, coupon=0.2,
    ),
    Archetype(
        "G2", "heavy family", 0.18, 7.0, 3.0, 1.8, 12, 3.2, 18, (1.2, 3.0, 0.6), "evening", 0.08, 0.4,
        taste={"staples": 2.0, "dairy_baby": 2.5, "household": 2.0}, cold_start=0.10, others=(0, 3), others_share=0.1,
        gift=0.03,
    ),
    Archetype(
        "G3", "bargain hunter", 0.12, 4.0, 2.0, 1.5, 8, 2.2, 12, (1.5, 6.0, 0.5), "any", 0.35, 0.85,
        taste={"liquor": 1.8, "beauty": 1.8, "drinks": 1.6, "household": 1.6, "electronics": 1.5}, cold_start=0.12,
        coupon=0.6, views=7.0, reviewer_specificity=0.90,
    ),
    Archetype(
        "G4", "office buyer", 0.03, 3.0, 2.0, 9, 80, 2.4, 4, (1.0, 1.5, 1.0), "business", 0.02, 0.3,
        taste={"office": 6.0, "drinks": 3.0, "snacks": 3.0, "household": 2.0}, cold_start=0.2, home_kind="office",
        others=(0, 2), others_share=0.08, company_invoice=0.6, business_use=0.4, lane="enterprise", lane_share=0.3,
        review_rate=0.05, views=2.0, reviewer_specificity=0.88,
    ),
    Archetype(
        "G5", "gift giver", 0.05, 2.0, 2.0, 3, 30, 1.4, 4, (1.0, 2.5, 1.0), "daily", 0.05, 0.3,
        taste={"liquor": 5.0, "health": 3.0, "drinks": 2.0, "snacks": 2.0, "beauty": 2.0}, cold_start=0.12,
        others=(6, 25), others_share=0.6, festival_lift=6.0, gift=0.5,
    ),
    Archetype(
        "G6", "dorm sharer", 0.07, 3.0, 2.0, 1.2, 5, 1.8, 10, (1.3, 4.0, 0.7), "night", 0.15, 0.55,
        taste={"snacks": 3.0, "beauty": 2.0, "apparel": 1.5, "electronics": 1.5}, cold_start=0.2, home_kind="dorm",
        lane="campus", lane_share=0.3, coupon=0.35,
    ),
    Archetype(
        "G7", "rural pickup member", 0.07, 2.0, 2.0, 1.6, 10, 2.2, 9, (1.2, 3.0, 0.7), "daily", 0.05, 0.4,
        taste={"staples": 2.0, "household": 2.0, "apparel": 1.5}, cold_start=0.15, home_kind="pickup",
        lane="rural_agent", lane_share=0.15, review_rate=0.06,
    ),
    Archetype(
        "G8", "collector", 0.02, 3.0, 2.0, 1.1, 2, 1.3, 2, (1.2, 3.0, 1.0), "any", 0.5, 0.2,
        taste={"toys": 10.0, "shoes": 4.0, "electronics": 2.0}, cold_start=0.1, views=10.0, review_rate=0.2,
    ),
    Archetype(
        "G9", "buyer for relatives abroad", 0.02, 2.0, 3.0, 4, 24, 1.6, 3, (1.0, 2.0, 1.0), "daily", 0.05, 0.45,
        taste={"dairy_baby": 6.0, "health": 5.0, "beauty": 4.0}, cold_start=0.12, home_kind="forwarder", others=(1, 3),
        others_share=0.45, reviewer_specificity=0.88,
    ),
    Archetype(
        "G10", "group-buy leader", 0.01, 9.0, 4.0, 12, 100, 3.0, 14, (1.2, 3.0, 0.8), "daily", 0.1, 0.55,
        taste={"staples": 3.0, "household": 2.0, "snacks": 2.0}, cold_start=0.1, business_use=0.3, lane="group_buy",
        lane_share=0.55, review_rate=0.05, reviewer_specificity=0.92,
    ),
)  # fmt: skip
"""The genuine archetypes; positional figures run from code to `deal_pull`."""

MERCHANTS: tuple[Archetype, ...] = (
    Archetype(
        "M1", "single-account merchant", 0.025, taste=_RESALE_TASTE, review_rate=0.06, return_rate=0.03, views=3.0,
        resale=Resale(
            8.0, 7, 60, (1.3, 8.0, 1.2), 3, 1.5, {"G1": 0.5, "G3": 0.35, "G2": 0.15}, 0.45, 0.95, 0.97, 85,
            cold_start=0.15, drop_ship=0.15, place_kinds={"home": 0.6, "shop": 0.25, "warehouse": 0.15},
            company_invoice=0.08, seller_link=0.12, business_use=0.06,
        ),
    ),
    Archetype(
        "M2", "multi-account ring", 0.03, taste=_RESALE_TASTE, review_rate=0.03, return_rate=0.02, views=1.5,
        resale=Resale(
            5.0, 4, 20, (1.5, 9.0, 1.0), 3, 1.3, {"G1": 0.8, "G3": 0.2}, 0.3, 0.95, 0.97, 70,
            cold_start=0.16, grouping=Grouping.ONE_OPERATOR, drop_share=0.5, drop_ship=0.08,
            place_kinds={"home": 0.4, "warehouse": 0.4, "forwarder": 0.2}, automation=0.3,
        ),
    ),
    Archetype(
        "M3", "crowd-buy ring", 0.015, taste=_RESALE_TASTE, review_rate=0.11, views=3.5,
        resale=Resale(
            2.5, 4, 16, (1.2, 7.0, 1.0), 3, 1.0, {"G1": 0.5, "G2": 0.2, "G3": 0.3}, 0.85, 1.0, 0.95, 80,
            cold_start=0.05, grouping=Grouping.CROWD_BUY, drop_share=0.3,
            place_kinds={"warehouse": 0.5, "shop": 0.3, "home": 0.2},
        ),
    ),
    Archetype(
        "M4", "category merchant", 0.025, taste=_RESALE_TASTE | {"staples": 2.0, "snacks": 2.0}, review_rate=0.04,
        return_rate=0.025, views=2.0,
        resale=Resale(
            4.0, 18, 200, (1.5, 10.0, 1.1), 2, 2.2, {"G1": 0.6, "G2": 0.4}, 0.35, 0.97, 0.98, 110, regularity=6.0,
            cold_start=0.12, hours="business", drop_share=0.2,
            place_kinds={"shop": 0.6, "warehouse": 0.25, "office": 0.15}, company_invoice=0.5, seller_link=0.4,
            business_use=0.25,
        ),
    ),
    Archetype(
        "M5", "coupon farmer", 0.015, taste={"snacks": 2.0, "drinks": 2.0, "personal_care": 2.0, "household": 2.0},
        coupon=0.9, review_rate=0.03, return_rate=0.03, views=1.5,
        resale=Resale(
            10.0, 1.3, 4, (2.0, 5.0, 0.3), 6, 1.2, {"G1": 1.0}, 0.1, 0.85, 0.97, 55, cold_start=0.28, drop_share=0.5,
            drop_ship=0.25, automation=0.35,
        ),
    ),
    Archetype(
        "M6", "promotion-only drop bot", 0.008, taste=_RESALE_TASTE | {"toys": 4.0, "shoes": 4.0}, review_rate=0.02,
        return_rate=0.02, views=0.7,
        resale=Resale(
            0.6, 4, 12, (1.0, 60.0, 0.1), 2, 1.0, {"G1": 1.0}, 0.15, 0.95, 0.95, 200, cold_start=0.25, drop_share=0.95,
            drop_ship=0.1, place_kinds={"home": 0.6, "warehouse": 0.4}, automation=0.9,
        ),
    ),
    Archetype(
        "M7", "slow-burn mimic", 0.01, taste=_RESALE_TASTE, review_rate=0.11, views=4.5,
        resale=Resale(
            5.0, 4.5, 20, (1.2, 5.0, 1.0), 3, 1.2, {"G2": 0.5, "G3": 0.5}, 0.45, 0.95, 0.92, 85, cold_start=0.05,
            hours="evening", drop_share=0.15, drop_ship=0.05, carelessness=(1.0, 4.0), ramp_days=35,
        ),
    ),
    Archetype(
        "M8", "rented-out account", 0.007, taste=_RESALE_TASTE, review_rate=0.1, views=3.0,
        resale=Resale(
            5.0, 6, 30, (1.0, 8.0, 1.0), 2, 1.2, {"G1": 0.6, "G2": 0.1, "G3": 0.3}, 0.8, 0.95, 0.95, 60, cold_start=0.0,
            drop_ship=0.1, place_kinds={"home": 0.5, "warehouse": 0.5},
        ),
    ),
)  # fmt: skip
"""The merchant archetypes; positional figures of `Resale` run from its rate to `early_days`."""

ARCHETYPES: tuple[Archetype, ...] = GENUINE + MERCHANTS
MERCHANT_HABITS: tuple[tuple[str, Resale], ...] = tuple((m.code, m.resale) for m in MERCHANTS if m.resale is not None)
"""Code of each merchant archetype and how it buys for resale."""
ARCHETYPE_INDEX: Mapping[str, int] = {archetype.code: place for place, archetype in enumerate(ARCHETYPES)}
