"""Orders and their lines: private life and resale put together, sorted by time, priced and paid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.market.simulator.archetypes import ARCHETYPES
from membergate.market.simulator.calendar import Calendar
from membergate.market.simulator.catalogue import Catalogue, Prices, price
from membergate.market.simulator.population import Population
from membergate.market.simulator.resale import Purchases, expected_coupon_share
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.shopping import Picks, Visits, burning
from membergate.market.simulator.streams import Bools, Floats, Ints, stream

_FREE_SHIPPING_FROM_MINOR = 9_900
_SHIPPING_MINOR = 600
_THRESHOLD_MINOR = 30_000
_THRESHOLD_DISCOUNT_MINOR = 3_000
_COUPON_SPREAD = 0.35


@dataclass(frozen=True, slots=True)
class Ledger:
    """All orders and lines of the market, sorted by time; order columns have shape (orders,), line columns (lines,).

    Parameters
    ----------
    account, time, at_opening
        Who ordered, when (local days), and whether right at an opening.
    is_for_resale
        Whether the order was placed in order to resell.
    promotion
        The promotion that burnt, -1 for none.
    coupon_share
        Share that a coupon took off, 0 without one.
    goods_minor, discount_minor, shipping_minor
        Sum over the lines, what the order's threshold discount spared, and the freight, in minor units.
    order, sku, quantity, prices
        Lines: their order's position, what, how many, and at what price.
    resale_price_minor
        What a unit of the line would fetch; 0 in private life.
    """

    account: Ints
    time: Floats
    at_opening: Bools
    is_for_resale: Bools
    promotion: Ints
    coupon_share: Floats
    goods_minor: Ints
    discount_minor: Ints
    shipping_minor: Ints
    order: Ints
    sku: Ints
    quantity: Ints
    prices: Prices
    resale_price_minor: Ints

    @classmethod
    def settled(
        cls,
        *,
        account: Ints,
        time: Floats,
        at_opening: Bools,
        is_for_resale: Bools,
        is_member: Bools,
        promotion: Ints,
        coupon_share: Floats,
        order: Ints,
        sku: Ints,
        quantity: Ints,
        prices: Prices,
        resale_price_minor: Ints,
    ) -> Ledger:
        """Add up the lines of each order, with its threshold discount and freight; members pay none."""
        goods = np.bincount(order, weights=quantity * prices.net_price_minor, minlength=len(account)).astype(np.int64)
        return cls(
            account=account,
            time=time,
            at_opening=at_opening,
            is_for_resale=is_for_resale,
            promotion=promotion,
            coupon_share=coupon_share,
            goods_minor=goods,
            discount_minor=np.where(promotion >= 0, goods // _THRESHOLD_MINOR * _THRESHOLD_DISCOUNT_MINOR, 0),
            shipping_minor=np.where(is_member | (goods >= _FREE_SHIPPING_FROM_MINOR), 0, _SHIPPING_MINOR),
            order=order,
            sku=sku,
            quantity=quantity,
            prices=prices,
            resale_price_minor=resale_price_minor,
        )

    @property
    def total_minor(self) -> Ints:
        """What each order costs, shape (orders,)."""
        return self.goods_minor - self.discount_minor + self.shipping_minor


def keep_ledger(
    private: tuple[Visits, Picks],
    resale: Purchases,
    population: Population,
    scenario: Scenario,
    catalogue: Catalogue,
    calendar: Calendar,
) -> Ledger:
    """Merge private and resale orders, sort them by time, and price every line."""
    visits, picks = private
    by_time, order, by_order = _in_order(private, resale)
    account = np.r_[visits.account, resale.visits.account][by_time]
    time = np.r_[visits.time, resale.visits.time][by_time]
    is_for_resale = by_time >= len(visits.account)
    sku = np.r_[picks.sku, resale.picks.sku][by_order]
    promotion = burning(calendar, scenario, time)
    is_member = population.is_member_at(account, time)
    coupon_share = _coupons(population, scenario, account, is_for_resale)
    prices = price(catalogue, sku, promotion[order], is_member[order], coupon_share[order])
    quantity = np.r_[picks.quantity, resale.picks.quantity][by_order]
    return Ledger.settled(
        account=account,
        time=time,
        at_opening=np.r_[visits.at_opening, resale.visits.at_opening][by_time],
        is_for_resale=is_for_resale,
        is_member=is_member,
        promotion=promotion,
        coupon_share=coupon_share,
        order=order,
        sku=sku,
        quantity=quantity,
        prices=prices,
        resale_price_minor=np.r_[np.zeros(len(picks.order), dtype=np.int64), resale.resale_price_minor][by_order],
    )


def _in_order(private: tuple[Visits, Picks], resale: Purchases) -> tuple[Ints, Ints, Ints]:
    """Sort orders by time and lines by order: which order comes where, each line's order, which line comes where."""
    visits, picks = private
    account = np.r_[visits.account, resale.visits.account]
    by_time = np.lexsort((account, np.r_[visits.time, resale.visits.time]))
    place = np.empty_like(by_time)
    place[by_time] = np.arange(len(by_time))
    order = place[np.r_[picks.order, resale.picks.order + len(visits.account)]]
    by_order = np.lexsort((np.r_[picks.sku, resale.picks.sku], order))
    return by_time, order[by_order], by_order


def _coupons(population: Population, scenario: Scenario, account: Ints, is_for_resale: Bools) -> Floats:
    """Draw which orders use a coupon, and what share it takes off; merchants stack them as their archetype does."""
    rng = stream(scenario.chance, "coupons")
    kind = np.where(is_for_resale, population.archetype[account], population.life[account])
    has_coupon = rng.random(len(account)) < np.array([a.coupon for a in ARCHETYPES])[kind]
    usual = np.array([expected_coupon_share(a) for a in ARCHETYPES])[kind]
    share = np.clip(usual * np.exp(rng.normal(0, _COUPON_SPREAD, len(account))), 0.01, 0.4)
    return np.where(has_coupon, np.round(share, 3), 0.0)
