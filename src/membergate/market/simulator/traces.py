"""Traces: sign-ins, page events and coupons, of which a shop keeps what its scenario says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.market.simulator.archetypes import ARCHETYPES
from membergate.market.simulator.belongings import MOBILE, OF_REGION, Belongings, numbered
from membergate.market.simulator.calendar import SECOND
from membergate.market.simulator.fulfilment import Deliveries
from membergate.market.simulator.ordering import Ledger
from membergate.market.simulator.places import REGIONS
from membergate.market.simulator.population import Population
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import NOWHERE, Bools, Floats, Ints, chosen, happens, stream

EVENT_NAMES = ("search", "list_view", "product_view", "add_to_cart", "checkout", "favourite", "review_read")
SEARCH, LIST_VIEW, PRODUCT_VIEW, ADD_TO_CART, CHECKOUT, FAVOURITE, REVIEW_READ = range(7)
ISSUED, CLAIMED, USED, EXPIRED = range(4)
ACTION_NAMES = ("issued", "claimed", "used", "expired")

_LOGIN_SHARE = 0.5
_IDLE_LOGINS_PER_ORDER = 0.25
_TRAVEL_SHARE = 0.015
_EMULATOR_SHARE = 0.006
_MOST_EVENTS = 40
_UNUSED_PER_USED = 0.5
_TEMPLATE_DAYS = 7


@dataclass(frozen=True, slots=True)
class Logins:
    """Sign-ins, shape (n,): who, when, device, network and its class, emulator flag, region."""

    account: Ints
    time: Floats
    device: Ints
    network: Ints
    network_class: Ints
    emulator: Bools
    region: Ints


@dataclass(frozen=True, slots=True)
class PageEvents:
    """Page events of the kept sessions, shape (n,): who, when, kind, session (the order's position), SKU, dwell."""

    account: Ints
    time: Floats
    kind: Ints
    session: Ints
    sku: Ints
    dwell_ms: Ints


@dataclass(frozen=True, slots=True)
class CouponEvents:
    """Steps in the lives of coupons, shape (n,): coupon, template, account, action, value, when."""

    coupon: Ints
    template: Ints
    account: Ints
    action: Ints
    value_minor: Ints
    time: Floats


def logins_of(
    ledger: Ledger, deliveries: Deliveries, population: Population, belongings: Belongings, scenario: Scenario
) -> Logins:
    """Sign in before some orders with what the order is placed with, and at other times with what lies at hand."""
    rng = stream(scenario.chance, "logins")
    ordering = np.flatnonzero(rng.random(len(ledger.account)) < _LOGIN_SHARE)
    idle = np.flatnonzero(rng.random(len(ledger.account)) < _IDLE_LOGINS_PER_ORDER)
    account = ledger.account[np.r_[ordering, idle]]
    is_idle = np.arange(len(account)) >= len(ordering)
    time = ledger.time[np.r_[ordering, idle]] - np.where(
        is_idle, rng.uniform(0.2, 9.0, len(account)), rng.exponential(0.006, len(account))
    )
    device = np.where(is_idle, belongings.device[account], deliveries.device[np.r_[ordering, idle]])
    network = np.where(is_idle, belongings.network[account], deliveries.network[np.r_[ordering, idle]])
    network_class = np.where(
        is_idle, belongings.network_class[account], deliveries.network_class[np.r_[ordering, idle]]
    )
    travels = rng.random(len(account)) < _TRAVEL_SHARE
    region = np.where(travels, rng.integers(0, len(REGIONS), len(account)), belongings.region[account])
    network = np.where(travels & (network_class <= MOBILE), numbered(OF_REGION, 100_000 + region), network)
    automation = np.array([a.resale.automation if a.resale else 0.0 for a in ARCHETYPES])[population.archetype]
    emulated = rng.random(len(population)) < np.maximum(_EMULATOR_SHARE, 0.4 * automation)
    is_there = (time > population.registered[account]) & (time > 0)
    emulated |= belongings.is_emulated
    emulator = emulated[account] & happens(rng, 0.7, len(account))
    return chosen(Logins(account, time, device, network, network_class, emulator, region), is_there)


def page_events_of(ledger: Ledger, population: Population, scenario: Scenario) -> PageEvents:
    """Walk through the pages of the sessions that are kept: search, look, read, fill the cart, pay."""
    rng = stream(scenario.chance, "page events")
    session = np.flatnonzero(rng.random(len(ledger.account)) < scenario.session_share)
    account = ledger.account[session]
    kind_of_life = np.where(ledger.is_for_resale[session], population.archetype[account], population.life[account])
    automation = np.array([a.resale.automation if a.resale else 0.0 for a in ARCHETYPES])[kind_of_life]
    is_script = ledger.is_for_resale[session] & (rng.random(len(session)) < automation)
    views = rng.poisson(rng.gamma(1.5, np.array([a.views for a in ARCHETYPES])[kind_of_life] / 1.5))
    views = np.where(is_script, np.minimum(views, 1), views)
    browses = ~is_script & (rng.random(len(session)) < np.where(ledger.is_for_resale[session], 0.5, 0.7))
    counts = {
        SEARCH: browses.astype(np.int64),
        LIST_VIEW: np.where(browses, rng.poisson(1.2, len(session)), 0),
        PRODUCT_VIEW: views,
        REVIEW_READ: rng.binomial(views, 0.18),
        FAVOURITE: rng.binomial(views, 0.05),
        ADD_TO_CART: np.ones(len(session), dtype=np.int64),
        CHECKOUT: np.ones(len(session), dtype=np.int64),
    }
    who = np.concatenate([np.repeat(np.arange(len(session)), np.minimum(n, _MOST_EVENTS)) for n in counts.values()])
    kind = np.concatenate([np.full(int(np.minimum(n, _MOST_EVENTS).sum()), name) for name, n in counts.items()])
    stage = np.array([0.0, 0.2, 0.5, 0.9, 1.0, 0.6, 0.6])[kind] + np.where(
        kind < ADD_TO_CART, rng.random(len(kind)) * 0.35, 0
    )
    in_order = np.lexsort((stage, who))
    who, kind = who[in_order], kind[in_order]
    pace = np.where(is_script[who], 1.5 * SECOND, 28 * SECOND)
    dwell = rng.gamma(1.3, pace / 1.3) + 0.2 * SECOND
    elapsed = np.cumsum(dwell)
    last = np.flatnonzero(np.r_[who[1:] != who[:-1], True]) if len(who) else np.zeros(0, dtype=np.int64)
    # every session ends in its order, so time is counted back from there
    time = (
        ledger.time[session[who]] - (np.repeat(elapsed[last], np.bincount(who)[np.unique(who)]) - elapsed) - 2 * SECOND
    )
    first_line = np.searchsorted(ledger.order, session[who])
    looked_at = ledger.sku[first_line]
    sku = np.where((kind == PRODUCT_VIEW) & happens(rng, 0.6, len(kind)), _other_sku(rng, ledger, len(kind)), looked_at)
    sku = np.where(kind <= LIST_VIEW, NOWHERE, sku)
    is_there = (time > population.registered[account[who]]) & (time > 0)
    dwell_ms = np.rint(dwell / SECOND * 1000).astype(np.int64)
    return chosen(PageEvents(account[who], time, kind, session[who], sku, dwell_ms), is_there)


def _other_sku(rng: np.random.Generator, ledger: Ledger, count: int) -> Ints:
    """Let people look at what others buy."""
    return ledger.sku[rng.integers(0, len(ledger.sku), count)]


def coupon_events_of(ledger: Ledger, population: Population, scenario: Scenario) -> CouponEvents:
    """Issue, claim and use the coupons of the orders that have one, and let others expire."""
    rng = stream(scenario.chance, "coupon events")
    saved = np.bincount(
        ledger.order, weights=ledger.quantity * ledger.prices.coupon_discount_minor, minlength=len(ledger.account)
    ).astype(np.int64)
    used = np.flatnonzero(saved > 0)
    wait = rng.exponential(2.0, len(used))
    is_quick = population.is_reseller_life[ledger.account[used]] & ledger.is_for_resale[used]
    lag = np.where(is_quick, rng.exponential(0.4, len(used)), rng.exponential(1.0, len(used)))
    unused = ledger.account[used[rng.random(len(used)) < _UNUSED_PER_USED]]
    unused_from = rng.uniform(0, scenario.days - 20, len(unused))
    claims = happens(rng, 0.4, len(unused))
    value = rng.choice([300, 500, 1000, 2000, 3000], len(unused))
    used_at, spare = ledger.time[used], len(used) + np.arange(len(unused))
    claimed_at = used_at - wait
    templates = (np.r_[claimed_at - lag, unused_from].clip(0) // _TEMPLATE_DAYS).astype(np.int64)
    own_use, own_spare = templates[: len(used)], templates[len(used) :]
    account = ledger.account[used]
    of_used = np.arange(len(used))
    events = CouponEvents(
        coupon=np.r_[of_used, of_used, of_used, spare, spare[claims], spare],
        template=np.r_[own_use, own_use, own_use, own_spare, own_spare[claims], own_spare],
        account=np.r_[account, account, account, unused, unused[claims], unused],
        action=np.repeat(
            [ISSUED, CLAIMED, USED, ISSUED, CLAIMED, EXPIRED],
            [len(used), len(used), len(used), len(spare), int(claims.sum()), len(spare)],
        ),
        value_minor=np.r_[saved[used], saved[used], saved[used], value, value[claims], value],
        time=np.r_[claimed_at - lag, claimed_at, used_at, unused_from, unused_from[claims] + 0.5, unused_from + 15],
    )
    return chosen(events, (events.time > population.registered[events.account]) & (events.time > 0))
