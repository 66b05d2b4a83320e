"""What accounts own and share: homes, recipients, devices, payment instruments and networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.market.simulator.archetypes import ARCHETYPE_INDEX, ARCHETYPES, MERCHANT_HABITS, Grouping
from membergate.market.simulator.places import KIND_INDEX, REGIONS, PlaceBook, shared_places
from membergate.market.simulator.population import HUB, LEAF, Population
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import NOWHERE, Bools, Floats, Ints, happens, pick, running_number, stream

RESIDENTIAL, MOBILE, DATACENTRE, PROXY, CAMPUS = range(5)
NETWORK_NAMES = ("residential", "mobile", "datacentre", "proxy", "campus")

_SPACE_BITS = 40
_DORM_RESIDENTS = (20, 200)
_PICKUP_RESIDENTS = (50, 800)
_FORWARDER_CLIENTS = (15, 60)
_LOCKER_SHARE = 0.12
_LOCKER_USERS = (20, 120)
_TOWER_SHARE = 0.10
_TOWER_WORKERS = (20, 150)
_HOUSEHOLD_DEVICE_SHARE = 0.3
_HOUSEHOLD_PAYMENT_SHARE = 0.35
_SECOND_DEVICE_SHARE = 0.4
_ACCOUNTS_PER_RENTER = 3
PROXIES = 300
_DATACENTRES = 60


def numbered(space: int, number: Ints) -> Ints:
    """Give things of one space (own, household, ring, …) indices that no other space uses.

    Parameters
    ----------
    space
        A small number for the kind of owner.
    number
        Which of them, at least 0 and below 2**40, shape (n,).
    """
    return (np.int64(space) << _SPACE_BITS) + number


OWN, OF_HOUSEHOLD, OF_BUSINESS, OF_PLACE, OF_STRANGER, OF_REGION, OF_RELATIVE, OF_EVASION = range(8)


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where the private parcels of each account go besides home; lists laid end to end.

    Parameters
    ----------
    start, length
        Where each account's list begins and how long it is, shape (accounts,).
    place, recipient
        The lists, shape (sum of lengths,).
    """

    start: Ints
    length: Ints
    place: Ints
    recipient: Ints


@dataclass(frozen=True, slots=True)
class Belongings:
    """What each account uses; indices of things, shape (accounts,) unless noted.

    Parameters
    ----------
    home, region
        Habitual delivery place and its region.
    others
        Further private destinations.
    device, second_device
        The devices at hand; `second_device` is NOWHERE for many.
    payment, network, network_class
        Habitual payment instrument and network.
    stock_place, stock_recipient
        Where goods for resale go.
    work_device, work_payment, work_network, work_network_class
        What resale orders are placed with.
    business
        Ring, renter, or the operator itself.
    is_collected, collector
        Whether someone else regularly collects the account's parcels, and who.
    is_emulated
        Whether its device is a rented phone in a data centre.
    is_forwarded
        Whether its goods go on from a place of its own, and so neither converge nor are collected.
    """

    home: Ints
    region: Ints
    others: Destinations
    device: Ints
    second_device: Ints
    payment: Ints
    network: Ints
    network_class: Ints
    stock_place: Ints
    stock_recipient: Ints
    work_device: Ints
    work_payment: Ints
    work_network: Ints
    work_network_class: Ints
    business: Ints
    is_collected: Bools
    collector: Ints
    is_emulated: Bools
    is_forwarded: Bools


def equip(population: Population, scenario: Scenario, book: PlaceBook) -> Belongings:
    """Give every account its home, recipients, devices, payments and networks."""
    rng = stream(scenario.chance, "belongings")
    home = _homes(rng, population, book)
    region = book.region_of(home)
    business = businesses_of(population)
    device, second = _devices(rng, population)
    payment = np.where(
        rng.random(len(population)) < _HOUSEHOLD_PAYMENT_SHARE,
        numbered(OF_HOUSEHOLD, population.household),
        numbered(OWN, np.arange(len(population))),
    )
    network, network_class = _networks(rng, population, home)
    stock_place, stock_recipient = _stock(rng, population, book, home, region, business)
    work_device, work_payment = _work_tools(rng, population, business, device, payment)
    work_network, work_class = _work_networks(rng, population, business, network, network_class)
    is_pickup = population.life == ARCHETYPE_INDEX["G7"]
    is_leaf = population.archetype == ARCHETYPE_INDEX["M3"]
    return Belongings(
        home=home,
        region=region,
        others=_other_destinations(rng, population, book, home, region),
        device=device,
        second_device=second,
        payment=payment,
        network=network,
        network_class=network_class,
        stock_place=stock_place,
        stock_recipient=stock_recipient,
        work_device=work_device,
        work_payment=work_payment,
        work_network=work_network,
        work_network_class=work_class,
        business=business,
        is_collected=(is_pickup & happens(rng, 0.6, len(population))) | is_leaf,
        collector=np.where(is_leaf, numbered(OF_BUSINESS, business), numbered(OF_PLACE, home)),
        is_emulated=np.zeros(len(population), dtype=bool),
        is_forwarded=np.zeros(len(population), dtype=bool),
    )


def _homes(rng: np.random.Generator, population: Population, book: PlaceBook) -> Ints:
    """Settle households in homes of their own, and those who share a roof or a counter in shared places."""
    count = len(population)
    weights = np.cumsum(np.linspace(2.0, 0.4, len(REGIONS)))
    region_of_household = pick(weights, rng.random(count))
    region = region_of_household[population.household]
    homes = book.found(region_of_household, np.full(count, KIND_INDEX["home"]), rng=rng)
    home = homes[population.household]
    kind_of_life = np.array([archetype.home_kind for archetype in ARCHETYPES])[population.life]
    # an office stands by itself, and so is founded in place of a home
    offices = np.flatnonzero(kind_of_life == "office")
    home[offices] = book.found(region[offices], np.full(len(offices), KIND_INDEX["office"]), rng=rng)
    for kind, residents in (
        ("dorm", _DORM_RESIDENTS), ("pickup", _PICKUP_RESIDENTS), ("forwarder", _FORWARDER_CLIENTS),
    ):  # fmt: skip
        lodgers = np.flatnonzero(kind_of_life == kind)
        if len(lodgers):
            home[lodgers] = shared_places(book, rng, region[lodgers], kind, residents)
    at_home = np.flatnonzero((kind_of_life == "home") & (rng.random(count) < _LOCKER_SHARE))
    if len(at_home):
        home[at_home] = shared_places(book, rng, region[at_home], "locker", _LOCKER_USERS)
    return home


def businesses_of(population: Population) -> Ints:
    """Give one number to what acts as one business: a ring, a renter with a few rented accounts, else the operator."""
    count = len(population)
    business = population.operator.copy()
    grouped = population.ring >= 0
    business[grouped] = count + population.cell[grouped]
    rented = population.of_archetype("M8")
    business[rented] = 2 * count + np.arange(len(rented)) // _ACCOUNTS_PER_RENTER
    return business


def _devices(rng: np.random.Generator, population: Population) -> tuple[Ints, Ints]:
    count = len(population)
    account = np.arange(count)
    device = numbered(OWN, 2 * population.operator)
    is_family_tablet = rng.random(count) < _HOUSEHOLD_DEVICE_SHARE
    has_second = rng.random(count) < _SECOND_DEVICE_SHARE
    second = np.where(is_family_tablet, numbered(OF_HOUSEHOLD, population.household), numbered(OWN, 2 * account + 1))
    # accounts of a ring each begin with a device of their own; sharing is a matter of carelessness
    device = np.where(population.ring >= 0, numbered(OWN, 2 * account), device)
    return device, np.where(has_second | is_family_tablet, second, NOWHERE)


def _networks(rng: np.random.Generator, population: Population, home: Ints) -> tuple[Ints, Ints]:
    kind_of_life = np.array([archetype.home_kind for archetype in ARCHETYPES])[population.life]
    shares_network = np.isin(kind_of_life, ["dorm", "office"])
    network = np.where(shares_network, numbered(OF_PLACE, home), numbered(OF_HOUSEHOLD, population.household))
    network_class = np.where(kind_of_life == "dorm", CAMPUS, RESIDENTIAL)
    uses_proxy = happens(rng, 0.02, len(population))
    proxy = numbered(OF_STRANGER, rng.integers(0, PROXIES, len(population)))
    return np.where(uses_proxy, proxy, network), np.where(uses_proxy, PROXY, network_class)


def _other_destinations(
    rng: np.random.Generator, population: Population, book: PlaceBook, home: Ints, region: Ints
) -> Destinations:
    """Draw each account's further recipients: relatives and friends in homes of their own, and one's place of work."""
    count = len(population)
    least = np.array([archetype.others[0] for archetype in ARCHETYPES])[population.life]
    most = np.array([archetype.others[1] for archetype in ARCHETYPES])[population.life]
    length = rng.integers(least, most + 1)
    owner = np.repeat(np.arange(count), length)
    position = running_number(owner)
    is_near = happens(rng, 0.5, len(owner))
    place_region = np.where(is_near, region[owner], rng.integers(0, len(REGIONS), len(owner)))
    place = book.found(place_region, np.full(len(owner), KIND_INDEX["home"]), rng=rng)
    recipient = numbered(OF_RELATIVE, owner * 64 + position)
    # those who buy for relatives abroad name different recipients at one forwarder
    is_abroad = population.life[owner] == ARCHETYPE_INDEX["G9"]
    place = np.where(is_abroad, home[owner], place)
    works = (position == 0) & (rng.random(len(owner)) < _TOWER_SHARE) & ~is_abroad
    if works.any():
        place[works] = shared_places(book, rng, region[owner[works]], "office", _TOWER_WORKERS)
        recipient[works] = numbered(OWN, owner[works])
    return Destinations(np.r_[0, np.cumsum(length)[:-1]], length, place, recipient)


def _stock(
    rng: np.random.Generator, population: Population, book: PlaceBook, home: Ints, region: Ints, business: Ints
) -> tuple[Ints, Ints]:
    """Choose where goods for resale go: a place of the business, which a ring's accounts write in their own words."""
    place, recipient = home.copy(), numbered(OWN, np.arange(len(population)))
    for code, resale in MERCHANT_HABITS:
        accounts = population.of_archetype(code)
        if len(accounts) == 0:
            continue
        _, first, business_of = np.unique(business[accounts], return_index=True, return_inverse=True)
        names = list(resale.place_kinds)
        kinds = pick(np.cumsum(list(resale.place_kinds.values())), rng.random(len(first)))
        kind = np.array([KIND_INDEX[name] for name in names])[kinds]
        founded = book.found(region[accounts[first]], kind, rng=rng)
        if resale.grouping is Grouping.SINGLE:
            # a single merchant who stocks at home is already there
            founded = np.where(kind == KIND_INDEX["home"], home[accounts[first]], founded)
        uses_stock = rng.random(len(accounts)) < _stock_use(resale.grouping, population, accounts)
        entry = founded[business_of]
        is_altered = (population.role[accounts] == LEAF) & happens(rng, 0.65, len(accounts))
        entry[is_altered] = book.rename(entry[is_altered], rng=rng)
        place[accounts] = np.where(uses_stock, entry, home[accounts])
        names_business = uses_stock & happens(rng, 0.4 * population.carelessness[accounts], len(accounts))
        recipient[accounts] = np.where(names_business, numbered(OF_BUSINESS, business[accounts]), recipient[accounts])
    return place, recipient


def _stock_use(grouping: Grouping, population: Population, accounts: Ints) -> Floats:
    """Probability that an account's goods go straight to the stock place: the hired mostly order to their own homes."""
    if grouping is Grouping.SINGLE:
        return np.ones(len(accounts))
    if grouping is Grouping.CROWD_BUY:
        return np.where(population.role[accounts] == HUB, 1.0, 0.12)
    return 0.35 + 0.6 * population.carelessness[accounts]


def _work_tools(
    rng: np.random.Generator, population: Population, business: Ints, device: Ints, payment: Ints
) -> tuple[Ints, Ints]:
    """Devices and payments of resale orders: the careless share a pool, the careful and the hired use their own."""
    count = len(population)
    careless = population.carelessness
    is_pooled = (population.archetype == ARCHETYPE_INDEX["M2"]) | (population.archetype == ARCHETYPE_INDEX["M8"])
    pool = (rng.random(count) * (1 + 5 * (1 - careless))).astype(np.int64)
    shares_device = is_pooled & happens(rng, 0.2 + 0.65 * careless, count)
    is_rented = population.archetype == ARCHETYPE_INDEX["M8"]
    renters_own = numbered(OF_BUSINESS, business * 64 + 32 + np.arange(count) % 16)
    work_device = np.where(is_rented, renters_own, device)
    work_device = np.where(shares_device, numbered(OF_BUSINESS, business * 64 + pool), work_device)
    shares_payment = is_pooled & happens(rng, 0.15 + 0.6 * careless, count)
    work_payment = np.where(shares_payment, numbered(OF_BUSINESS, business * 64 + pool // 2), payment)
    return work_device, work_payment


def _work_networks(
    rng: np.random.Generator, population: Population, business: Ints, network: Ints, network_class: Ints
) -> tuple[Ints, Ints]:
    """Networks of resale orders: a ring's own line, a proxy for the careful, a data centre for scripts."""
    count = len(population)
    automation = np.array([a.resale.automation if a.resale else 0.0 for a in ARCHETYPES])[population.archetype]
    is_pooled = population.archetype == ARCHETYPE_INDEX["M2"]
    draw: Floats = rng.random(count)
    in_datacentre = draw < 0.35 * automation
    behind_proxy = ~in_datacentre & (draw < 0.35 * automation + 0.25 * is_pooled * (1 - population.carelessness))
    on_shared_line = (
        ~in_datacentre & ~behind_proxy & is_pooled & happens(rng, 0.15 + 0.7 * population.carelessness, count)
    )
    proxies = numbered(OF_STRANGER, rng.integers(0, PROXIES, count))
    datacentres = numbered(OF_STRANGER, PROXIES + rng.integers(0, _DATACENTRES, count))
    work = np.where(on_shared_line, numbered(OF_BUSINESS, business), network)
    work = np.where(behind_proxy, proxies, np.where(in_datacentre, datacentres, work))
    work_class = np.where(behind_proxy, PROXY, np.where(in_datacentre, DATACENTRE, network_class))
    return work, work_class
