"""How the steps that merchants take show in the market: in their accounts, and in what these use and share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from membergate.market.simulator.adversary import Action
from membergate.market.simulator.archetypes import ARCHETYPE_INDEX
from membergate.market.simulator.belongings import OF_EVASION, OF_STRANGER, OWN, PROXIES, PROXY, Belongings, numbered
from membergate.market.simulator.evading import SPLIT_EFFORT, Campaign, is_cold
from membergate.market.simulator.places import KIND_INDEX, PlaceBook
from membergate.market.simulator.population import Population
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import Ints, running_number, stream

_PATIENCE_DAYS = 5.0
_DECOY_ORDER_MINOR = 12_000
_CELL_SIZES = {Action.SPLIT_20: 20, Action.SPLIT_3: 3}


def concealed_accounts(population: Population, campaign: Campaign, scenario: Scenario) -> Population:
    """Give the population with aged accounts, decoy lives, split rings and patience, as far as they are paid for.

    Parameters
    ----------
    population
        As it would be if nobody evaded.
    campaign, scenario
        Who takes which step, and at what cost.
    """
    rng = stream(scenario.chance, "evasion", "accounts")
    count = len(population)
    past = rng.lognormal(np.log(330.0), 0.9, count) + 12
    is_aged = campaign.does(Action.AGED_ACCOUNTS) & is_cold(population)
    decoys = campaign.does(Action.DECOYS)
    stakes = campaign.stakes
    spend_of_account = stakes.spend_minor[stakes.business_of] / stakes.size[stakes.business_of]
    orders_a_day = spend_of_account / scenario.evasion.horizon_days / _DECOY_ORDER_MINOR
    more = np.where(decoys, scenario.evasion.decoy_share * orders_a_day, 0.0)
    effort = population.effort
    for split, times in SPLIT_EFFORT.items():
        effort = np.where(campaign.does(split), 1 - times * scenario.evasion.split_share, effort)
    return replace(
        population,
        registered=np.where(is_aged, population.applied - past, population.registered),
        life=np.where(decoys, ARCHETYPE_INDEX["G2"], population.life),
        orders_per_day=population.orders_per_day + more,
        cell=_cells(population, campaign),
        patience_days=np.where(campaign.does(Action.SLOW_DOWN), _PATIENCE_DAYS, 0.0),
        effort=effort,
    )


def _cells(population: Population, campaign: Campaign) -> Ints:
    """Cut the rings that pay for it into cells of even size."""
    cell = population.ring.copy()
    grouped = np.flatnonzero(population.ring >= 0)
    by_ring = grouped[np.argsort(population.ring[grouped], kind="stable")]
    rank = np.zeros(len(cell), dtype=np.int64)
    rank[by_ring] = running_number(population.ring[by_ring])
    size = np.bincount(population.ring[grouped], minlength=1)[population.ring]
    part = np.zeros(len(cell), dtype=np.int64)
    for split, most in _CELL_SIZES.items():
        cells = np.maximum(-(-size // most), 1)
        part = np.where(campaign.does(split), rank * cells // np.maximum(size, 1), part)
    _, cell[grouped] = np.unique(np.stack([population.ring[grouped], part[grouped]]), axis=1, return_inverse=True)
    return cell


def concealed_belongings(
    belongings: Belongings, population: Population, campaign: Campaign, scenario: Scenario, book: PlaceBook
) -> Belongings:
    """Give what accounts use with devices, cards, lines and delivery places of their own, as far as they are paid for.

    Parameters
    ----------
    belongings, population
        What everyone uses if nobody conceals it, and who they are; accounts opened after a refusal follow their origin.
    campaign, scenario
        Who takes which step.
    book
        Where places are founded and renamed.
    """
    rng = stream(scenario.chance, "evasion", "belongings")
    account = np.arange(len(population))
    does = {action: campaign.does(action)[population.origin] for action in Action}
    hires = does[Action.HIRED_LEAVES]
    own_device = does[Action.DEVICES] | does[Action.CLOUD_PHONES]
    work_device = np.where(own_device, numbered(OF_EVASION, account), belongings.work_device)
    own_payment = does[Action.PAYMENTS] | hires
    proxies = numbered(OF_STRANGER, rng.integers(0, PROXIES, len(account)))
    hides = does[Action.PROXIES]
    work_network = np.where(hires, belongings.network, belongings.work_network)
    work_class = np.where(hires, belongings.network_class, belongings.work_network_class)
    stock_place, stock_recipient = belongings.stock_place.copy(), belongings.stock_recipient
    altered = np.flatnonzero(does[Action.ADDRESS_NOISE])
    stock_place[altered] = book.rename(stock_place[altered], rng=rng)
    forwarded = does[Action.CLEAN_ADDRESSES]
    places = np.flatnonzero(forwarded)
    homes = np.full(len(places), KIND_INDEX["home"])
    stock_place[places] = book.found(belongings.region[places], homes, rng=rng)
    return replace(
        belongings,
        work_device=np.where(hires, belongings.device, work_device),
        work_payment=np.where(own_payment, numbered(OWN, account), belongings.work_payment),
        work_network=np.where(hides, proxies, work_network),
        work_network_class=np.where(hides, PROXY, work_class),
        stock_place=stock_place,
        stock_recipient=np.where(forwarded, numbered(OWN, account), stock_recipient),
        is_emulated=does[Action.CLOUD_PHONES],
        is_forwarded=forwarded,
    )
