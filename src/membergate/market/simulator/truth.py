"""The truth: what became of every unit, and therefore who is a merchant. Only the simulator's evaluator reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.market.simulator.archetypes import ARCHETYPE_INDEX, ARCHETYPES, MERCHANTS
from membergate.market.simulator.fulfilment import Deliveries
from membergate.market.simulator.ordering import Ledger
from membergate.market.simulator.population import Population
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import Bools, Floats, Ints, stream

CONSUMED, GIFTED, RESOLD, RETURNED_UNSOLD, STOCKED = range(5)
USE_NAMES = ("consumed", "gifted", "resold", "returned_unsold", "stocked")
_DECLUTTERING = {"G3": 0.02, "G8": 0.03, "G9": 0.04}
_HALF = 0.5
_OF_THE_UNSOLD = (0.25, 0.35)
"""Shares that go back to the shop, and that are used up at home; the rest stays in stock."""


@dataclass(frozen=True, slots=True)
class UnitTruth:
    """What became of the units of every line that was not cancelled; one row a line and use, shape (n,).

    Parameters
    ----------
    line
        Position of the line.
    use
        Index into USE_NAMES.
    quantity
        Units, at least 1.
    resold
        When they were resold, in local days; infinite if not.
    price_minor
        What a unit fetched, in minor units; 0 if not resold.
    """

    line: Ints
    use: Ints
    quantity: Ints
    resold: Floats
    price_minor: Ints


@dataclass(frozen=True, slots=True)
class OperatorTruth:
    """What each operator is, one row an operator in ascending order of its index, shape (operators,).

    Parameters
    ----------
    operator
        Index of the operator.
    archetype
        Index into ARCHETYPES.
    is_merchant
        Whether it resold at least half of its units, and enough of them, in the window around its first application.
    resold_share, resold_units, loss_minor
        Over that window: share and number of units resold, and the benefit taken on them.
    capital_minor
        What it could lay out, in minor units.
    is_merchant_account
        The same, handed down to accounts, shape (accounts,).
    """

    operator: Ints
    archetype: Ints
    is_merchant: Bools
    resold_share: Floats
    resold_units: Ints
    loss_minor: Ints
    capital_minor: Ints
    is_merchant_account: Bools


def follow_units(ledger: Ledger, deliveries: Deliveries, population: Population, scenario: Scenario) -> UnitTruth:
    """Follow every unit to its end."""
    rng = stream(scenario.chance, "units")
    account = ledger.account[ledger.order]
    is_resale = ledger.is_for_resale[ledger.order]
    resold_share = np.array([a.resale.resold if a.resale else 0.0 for a in ARCHETYPES])[population.archetype[account]]
    sold = np.where(is_resale, rng.binomial(ledger.quantity, resold_share), 0)
    unsold = np.where(is_resale, ledger.quantity - sold, 0)
    back = rng.binomial(unsold, _OF_THE_UNSOLD[0])
    kept = rng.binomial(unsold - back, _OF_THE_UNSOLD[1])
    cleared = np.zeros(len(ARCHETYPES))
    for code, chance in _DECLUTTERING.items():
        cleared[ARCHETYPE_INDEX[code]] = chance
    clears = ~is_resale & (rng.random(len(account)) < cleared[population.life[account]])
    sold = np.where(clears, 1, sold)
    private = np.where(is_resale, 0, ledger.quantity - sold)
    is_gift = deliveries.is_gift[ledger.order]
    by_use = {
        CONSUMED: np.where(is_gift, 0, private) + kept,
        GIFTED: np.where(is_gift, private, 0),
        RESOLD: sold,
        RETURNED_UNSOLD: back,
        STOCKED: unsold - back - kept,
    }
    arrives = ~deliveries.is_cancelled[ledger.order]
    line = np.concatenate([np.flatnonzero((units > 0) & arrives) for units in by_use.values()])
    use = np.concatenate([np.full(int(((units > 0) & arrives).sum()), name) for name, units in by_use.items()])
    quantity = np.concatenate([units[(units > 0) & arrives] for units in by_use.values()])
    by_line = np.lexsort((use, line))
    line, use, quantity = line[by_line], use[by_line], quantity[by_line]
    is_sold = use == RESOLD
    sold_at = deliveries.delivered[ledger.order[line]] + 1 + rng.gamma(1.5, 7.0, len(line))
    second_hand = np.rint(0.6 * ledger.prices.net_price_minor[line]).astype(np.int64)
    fetched = np.where(ledger.resale_price_minor[line] > 0, ledger.resale_price_minor[line], second_hand)
    return UnitTruth(line, use, quantity, np.where(is_sold, sold_at, np.inf), np.where(is_sold, fetched, 0))


def judge(units: UnitTruth, ledger: Ledger, population: Population, scenario: Scenario) -> OperatorTruth:
    """Call an operator a merchant by what became of its units in the window around its first application."""
    rng = stream(scenario.chance, "capital")
    operators, first, of_account = np.unique(population.operator, return_index=True, return_inverse=True)
    first_applied = np.full(len(operators), np.inf)
    np.minimum.at(first_applied, of_account, population.applied)
    # the last to apply are judged by the folder's last days, so every window has the same length
    starts = np.minimum(first_applied, scenario.days - scenario.truth_days)
    order = ledger.order[units.line]
    operator = of_account[ledger.account[order]]
    since = ledger.time[order] - starts[operator]
    counts = (since >= 0) & (since < scenario.truth_days) & (units.use != RETURNED_UNSOLD)
    bought = np.bincount(operator[counts], weights=units.quantity[counts], minlength=len(operators))
    sold = counts & (units.use == RESOLD)
    resold = np.bincount(operator[sold], weights=units.quantity[sold], minlength=len(operators))
    prices = ledger.prices
    benefit = (prices.member_discount_minor + prices.coupon_discount_minor)[units.line] * units.quantity
    loss = np.bincount(operator[sold], weights=benefit[sold], minlength=len(operators))
    share: Floats = np.round(resold / np.maximum(bought, 1), 6)
    is_merchant = (share >= _HALF) & (resold >= scenario.merchant_units)
    trades = np.isin(population.archetype[first], [ARCHETYPE_INDEX[merchant.code] for merchant in MERCHANTS])
    capital = np.where(trades, np.rint(rng.lognormal(np.log(3_000_000), 0.8, len(operators)) / 100) * 100, 0)
    return OperatorTruth(
        operator=operators,
        archetype=population.archetype[first],
        is_merchant=is_merchant,
        resold_share=share,
        resold_units=resold.astype(np.int64),
        loss_minor=loss.astype(np.int64),
        capital_minor=capital.astype(np.int64),
        is_merchant_account=is_merchant[of_account],
    )
