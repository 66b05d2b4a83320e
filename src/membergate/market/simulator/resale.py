"""Buying in order to resell: when, through which accounts, which goods, and how many until the margin is gone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.market.simulator.archetypes import MERCHANTS, Archetype, Grouping, Resale
from membergate.market.simulator.calendar import AFTER_DAYS, HOUR_NAMES, MINUTE, Calendar, is_sunday, rush, time_of_day
from membergate.market.simulator.catalogue import Catalogue, price, random_shelves, taste_cumulative
from membergate.market.simulator.drift import fading_from
from membergate.market.simulator.population import Population
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.shopping import Picks, Visits, burning, dispersion
from membergate.market.simulator.streams import Bools, Floats, Ints, happens, running_number, stream

_PARTICIPATION = {Grouping.SINGLE: 1.0, Grouping.ONE_OPERATOR: 0.7, Grouping.CROWD_BUY: 0.4}
_CANDIDATES = 14
_HANDLING_SHARE = 0.02
_HANDLING_MINOR = 60
_BELIEF_NOISE = 0.12
_LISTING_NOISE = 0.30
_TO_THE_LIMIT_SHARE = 0.45
_STORAGE_UNITS = 600


@dataclass(frozen=True, slots=True)
class Purchases:
    """What merchants buy for resale: visits, lines, and what they expect of each line.

    Parameters
    ----------
    visits, picks
        Orders and their lines.
    resale_price_minor
        What a unit of the line will fetch, in minor units, shape (lines,).
    """

    visits: Visits
    picks: Picks
    resale_price_minor: Ints


@dataclass(frozen=True, slots=True)
class _Tasks:
    """Buying plans of businesses: which business, when, whether it waits for an opening, and its shopping list."""

    business: Ints
    time: Floats
    at_opening: Bools


def purchases_for_resale(
    population: Population, scenario: Scenario, catalogue: Catalogue, calendar: Calendar
) -> Purchases:
    """Let every merchant archetype buy, and put their orders one after the other."""
    parts = [
        _of_archetype(merchant, merchant.resale, population, scenario, catalogue, calendar)
        for merchant in MERCHANTS
        if merchant.resale is not None and len(population.of_archetype(merchant.code))
    ]
    offsets = np.cumsum([0, *(len(part.visits.account) for part in parts)])
    return Purchases(
        Visits(
            np.concatenate([part.visits.account for part in parts]),
            np.concatenate([part.visits.time for part in parts]),
            np.concatenate([part.visits.at_opening for part in parts]),
        ),
        Picks(
            np.concatenate([part.picks.order + offset for part, offset in zip(parts, offsets[:-1], strict=True)]),
            np.concatenate([part.picks.sku for part in parts]),
            np.concatenate([part.picks.quantity for part in parts]),
        ),
        np.concatenate([part.resale_price_minor for part in parts]),
    )


def _of_archetype(
    merchant: Archetype,
    resale: Resale,
    population: Population,
    scenario: Scenario,
    catalogue: Catalogue,
    calendar: Calendar,
) -> Purchases:
    """Plan the tasks of each business, hand them to accounts, and buy while there is a margin."""
    rng = stream(scenario.chance, "resale", merchant.code)
    accounts = population.of_archetype(merchant.code)
    grouped = resale.grouping is not Grouping.SINGLE
    business_of = population.cell[accounts] if grouped else accounts
    _, business_of = np.unique(business_of, return_inverse=True)
    begins = np.full(int(business_of.max()) + 1, np.inf)
    np.minimum.at(begins, business_of, population.resells_from[accounts])
    tasks = _plan(rng, resale, begins, scenario)
    goods = _shopping_list(rng, merchant, resale, catalogue, len(begins))
    worker, task = _hand_out(rng, resale, business_of, tasks)
    account = accounts[worker]
    jitter = np.where(
        happens(rng, 0.6, len(task)), rng.exponential(12 * MINUTE, len(task)), rng.random(len(task)) * 0.4
    )
    time = tasks.time[task] + np.where(grouped & ~tasks.at_opening[task], jitter, 0.0)
    time = time + np.where(grouped & tasks.at_opening[task], rng.exponential(1.5 * MINUTE, len(task)), 0.0)
    time, is_there = _patiently(stream(scenario.chance, "patience", merchant.code), population, account, time)
    works = is_there & (time > population.resells_from[account]) & (time > population.registered[account])
    works &= (time < scenario.days) & (time < population.shops_until[account])
    works &= time < fading_from(scenario, population.archetype[account])
    at_opening = tasks.at_opening[task[works]] & (population.patience_days[account[works]] == 0)
    visits = Visits(account[works], time[works], at_opening)
    return _buy(rng, merchant, resale, population, scenario, catalogue, calendar, visits, goods, tasks, task[works])


def _patiently(rng: np.random.Generator, population: Population, account: Ints, time: Floats) -> tuple[Floats, Bools]:
    """Put off the orders of those who took to buying days apart, and leave out what lost coordination costs."""
    later = population.patience_days[account] * rng.random(len(account))
    return time + later, rng.random(len(account)) < population.effort[account]


def _plan(rng: np.random.Generator, resale: Resale, begins: Floats, scenario: Scenario) -> _Tasks:
    """Draw each business's buying days: a rhythm of its own, extra ones for promotions."""
    count = len(begins)
    per_day = resale.orders_per_month / 30.4 / _PARTICIPATION[resale.grouping] * rng.gamma(3.0, 1 / 3.0, count)
    most = int(per_day.max() * scenario.days * 1.6) + 12
    gaps = rng.gamma(resale.regularity, 1 / resale.regularity, (count, most)) / np.maximum(per_day, 1e-3)[:, None]
    starts = np.maximum(begins, 0.0)
    time = starts[:, None] + np.cumsum(gaps, axis=1) - gaps[:, :1] * rng.random((count, 1))
    business = np.repeat(np.arange(count), most)
    day = np.floor(time.ravel())
    is_kept = (day < scenario.days) & (rng.random(len(day)) < _aftermath(resale, scenario, day))
    business, day = business[is_kept], day[is_kept]
    hours = np.full(len(day), HOUR_NAMES.index(resale.hours))
    regular = day + time_of_day(rng, hours)
    if resale.hours == "business":  # shops rest on Sundays
        regular = regular + is_sunday(day)
    extra = [_plan_for(rng, resale, scenario, number, begins, per_day) for number in range(len(scenario.promotions))]
    return _Tasks(
        np.concatenate([business, *(tasks.business for tasks in extra)]),
        np.concatenate([regular, *(tasks.time for tasks in extra)]),
        np.concatenate([np.zeros(len(day), dtype=bool), *(tasks.at_opening for tasks in extra)]),
    )


def _aftermath(resale: Resale, scenario: Scenario, day: Floats) -> Floats:
    """Share of the ordinary buying days that is kept in the fortnight after a promotion."""
    kept = np.ones(len(day))
    for sale in scenario.promotions:
        ends = np.ceil(sale.start_day + sale.days)
        kept[(day >= ends) & (day < ends + AFTER_DAYS)] = min(1.0, resale.lift[2])
    return kept


def _plan_for(
    rng: np.random.Generator, resale: Resale, scenario: Scenario, number: int, begins: Floats, per_day: Floats
) -> _Tasks:
    """Draw the extra tasks that a promotion brings: some in the warm-up, most in the burst, many at the opening."""
    sale = scenario.promotions[number]
    warm_up, burst, after = (factor**sale.strength for factor in resale.lift)
    end = sale.start_day + sale.days
    parts = []
    for rate, start, length in (
        (warm_up - 1, sale.start_day - sale.warm_up_days, sale.warm_up_days),
        (burst - 1, sale.start_day, sale.days),
        (after - 1, end, float(AFTER_DAYS)),
    ):
        tasks = rng.poisson(per_day * max(rate, 0.0) * length * (begins < start + length))
        business = np.repeat(np.arange(len(begins)), tasks)
        is_burst = start == sale.start_day
        at_opening = is_burst & (rng.random(len(business)) < resale.drop_share)
        automated = rng.random(len(business)) < resale.automation
        whenever = start + length * rng.random(len(business))
        parts.append(
            (
                business,
                np.where(at_opening, start + rush(rng, len(business), automated=automated), whenever),
                at_opening,
            )
        )
    return _Tasks(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _shopping_list(
    rng: np.random.Generator, merchant: Archetype, resale: Resale, catalogue: Catalogue, businesses: int
) -> Ints:
    """Draw the goods that each business trades in, shape (businesses, candidates): what promises most."""
    running = taste_cumulative(catalogue, dict(merchant.taste), by_resale=merchant.code != "M5")
    shelves = random_shelves(running, rng, (businesses, resale.categories))
    of_candidate = shelves[:, rng.integers(0, resale.categories, 4 * _CANDIDATES)]
    sku = catalogue.on_shelf(of_candidate.ravel(), rng.random(of_candidate.size)).reshape(of_candidate.shape)
    appeal = catalogue.market_price_minor[sku] / catalogue.list_price_minor[sku] - 1 + catalogue.everyday_discount[sku]
    order = np.argsort(-(appeal + rng.gumbel(size=sku.shape) * _LISTING_NOISE), axis=1)[:, :_CANDIDATES]
    return np.take_along_axis(sku, order, axis=1)


def _hand_out(rng: np.random.Generator, resale: Resale, business_of: Ints, tasks: _Tasks) -> tuple[Ints, Ints]:
    """Give each task to some of its business's accounts; gives positions of workers and of tasks, one row an order."""
    by_business = np.argsort(business_of, kind="stable")
    size = np.bincount(business_of)
    first = np.r_[0, np.cumsum(size)[:-1]]
    repeats = size[tasks.business]
    task = np.repeat(np.arange(len(tasks.time)), repeats)
    worker = by_business[first[tasks.business[task]] + running_number(task)]
    takes_part = rng.random(len(task)) < _PARTICIPATION[resale.grouping]
    return worker[takes_part], task[takes_part]


def _buy(
    rng: np.random.Generator,
    merchant: Archetype,
    resale: Resale,
    population: Population,
    scenario: Scenario,
    catalogue: Catalogue,
    calendar: Calendar,
    visits: Visits,
    goods: Ints,
    tasks: _Tasks,
    task: Ints,
) -> Purchases:
    """Choose the goods of each task by believed margin, and buy until the resale market or a limit ends it."""
    promotion = burning(calendar, scenario, visits.time)
    is_member = population.is_member_at(visits.account, visits.time)
    coupon = np.full(len(task), expected_coupon_share(merchant))
    candidates = goods[tasks.business[task]]
    taken = _by_margin(rng, resale, catalogue, candidates, promotion, is_member, coupon, task)
    order, sku = np.nonzero(taken)[0], candidates[taken]
    prices = price(catalogue, sku, promotion[order], is_member[order], coupon[order])
    market = catalogue.market_price_minor[sku]
    margin = market - prices.net_price_minor - handling_minor(market)
    worthwhile = margin > 0
    order, sku, market, margin = order[worthwhile], sku[worthwhile], market[worthwhile], margin[worthwhile]
    account = visits.account[order]
    ramp = np.ones(len(order))
    if resale.ramp_days:
        ramp = np.clip((visits.time[order] - population.applied[account]) / resale.ramp_days, 0.35, 1.0)
    wanted = _wanted(rng, resale, population.appetite[account] * ramp)
    # price falls by half of its height over `resale_depth` units, so the margin is gone after this many
    until_no_margin = 2 * catalogue.resale_depth[sku] * margin / market
    limit = np.where(catalogue.limit_quantity[sku] > 0, catalogue.limit_quantity[sku], _STORAGE_UNITS)
    wanted = np.where((limit < _STORAGE_UNITS) & happens(rng, _TO_THE_LIMIT_SHARE, len(order)), limit, wanted)
    quantity = np.maximum(1, np.minimum(np.minimum(wanted, limit), until_no_margin)).astype(np.int64)
    resale_price = np.rint(market * (1 - 0.5 * quantity / catalogue.resale_depth[sku]).clip(0.3)).astype(np.int64)
    kept, order = np.unique(order, return_inverse=True)
    return Purchases(
        Visits(visits.account[kept], visits.time[kept], visits.at_opening[kept]),
        Picks(order, sku, quantity),
        resale_price,
    )


def _by_margin(
    rng: np.random.Generator,
    resale: Resale,
    catalogue: Catalogue,
    candidates: Ints,
    promotion: Ints,
    is_member: Bools,
    coupon: Floats,
    task: Ints,
) -> Bools:
    """Mark the best believed bargains of each order; all accounts of one task share the list, and so its noise."""
    orders, width = candidates.shape
    flat = np.repeat(np.arange(orders), width)
    prices = price(catalogue, candidates.ravel(), promotion[flat], is_member[flat], coupon[flat])
    market = catalogue.market_price_minor[candidates.ravel()]
    margin = ((market - prices.net_price_minor - handling_minor(market)) / market).reshape(orders, width)
    tasks = int(task.max(initial=0)) + 1
    noise = rng.gumbel(size=(tasks, width)) * _BELIEF_NOISE
    lines = (1 + rng.poisson(resale.lines - 1, tasks))[task] if resale.lines > 1 else np.ones(orders, dtype=np.int64)
    ranked = np.argsort(-(margin + noise[task]), axis=1)
    taken = np.zeros((orders, width), dtype=bool)
    np.put_along_axis(taken, ranked, np.arange(width) < lines[:, None], axis=1)
    # a business may list a SKU twice; it is bought once an order
    same = np.sort(candidates, axis=1)
    if (same[:, 1:] == same[:, :-1]).any():
        for place in range(1, width):
            taken[:, place] &= ~((candidates[:, :place] == candidates[:, [place]]) & taken[:, :place]).any(axis=1)
    return taken


def handling_minor(market_price_minor: Ints) -> Floats:
    """Give what selling a unit on costs, in minor units: fees in its price's proportion, packing and freight."""
    return np.float64(_HANDLING_SHARE) * market_price_minor + _HANDLING_MINOR


def _wanted(rng: np.random.Generator, resale: Resale, factor: Floats) -> Ints:
    shape = dispersion(resale.units, resale.units_q99)
    mean = np.maximum((resale.units - 1) * factor, 1e-6)
    return 1 + rng.poisson(rng.gamma(shape, mean / shape)).astype(np.int64)


def expected_coupon_share(archetype: Archetype) -> float:
    """Give the share of a price that a coupon takes off for someone of this kind, on average over orders with one."""
    return 0.04 + 0.09 * archetype.coupon
