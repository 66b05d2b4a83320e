"""Coming back after a refusal: another account, applied for weeks later, with as many changed cues as was learned.

Every reselling account has spare ones from the beginning, unused and unseen until they are needed, so that two doors
are compared on the same people and the same draws.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from membergate.market.simulator.adversary import ACTIONS, CHANGES, DISGUISES, Action
from membergate.market.simulator.belongings import OF_EVASION, OF_STRANGER, OWN, PROXIES, PROXY, Belongings, numbered
from membergate.market.simulator.calendar import NEVER
from membergate.market.simulator.door import Door, Doorkeeper
from membergate.market.simulator.evading import Campaign, Steps
from membergate.market.simulator.places import PlaceBook
from membergate.market.simulator.population import Population
from membergate.market.simulator.resale import Purchases
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import NOWHERE, Bools, Floats, Ints, chosen, running_number, stream
from membergate.market.simulator.trying import (
    EVERYTHING,
    NOTHING,
    Tried,
    choose_disguises,
    disguise_costs,
    step_costs,
)

_Number = TypeVar("_Number", np.int64, np.float64)
_NEW, _AGED = ACTIONS.index(Action.NEW_ACCOUNT), ACTIONS.index(Action.AGED_ACCOUNTS)
_COMES_BACK_DAYS = (7.0, 21.0)
_WARMS_UP_DAYS = (0.5, 4.0)


def with_spares(population: Population, each: int) -> Population:
    """Give the population with so many unused accounts more for every reselling one, after all others."""
    row = np.r_[np.arange(len(population)), np.tile(np.flatnonzero(population.is_reseller_life), each)]
    is_new = np.arange(len(row)) >= len(population)
    multiplied = chosen(population, row)
    never = np.where(is_new, NEVER, 0.0)
    return replace(
        multiplied,
        registered=multiplied.registered + never,
        applied=multiplied.applied + never,
        shops_from=multiplied.shops_from + never,
        resells_from=multiplied.resells_from + never,
        orders_per_day=np.where(is_new, 0.0, multiplied.orders_per_day),
    )


def attempt_of(population: Population) -> Ints:
    """Say which account of its part each one is: 0 the first, then the spare ones in turn."""
    by_origin = np.argsort(population.origin, kind="stable")
    attempt = np.zeros(len(population), dtype=np.int64)
    attempt[by_origin] = running_number(population.origin[by_origin])
    return attempt


def come_back(
    population: Population, doorkeeper: Doorkeeper, campaign: Campaign, scenario: Scenario
) -> tuple[Population, Steps]:
    """Let the refused whose share of the profit is worth another account come back with a spare one, again and again.

    Parameters
    ----------
    population
        With spares.
    doorkeeper
        Answers everyone, those who came back included.
    campaign, scenario
        What is at stake, and what an account and its changes cost.
    """
    rng = stream(scenario.chance, "evasion", "coming back")
    count = len(population)
    draws = _Draws(
        later=rng.uniform(*_COMES_BACK_DAYS, count),
        warm=rng.uniform(*_WARMS_UP_DAYS, count),
        past=rng.lognormal(np.log(330.0), 0.9, count) + 12,
        learns=stream(scenario.chance, "evasion", "lessons").random(count) < scenario.evasion.reason_detail,
    )
    attempt, tried, steps = attempt_of(population), Tried.nothing(), Steps.none()
    for k in range(1, scenario.evasion.attempts + 1):
        rows = np.flatnonzero(attempt == k)
        door = doorkeeper(population)
        before = _before(population, attempt, k)
        if k > 1:
            tried = tried.and_more(_experience(population, door, campaign, before))
        refused = (door.answer[before] >= 0) & ~door.holds[before]
        population, more = _again(rng, population, rows[refused], before[refused], draws, tried, campaign, scenario)
        steps = steps.and_more(more)
    return population, steps


@dataclass(frozen=True, slots=True)
class _Draws:
    """What chance decides for each account, whether it comes to be used or not, shape (accounts,) each."""

    later: Floats
    warm: Floats
    past: Floats
    learns: Bools


def _before(population: Population, attempt: Ints, k: int) -> Ints:
    """Give for each account of the k-th attempt, in ascending order, the one that it would follow."""
    previous = np.full(len(population), NOWHERE)
    rows = np.flatnonzero(attempt == k - 1)
    previous[population.origin[rows]] = rows
    before: Ints = previous[population.origin[attempt == k]]
    return before


def _experience(population: Population, door: Door, campaign: Campaign, rows: Ints) -> Tried:
    """Give what became of the last attempts."""
    used = rows[np.isfinite(population.applied[rows])]
    business = campaign.stakes.business_of[population.origin[used]]
    return Tried(business, population.disguise[used], population.applied[used], door.holds[used])


def _again(
    rng: np.random.Generator,
    population: Population,
    rows: Ints,
    before: Ints,
    draws: _Draws,
    tried: Tried,
    campaign: Campaign,
    scenario: Scenario,
) -> tuple[Population, Steps]:
    """Let spare accounts follow refused ones, as far as it pays."""
    evasion, stakes = scenario.evasion, campaign.stakes
    origin = population.origin[rows]
    business = stakes.business_of[origin]
    ages = campaign.does(Action.AGED_ACCOUNTS)[origin]
    account_cost = np.where(ages, evasion.aged_account_minor, evasion.new_account_minor)
    worth = stakes.profit_minor[business] / stakes.size[business]
    priced = step_costs(evasion, stakes.orders[business] / stakes.size[business])
    costs = account_cost[:, None] + disguise_costs(priced)
    applies = population.applied[before] + draws.later[rows]
    # who learned what gave it away changes it if that pays; the others begin with nothing but the account
    disguise = np.where(worth > costs[:, NOTHING], NOTHING, -1)
    if len(tried.business):
        disguise = choose_disguises(rng, business, applies - draws.warm[rows], tried, worth, costs)
    disguise = np.where(draws.learns[rows] & (worth > costs[:, EVERYTHING]), EVERYTHING, disguise)
    returns = (disguise >= 0) & (applies < scenario.days - 1) & (population.applied[origin] >= evasion.from_day)
    rows, origin, disguise, applies = rows[returns], origin[returns], disguise[returns], applies[returns]
    opened = applies - np.where(ages[returns], draws.past[rows], draws.warm[rows])
    back = replace(
        population,
        registered=_with(population.registered, rows, opened),
        applied=_with(population.applied, rows, applies),
        resells_from=_with(population.resells_from, rows, np.maximum(applies, population.resells_from[origin])),
        disguise=_with(population.disguise, rows, disguise),
    )
    priced = {step: cost[returns] for step, cost in priced.items()}
    when, opening = applies - draws.warm[rows], np.where(ages, _AGED, _NEW)[returns]
    steps = Steps(population.operator[rows], opening, account_cost[returns].astype(np.int64), when)
    return back, steps.and_more(_changed(population.operator[rows], disguise, priced, when))


def _changed(operator: Ints, disguise: Ints, priced: dict[Action, Floats], when: Floats) -> Steps:
    """List the steps that disguises are made of."""
    steps = Steps.none()
    for place, chosen_disguise in enumerate(DISGUISES):
        for step in sorted(CHANGES[chosen_disguise], key=ACTIONS.index):
            mine = np.flatnonzero(disguise == place)
            cost = np.rint(priced[step][mine]).astype(np.int64)
            taken = np.full(len(mine), ACTIONS.index(step))
            steps = steps.and_more(Steps(operator[mine], taken, cost, when[mine]))
    return steps


def _with(values: NDArray[_Number], rows: Ints, new: NDArray[_Number]) -> NDArray[_Number]:
    """Give values with some replaced."""
    changed = values.copy()
    changed[rows] = new
    return changed


def is_spare(population: Population) -> Bools:
    """Mark the accounts that play another one's part."""
    return np.asarray(population.origin != np.arange(len(population)))


def moved(purchases: Purchases, population: Population) -> Purchases:
    """Let those who came back order through their new account from its application on."""
    visits, attempt = purchases.visits, attempt_of(population)
    account = visits.account
    for k in range(1, int(attempt.max(initial=0)) + 1):
        spare_of = np.full(len(population), NOWHERE)
        used = np.flatnonzero((attempt == k) & np.isfinite(population.applied))
        spare_of[population.origin[used]] = used
        spare = spare_of[visits.account]
        since = np.where(spare >= 0, population.applied[spare], NEVER)
        account = np.where(visits.time > since, spare, account)
    return replace(purchases, visits=replace(visits, account=account))


def taken_over(belongings: Belongings, population: Population, scenario: Scenario, book: PlaceBook) -> Belongings:
    """Let a spare account use what its origin uses, but for the cues that were changed."""
    rng = stream(scenario.chance, "evasion", "changed cues")
    account, origin = np.arange(len(population)), population.origin
    columns = [column.name for column in fields(belongings) if column.name != "others"]
    carried = replace(belongings, **{name: getattr(belongings, name)[origin] for name in columns})
    fresh = numbered(OF_EVASION, len(population) + account)
    proxies = numbered(OF_STRANGER, rng.integers(0, PROXIES, len(account)))
    device, payment, address = (
        np.isin(population.disguise, [k for k, d in enumerate(DISGUISES) if step in CHANGES[d]])
        for step in (Action.DEVICES, Action.PAYMENTS, Action.ADDRESS_NOISE)
    )
    stock_place = carried.stock_place.copy()
    altered = np.flatnonzero(address)
    stock_place[altered] = book.rename(stock_place[altered], rng=rng)
    return replace(
        carried,
        device=np.where(device, fresh, carried.device),
        second_device=np.where(device, NOWHERE, carried.second_device),
        work_device=np.where(device, fresh, carried.work_device),
        payment=np.where(payment, numbered(OWN, account), carried.payment),
        work_payment=np.where(payment, numbered(OWN, account), carried.work_payment),
        work_network=np.where(device, proxies, carried.work_network),
        work_network_class=np.where(device, PROXY, carried.work_network_class),
        stock_place=stock_place,
    )
