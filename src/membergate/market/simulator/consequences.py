"""What an answer at the door changes: who still buys, at which price, and how much.

Everyone's intentions are drawn as though the door stood open. A different answer only takes away from them, account by
account and by draws of its own, so two doors are compared on the same people who wanted the same things.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from membergate.domain.disposition import Disposition
from membergate.market.simulator.catalogue import Catalogue, price
from membergate.market.simulator.door import UNLIMITED, Door
from membergate.market.simulator.fulfilment import Deliveries
from membergate.market.simulator.ordering import Ledger
from membergate.market.simulator.population import Population
from membergate.market.simulator.resale import handling_minor
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.shopping import MEMBER_LIFT
from membergate.market.simulator.streams import Bools, Ints, chosen, stream
from membergate.market.simulator.truth import UnitTruth

_LEAVES_WHEN_REFUSED = 0.30
_LEAVES_WHEN_DELAYED = 0.08
_CAP_DAYS = 30.0


@dataclass(frozen=True, slots=True)
class Trade:
    """Orders, their deliveries, and what became of every unit."""

    ledger: Ledger
    deliveries: Deliveries
    units: UnitTruth


@dataclass(frozen=True, slots=True)
class Bought:
    """What is left of the intentions behind a door.

    Parameters
    ----------
    is_member
        Whether each order has the member price, shape (orders,).
    quantity
        Units of each line that are bought, shape (lines,); 0 where nothing is.
    """

    is_member: Bools
    quantity: Ints


def bought_behind(
    door: Door, ledger: Ledger, population: Population, scenario: Scenario, catalogue: Catalogue
) -> Bought:
    """Let a door's answers take away from what was intended.

    Parameters
    ----------
    door
        The answers.
    ledger
        What everyone intended, drawn with the door open.
    population, scenario, catalogue
        The market.
    """
    was_member = population.is_member_at(ledger.account, ledger.time)
    is_member = was_member & door.is_member_at(ledger.account, ledger.time)
    lost = was_member & ~is_member
    is_placed = ~(lost & ~ledger.is_for_resale & _stays_away(door, ledger, population, scenario))
    quantity = np.where(is_placed[ledger.order], ledger.quantity, 0)
    is_dear = (lost & ledger.is_for_resale)[ledger.order]
    quantity[is_dear] = np.minimum(quantity[is_dear], _worthwhile(ledger, catalogue, is_dear))
    return Bought(is_member, _capped(door, ledger, quantity, is_member))


def _stays_away(door: Door, ledger: Ledger, population: Population, scenario: Scenario) -> Bools:
    """Say which private orders a person without membership does not place: some leave, others come less often."""
    rng = stream(scenario.chance, "without membership")
    draw = rng.random(len(population))
    refused = door.is_answered(Disposition.DENY, Disposition.BUSINESS_LANE)
    leaves = draw < np.where(refused, _LEAVES_WHEN_REFUSED, _LEAVES_WHEN_DELAYED)
    comes_less = rng.random(len(ledger.account)) > 1 / MEMBER_LIFT
    return leaves[ledger.account] | comes_less


def _worthwhile(ledger: Ledger, catalogue: Catalogue, lines: Bools) -> Ints:
    """Say how many units still pay at the price that everyone pays, before the resale price has fallen to it."""
    order, sku = ledger.order[lines], ledger.sku[lines]
    prices = price(
        catalogue, sku, ledger.promotion[order], np.zeros(len(order), dtype=bool), ledger.coupon_share[order]
    )
    market = catalogue.market_price_minor[sku]
    margin = market - prices.net_price_minor - handling_minor(market)
    units: Ints = np.floor(np.maximum(0.0, 2 * catalogue.resale_depth[sku] * margin / market)).astype(np.int64)
    return units


def _capped(door: Door, ledger: Ledger, quantity: Ints, is_member: Bools) -> Ints:
    """Cut what members buy down to their cap, SKU by SKU and month by month of membership, first come first served."""
    account = ledger.account[ledger.order]
    is_held = is_member[ledger.order] & (door.most_units[account] < UNLIMITED)
    line = np.flatnonzero(is_held)
    if not len(line):
        return quantity
    moment = ledger.time[ledger.order[line]]
    month = ((moment - door.member_from[account[line]]) // _CAP_DAYS).astype(np.int64)
    by_window = np.lexsort((moment, month, ledger.sku[line], account[line]))
    line, month = line[by_window], month[by_window]
    key = np.stack([account[line], ledger.sku[line], month])
    begins = np.r_[True, (key[:, 1:] != key[:, :-1]).any(axis=0)]
    running = np.cumsum(quantity[line])
    before_window = np.repeat((running - quantity[line])[begins], np.diff(np.r_[np.flatnonzero(begins), len(line)]))
    so_far = running - quantity[line] - before_window
    left = np.maximum(door.most_units[account[line]] - so_far, 0)
    capped = quantity.copy()
    capped[line] = np.minimum(quantity[line], left)
    return capped


def what_happened(bought: Bought, intended: Trade, catalogue: Catalogue) -> Trade:
    """Strike out what was not bought, and price the rest: the trade that really took place behind the door."""
    ledger = intended.ledger
    is_kept_line = bought.quantity > 0
    is_kept_order = np.zeros(len(ledger.account), dtype=bool)
    is_kept_order[ledger.order[is_kept_line]] = True
    place_of_order = np.cumsum(is_kept_order) - 1
    place_of_line = np.cumsum(is_kept_line) - 1
    order, sku = place_of_order[ledger.order[is_kept_line]], ledger.sku[is_kept_line]
    promotion, coupon = ledger.promotion[is_kept_order], ledger.coupon_share[is_kept_order]
    is_member = bought.is_member[is_kept_order]
    quantity = bought.quantity[is_kept_line]
    prices = price(catalogue, sku, promotion[order], is_member[order], coupon[order])
    kept = Ledger.settled(
        account=ledger.account[is_kept_order],
        time=ledger.time[is_kept_order],
        at_opening=ledger.at_opening[is_kept_order],
        is_for_resale=ledger.is_for_resale[is_kept_order],
        is_member=is_member,
        promotion=promotion,
        coupon_share=coupon,
        order=order,
        sku=sku,
        quantity=quantity,
        prices=prices,
        resale_price_minor=ledger.resale_price_minor[is_kept_line],
    )
    followed = scaled(intended.units, ledger.quantity, bought.quantity)
    followed = replace(followed, line=place_of_line[followed.line])
    return Trade(kept, chosen(intended.deliveries, is_kept_order), followed)


def scaled(units: UnitTruth, intended: Ints, bought: Ints) -> UnitTruth:
    """Divide what was bought of each line over the uses that the intended units had, in their proportion.

    Parameters
    ----------
    units
        What would have become of the intended units; rows of one line lie next to each other.
    intended, bought
        Units of each line, shape (lines,).
    """
    if not len(units.line):
        return units
    begins = np.r_[True, units.line[1:] != units.line[:-1]]
    running = np.cumsum(units.quantity)
    before = np.repeat((running - units.quantity)[begins], np.diff(np.r_[np.flatnonzero(begins), len(units.line)]))
    upto = (running - before) * bought[units.line] // intended[units.line]
    since = np.where(begins, 0, np.r_[0, upto[:-1]])
    return chosen(replace(units, quantity=upto - since), upto > since)
