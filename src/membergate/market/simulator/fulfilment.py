"""What each order is placed with and where its parcel goes: device, payment, recipient, re-routing, collection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.market.simulator.archetypes import ARCHETYPE_INDEX, ARCHETYPES
from membergate.market.simulator.belongings import (
    MOBILE,
    OF_BUSINESS,
    OF_REGION,
    OF_STRANGER,
    OWN,
    RESIDENTIAL,
    Belongings,
    numbered,
)
from membergate.market.simulator.ordering import Ledger
from membergate.market.simulator.places import KIND_INDEX, REGIONS, PlaceBook
from membergate.market.simulator.population import Population
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import NOWHERE, Bools, Floats, Ints, happens, stream

_ONE_TIME_SHARE = 0.02
_MOBILE_SHARE = 0.5
_MOBILE_LINES = 40
_REROUTE_SHARE = 0.012
_HUB_REROUTE_SHARE = 0.5
_HUB_COLLECT_SHARE = 0.6
_AGENT_COLLECT_SHARE = 0.8
_CANCEL_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The circumstances of every order, shape (orders,) each.

    Parameters
    ----------
    place, recipient, recipient_phone
        Where to, and to whom.
    is_gift
        Whether it truly is one.
    device, payment, network, network_class
        What it was placed with.
    is_cancelled
        Whether it was cancelled before it left; it then has no parcel.
    parcel_place, rerouted_from
        Where the parcel went in the end, and from where it was re-routed, NOWHERE if it was not.
    delivered
        When, in local days.
    collector
        Who collected it, NOWHERE if nobody noted that.
    """

    place: Ints
    recipient: Ints
    recipient_phone: Ints
    is_gift: Bools
    device: Ints
    payment: Ints
    network: Ints
    network_class: Ints
    is_cancelled: Bools
    parcel_place: Ints
    rerouted_from: Ints
    delivered: Floats
    collector: Ints


def deliver(
    ledger: Ledger, population: Population, belongings: Belongings, scenario: Scenario, book: PlaceBook
) -> Deliveries:
    """Send every order on its way."""
    rng = stream(scenario.chance, "deliveries")
    place, recipient, phone, is_gift = _addressed(rng, ledger, population, belongings, book)
    device, payment = _placed_with(rng, ledger, belongings)
    network, network_class = _connected_by(rng, ledger, belongings)
    parcel_place, rerouted_from, collector = _underway(rng, ledger, population, belongings, place)
    return Deliveries(
        place=place,
        recipient=recipient,
        recipient_phone=phone,
        is_gift=is_gift,
        device=device,
        payment=payment,
        network=network,
        network_class=network_class,
        is_cancelled=rng.random(len(ledger.account)) < _CANCEL_SHARE,
        parcel_place=parcel_place,
        rerouted_from=rerouted_from,
        delivered=ledger.time + 0.6 + rng.gamma(2.0, 0.9, len(ledger.account)),
        collector=collector,
    )


def _addressed(
    rng: np.random.Generator, ledger: Ledger, population: Population, belongings: Belongings, book: PlaceBook
) -> tuple[Ints, Ints, Ints, Bools]:
    """Address private orders to home, relatives or a stranger, and resale orders to stock or to an end buyer."""
    account = ledger.account
    count = len(account)
    life = population.life[account]
    is_resale = ledger.is_for_resale
    place, recipient = belongings.home[account].copy(), numbered(OWN, account)
    others = belongings.others
    length = others.length[account]
    goes_elsewhere = rng.random(count) < np.array([a.others_share for a in ARCHETYPES])[life]
    elsewhere = np.flatnonzero(goes_elsewhere & (length > 0) & ~is_resale)
    entry = others.start[account[elsewhere]] + (length[elsewhere] * rng.random(len(elsewhere)) ** 1.3).astype(np.int64)
    place[elsewhere], recipient[elsewhere] = others.place[entry], others.recipient[entry]
    place = np.where(is_resale, belongings.stock_place[account], place)
    recipient = np.where(is_resale, belongings.stock_recipient[account], recipient)
    phone = recipient.copy()
    drop_ship = np.array([a.resale.drop_ship if a.resale else 0.0 for a in ARCHETYPES])[population.archetype[account]]
    # one business in three ships none that way, another most
    leaning = np.array([0.0, 0.6, 2.4])[belongings.business[account] * 7919 % 3]
    to_stranger = rng.random(count) < np.where(is_resale, drop_ship * leaning, _ONE_TIME_SHARE)
    strangers = np.flatnonzero(to_stranger)
    regions = rng.integers(0, len(REGIONS), len(strangers))
    place[strangers] = book.found(regions, np.full(len(strangers), KIND_INDEX["home"]), rng=rng)
    recipient[strangers] = numbered(OF_STRANGER, strangers)
    shares_phone = happens(rng, 0.7, len(strangers))
    phone[strangers] = np.where(shares_phone, recipient[strangers], phone[strangers])
    gift = np.array([a.gift for a in ARCHETYPES])[life]
    is_gift = ~is_resale & (rng.random(count) < np.where(goes_elsewhere & (length > 0), 4 * gift, 0.5 * gift))
    return place, recipient, phone, is_gift


def _placed_with(rng: np.random.Generator, ledger: Ledger, belongings: Belongings) -> tuple[Ints, Ints]:
    account = ledger.account
    second = belongings.second_device[account]
    uses_second = (second >= 0) & happens(rng, 0.22, len(account))
    private = np.where(uses_second, second, belongings.device[account])
    device = np.where(ledger.is_for_resale, belongings.work_device[account], private)
    payment = np.where(ledger.is_for_resale, belongings.work_payment[account], belongings.payment[account])
    uses_other = happens(rng, 0.05, len(account))
    own = numbered(OWN, account)
    return device, np.where(uses_other, own, payment)


def _connected_by(rng: np.random.Generator, ledger: Ledger, belongings: Belongings) -> tuple[Ints, Ints]:
    account = ledger.account
    habitual = np.where(ledger.is_for_resale, belongings.work_network[account], belongings.network[account])
    habitual_class = np.where(
        ledger.is_for_resale, belongings.work_network_class[account], belongings.network_class[account]
    )
    is_mobile = (rng.random(len(account)) < _MOBILE_SHARE) & (habitual_class <= RESIDENTIAL)
    line = belongings.region[account] * _MOBILE_LINES + rng.integers(0, _MOBILE_LINES, len(account))
    return np.where(is_mobile, numbered(OF_REGION, line), habitual), np.where(is_mobile, MOBILE, habitual_class)


def _underway(
    rng: np.random.Generator, ledger: Ledger, population: Population, belongings: Belongings, place: Ints
) -> tuple[Ints, Ints, Ints]:
    """Re-route and collect: hired accounts' parcels converge on a hub, village agents collect, people move."""
    account = ledger.account
    count = len(account)
    to_hub = ledger.is_for_resale & (population.archetype[account] == ARCHETYPE_INDEX["M3"])
    hub_place = _hub_places(population, belongings)[account]
    to_hub &= ~belongings.is_forwarded[account]
    hub_reroutes = to_hub & (rng.random(count) < _HUB_REROUTE_SHARE)
    moves = ~ledger.is_for_resale & (rng.random(count) < _REROUTE_SHARE)
    others = belongings.others
    has_other = others.length[account] > 0
    other = others.place[np.where(has_other, others.start[account], 0)] if len(others.place) else place
    parcel = np.where(hub_reroutes, hub_place, np.where(moves & has_other, other, place))
    is_rerouted = parcel != place
    draw = rng.random(count)
    noted = happens(rng, 0.35, count)
    by_agent = belongings.is_collected[account] & ~to_hub & (population.life[account] == ARCHETYPE_INDEX["G7"])
    collector = np.where(noted, numbered(OWN, account), NOWHERE)
    collector = np.where(by_agent & (draw < _AGENT_COLLECT_SHARE), belongings.collector[account], collector)
    by_hub = to_hub & ~hub_reroutes & (draw < _HUB_COLLECT_SHARE)
    collector = np.where(by_hub, numbered(OF_BUSINESS, belongings.business[account]), collector)
    return parcel, np.where(is_rerouted, place, NOWHERE), collector


def _hub_places(population: Population, belongings: Belongings) -> Ints:
    """Give each account the stock place of its cell's first account, or its own."""
    hub = np.arange(len(population))
    grouped = np.flatnonzero(population.ring >= 0)
    _, first, inverse = np.unique(population.cell[grouped], return_index=True, return_inverse=True)
    hub[grouped] = grouped[first][inverse]
    return belongings.stock_place[hub]
