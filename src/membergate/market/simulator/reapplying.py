"""Coming back after a refusal: another account, applied for weeks later, with as many changed cues as was learned.

Every reselling account has a spare one from the beginning, unused and unseen until it is needed, so that two doors are
compared on the same people and the same draws.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from membergate.market.simulator.adversary import ACTIONS, Action
from membergate.market.simulator.belongings import OF_EVASION, OF_STRANGER, OWN, PROXIES, PROXY, Belongings, numbered
from membergate.market.simulator.calendar import NEVER
from membergate.market.simulator.door import Door
from membergate.market.simulator.evading import Campaign, Steps
from membergate.market.simulator.places import PlaceBook
from membergate.market.simulator.population import Population
from membergate.market.simulator.resale import Purchases
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import NOWHERE, Bools, Floats, chosen, stream

_COMES_BACK_DAYS = (7.0, 21.0)
_WARMS_UP_DAYS = (0.5, 4.0)


def with_spares(population: Population) -> Population:
    """Give the population with an unused account more for every reselling one, after all others."""
    row = np.r_[np.arange(len(population)), np.flatnonzero(population.is_reseller_life)]
    is_spare = np.arange(len(row)) >= len(population)
    doubled = chosen(population, row)
    never = np.where(is_spare, NEVER, 0.0)
    return replace(
        doubled,
        registered=doubled.registered + never,
        applied=doubled.applied + never,
        shops_from=doubled.shops_from + never,
        resells_from=doubled.resells_from + never,
        orders_per_day=np.where(is_spare, 0.0, doubled.orders_per_day),
    )


def come_back(population: Population, door: Door, campaign: Campaign, scenario: Scenario) -> tuple[Population, Steps]:
    """Let the refused whose share of the profit is worth another account come back with their spare one.

    Parameters
    ----------
    population
        With spares.
    door
        What everyone was answered the first time.
    campaign, scenario
        What is at stake, and what an account costs.
    """
    rng = stream(scenario.chance, "evasion", "coming back")
    count = len(population)
    origin, evasion, stakes = population.origin, scenario.evasion, campaign.stakes
    later = rng.uniform(*_COMES_BACK_DAYS, count)
    warm, past = rng.uniform(*_WARMS_UP_DAYS, count), rng.lognormal(np.log(330.0), 0.9, count) + 12
    ages = campaign.does(Action.AGED_ACCOUNTS)[origin]
    cost = np.where(ages, evasion.aged_account_minor, evasion.new_account_minor)
    business = stakes.business_of[origin]
    worth = stakes.profit_minor[business] / stakes.size[business]
    refused = (door.answer >= 0) & ~door.holds
    applies = population.applied[origin] + later
    returns = (origin != np.arange(count)) & refused[origin] & (worth > cost) & (applies < scenario.days - 1)
    returns &= population.applied[origin] >= evasion.from_day
    back = replace(
        population,
        registered=np.where(returns, applies - np.where(ages, past, warm), population.registered),
        applied=np.where(returns, applies, population.applied),
        resells_from=np.where(returns, np.maximum(applies, population.resells_from[origin]), population.resells_from),
    )
    row = np.flatnonzero(returns)
    action = np.where(ages[row], ACTIONS.index(Action.AGED_ACCOUNTS), ACTIONS.index(Action.NEW_ACCOUNT))
    steps = Steps(population.operator[row], action, cost[row].astype(np.int64), (applies - warm)[row])
    return back, steps


def moved(purchases: Purchases, population: Population) -> Purchases:
    """Let those who came back order through their new account from its application on."""
    spare_of = np.full(len(population), NOWHERE)
    used = np.flatnonzero(is_spare(population) & np.isfinite(population.applied))
    spare_of[population.origin[used]] = used
    visits = purchases.visits
    spare = spare_of[visits.account]
    since = np.where(spare >= 0, population.applied[spare], NEVER)
    return replace(purchases, visits=replace(visits, account=np.where(visits.time > since, spare, visits.account)))


def is_spare(population: Population) -> Bools:
    """Mark the accounts that play another one's part."""
    return np.asarray(population.origin != np.arange(len(population)))


def learned(population: Population, scenario: Scenario) -> Bools:
    """Mark the spare accounts whose holder changes every cue by which it could be known again."""
    draws: Floats = stream(scenario.chance, "evasion", "lessons").random(len(population))
    return np.asarray(is_spare(population) & (draws < scenario.evasion.reason_detail))


def taken_over(belongings: Belongings, population: Population, scenario: Scenario, book: PlaceBook) -> Belongings:
    """Let a spare account use what its origin uses, but for the cues that were changed."""
    rng = stream(scenario.chance, "evasion", "changed cues")
    account, origin = np.arange(len(population)), population.origin
    columns = [column.name for column in fields(belongings) if column.name != "others"]
    carried = replace(belongings, **{name: getattr(belongings, name)[origin] for name in columns})
    changes = learned(population, scenario)
    fresh = numbered(OF_EVASION, len(population) + account)
    proxies = numbered(OF_STRANGER, rng.integers(0, PROXIES, len(account)))
    stock_place = carried.stock_place.copy()
    altered = np.flatnonzero(changes)
    stock_place[altered] = book.rename(stock_place[altered], rng=rng)
    return replace(
        carried,
        device=np.where(changes, fresh, carried.device),
        second_device=np.where(changes, NOWHERE, carried.second_device),
        work_device=np.where(changes, fresh, carried.work_device),
        payment=np.where(changes, numbered(OWN, account), carried.payment),
        work_payment=np.where(changes, numbered(OWN, account), carried.work_payment),
        work_network=np.where(changes, proxies, carried.work_network),
        work_network_class=np.where(changes, PROXY, carried.work_network_class),
        stock_place=stock_place,
    )
