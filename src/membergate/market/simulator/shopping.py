"""Private life: when people shop, what they put in the basket, and how a full pantry keeps them away afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import nbinom

from membergate.market.simulator.archetypes import ARCHETYPES, GENUINE
from membergate.market.simulator.calendar import (
    AFTER,
    BURST,
    HOUR_NAMES,
    ORDINARY,
    WARM_UP,
    Calendar,
    is_weekend,
    rush,
    time_of_day,
)
from membergate.market.simulator.catalogue import Catalogue, taste_cumulative
from membergate.market.simulator.drift import rate_factors
from membergate.market.simulator.population import Population
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import Bools, Floats, Ints, happens, stream

_PANTRY_DAYS_PER_ORDER = 7.0
_PANTRY_FULL_DAYS = 10.0
MEMBER_LIFT = 1.15
"""How much more often a member orders."""
_WEEKEND_FACTORS = {"business": 0.25, "evening": 1.25, "daily": 1.15, "night": 1.1, "any": 1.0}
_HABIT_SHARE = 0.45
_MOST_CATEGORIES = max(archetype.categories for archetype in GENUINE)
_STORAGE_UNITS = 240


@dataclass(frozen=True, slots=True)
class Visits:
    """Orders before anything is in them: who and when, in local days; shape (n,) each.

    Parameters
    ----------
    account
        Who orders.
    time
        When.
    at_opening
        Whether the order was placed right at a promotion's opening.
    """

    account: Ints
    time: Floats
    at_opening: Bools


@dataclass(frozen=True, slots=True)
class Picks:
    """Lines before they have a price; shape (n,) each.

    Parameters
    ----------
    order
        Position of the line's order.
    sku, quantity
        What, and how many.
    """

    order: Ints
    sku: Ints
    quantity: Ints


def visits_of_private_life(population: Population, scenario: Scenario, calendar: Calendar) -> Visits:
    """Walk through the days and let everyone who runs low, or is drawn by a promotion, place orders.

    The pantry is filled by what is bought in a burst and empties a day at a time; the fuller it is, the closer the rate
    comes to the archetype's rate after a promotion. So the dip follows from having bought.
    """
    rng = stream(scenario.chance, "private visits")
    lifts = np.array([a.lift for a in ARCHETYPES])[population.life]
    festival_lift = np.array([a.festival_lift for a in ARCHETYPES])[population.life]
    weekend = np.array([_WEEKEND_FACTORS[a.hours] for a in ARCHETYPES])[population.life]
    pantry_days = np.zeros(len(population))
    accounts, days = [], []
    for day in range(scenario.days):
        rate = population.orders_per_day * ((population.shops_from < day + 1) & (population.shops_until > day))
        rate = rate * np.where(population.applied < day, MEMBER_LIFT, 1.0)
        rate = rate * rate_factors(scenario, population.archetype, day)
        if is_weekend(day):
            rate = rate * weekend
        if calendar.is_festive[day]:
            rate = rate * festival_lift
        phase = calendar.phase[day]
        if phase in {WARM_UP, BURST}:
            rate = rate * lifts[:, phase - 1] ** calendar.strength[day]
        elif phase in {ORDINARY, AFTER}:
            rate = rate * lifts[:, 2] ** np.minimum(1.0, pantry_days / _PANTRY_FULL_DAYS)
        orders = rng.poisson(rate)
        pantry_days = np.maximum(pantry_days - 1, 0)
        if phase == BURST:
            pantry_days = np.minimum(pantry_days + _PANTRY_DAYS_PER_ORDER * orders, 2 * _PANTRY_FULL_DAYS)
        who = np.repeat(np.arange(len(population)), orders)
        accounts.append(who)
        days.append(np.full(len(who), day))
    account = np.concatenate(accounts)
    return _timed(rng, population, calendar, account, np.concatenate(days))


def _timed(rng: np.random.Generator, population: Population, calendar: Calendar, account: Ints, day: Ints) -> Visits:
    """Give each visit its time of day; those who wait for an opening come within seconds or minutes of it."""
    life = population.life[account]
    hours = np.array([HOUR_NAMES.index(a.hours) for a in ARCHETYPES])[life]
    time = day + time_of_day(rng, hours)
    opening = calendar.opens_at[day]
    is_opening_day = np.isfinite(opening)
    drop_share = np.array([a.drop_share for a in ARCHETYPES])[life]
    at_opening = is_opening_day & (rng.random(len(day)) < drop_share)
    time = np.where(at_opening, opening + rush(rng, len(day)), time)
    # on the day of an opening most wait for it
    waits = is_opening_day & ~at_opening & (time < opening) & happens(rng, 0.6, len(day))
    remaining = np.where(is_opening_day, day + 1.0 - opening, 0.0)
    time = np.where(waits, opening + remaining * rng.beta(1.0, 1.5, len(day)) * 0.999, time)
    too_early = time < population.registered[account]
    return Visits(account[~too_early], time[~too_early], at_opening[~too_early])


def baskets_of_private_life(
    visits: Visits, population: Population, scenario: Scenario, catalogue: Catalogue, calendar: Calendar
) -> Picks:
    """Fill the baskets from each account's own categories and habits, drawn aside by deals."""
    rng = stream(scenario.chance, "private baskets")
    shelves, cumulative, habit = _habits(population, scenario, catalogue)
    life = population.life[visits.account]
    basket = np.array([a.basket for a in ARCHETYPES])[life]
    lines = 1 + rng.poisson(basket - 1)
    order = np.repeat(np.arange(len(visits.account)), lines)
    account = visits.account[order]
    place = np.zeros(len(order), dtype=np.int64)
    draw = rng.random(len(order))
    for step in range(_MOST_CATEGORIES - 1):
        place += draw > cumulative[account, step]
    promotion = burning(calendar, scenario, visits.time)[order]
    sku = _tempted(
        rng, catalogue, shelves[account, place], habit[account, place], promotion, population.thrift[account]
    )
    sku, place_of_line = _once_a_basket(order, sku)
    order = order[place_of_line]
    quantity = _quantities(rng, population, catalogue, visits.account[order], sku, promotion[place_of_line])
    return Picks(order, sku, quantity)


def burning(calendar: Calendar, scenario: Scenario, time: Floats) -> Ints:
    """Give the promotion that burns at each instant, -1 where none does, shape as `time`."""
    day = np.minimum(time.astype(np.int64), scenario.days - 1)
    starts = np.array([sale.start_day for sale in scenario.promotions])
    ends = np.array([sale.start_day + sale.days for sale in scenario.promotions])
    number = calendar.promotion[day]
    burns = (number >= 0) & (time >= starts[number]) & (time < ends[number])
    return np.where(burns, number, -1)


def _habits(population: Population, scenario: Scenario, catalogue: Catalogue) -> tuple[Ints, Floats, Ints]:
    """Draw each account's shelves, how it divides its baskets over them, and its habitual SKU on each."""
    rng = stream(scenario.chance, "habits")
    count = len(population)
    shelves = np.zeros((count, _MOST_CATEGORIES), dtype=np.int64)
    weights = np.zeros((count, _MOST_CATEGORIES))
    for index, archetype in enumerate(ARCHETYPES[: len(GENUINE)]):
        accounts = np.flatnonzero(population.life == index)
        running = taste_cumulative(catalogue, dict(archetype.taste), by_resale=False)
        popularity = np.diff(np.r_[0, running])
        # Gumbel noise on log weights draws without replacement
        keys = np.log(popularity) + rng.gumbel(size=(len(accounts), len(popularity)))
        shelves[accounts] = np.argsort(-keys, axis=1)[:, :_MOST_CATEGORIES]
        breadth = np.clip(rng.poisson(archetype.categories, len(accounts)), 1, _MOST_CATEGORIES)
        share = rng.gamma(0.9, 1.0, (len(accounts), _MOST_CATEGORIES)) + 1e-9
        weights[accounts] = share * (np.arange(_MOST_CATEGORIES) < breadth[:, None])
    cumulative = np.cumsum(weights, axis=1)
    cumulative /= cumulative[:, -1:]
    habit = catalogue.on_shelf(shelves.ravel(), rng.random(shelves.size)).reshape(shelves.shape)
    return shelves, cumulative, habit


def _tempted(
    rng: np.random.Generator, catalogue: Catalogue, shelf: Ints, habit: Ints, promotion: Ints, pull: Floats
) -> Ints:
    """Take the habitual SKU or another from the shelf; up to three times a deeper discount may win."""
    sku = np.where(rng.random(len(shelf)) < _HABIT_SHARE, habit, catalogue.on_shelf(shelf, rng.random(len(shelf))))
    for strength in (1.0, 0.9, 0.7):
        rival = catalogue.on_shelf(shelf, rng.random(len(shelf)))
        is_deeper = catalogue.deal_discount[rival, promotion] > catalogue.deal_discount[sku, promotion]
        sku = np.where(is_deeper & (rng.random(len(shelf)) < pull * strength), rival, sku)
    return sku


def _once_a_basket(order: Ints, sku: Ints) -> tuple[Ints, Ints]:
    """Keep one line for each SKU of an order; gives the SKUs and the positions kept, in order."""
    _, kept = np.unique(order * (int(sku.max(initial=0)) + 1) + sku, return_index=True)
    kept = np.sort(kept)
    return sku[kept], kept


def _quantities(
    rng: np.random.Generator, population: Population, catalogue: Catalogue, account: Ints, sku: Ints, promotion: Ints
) -> Ints:
    """Draw 1 + negative binomial, more of staples and of deals, at most what the home stores and the shop allows."""
    quantity = np.ones(len(sku), dtype=np.int64)
    factor = population.appetite[account] * catalogue.shelf_staple[catalogue.shelf[sku]]
    factor = factor * (1 + 1.2 * catalogue.deal_discount[sku, promotion])
    life = population.life[account]
    for index, archetype in enumerate(ARCHETYPES[: len(GENUINE)]):
        rows = np.flatnonzero(life == index)
        shape = dispersion(archetype.units, archetype.units_q99)
        mean = np.maximum((archetype.units - 1) * factor[rows], 1e-6)
        quantity[rows] += rng.poisson(rng.gamma(shape, mean / shape))
    limit = catalogue.limit_quantity[sku]
    return np.minimum(quantity, np.where(limit > 0, limit, _STORAGE_UNITS))


def dispersion(mean: float, q99: float) -> float:
    """Find the shape of the negative binomial on top of 1 unit whose mean and 99th percentile come closest.

    Parameters
    ----------
    mean, q99
        Of the units in a line, both above 1.

    Returns
    -------
    float
        Shape of the Gamma mixture, in [0.05, 50]; smaller is more uneven.
    """
    excess = mean - 1
    shapes = np.geomspace(0.05, 50, 60)
    quantiles = 1 + nbinom.ppf(0.99, shapes, shapes / (shapes + excess))
    return float(shapes[np.argmin(np.abs(quantiles - q99))])
