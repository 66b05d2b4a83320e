"""One simulated world, before it is written down: everything that happened, in arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from membergate.market.simulator.aftermath import (
    Cases,
    Returns,
    Reviews,
    Selling,
    cases_of,
    returns_of,
    reviews_of,
    selling_of,
)
from membergate.market.simulator.belongings import Belongings, equip
from membergate.market.simulator.calendar import Calendar, calendar_of
from membergate.market.simulator.catalogue import Catalogue, catalogue_of
from membergate.market.simulator.consequences import Trade, bought_behind, what_happened
from membergate.market.simulator.door import Door, open_door
from membergate.market.simulator.fulfilment import Deliveries, deliver
from membergate.market.simulator.ordering import Ledger, keep_ledger
from membergate.market.simulator.places import PlaceBook, Places
from membergate.market.simulator.population import Population, populate
from membergate.market.simulator.resale import purchases_for_resale
from membergate.market.simulator.reviewing import Judgements, label
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.shopping import baskets_of_private_life, visits_of_private_life
from membergate.market.simulator.truth import OperatorTruth, UnitTruth, follow_units, judge

Progress = Callable[[str], None]
"""Told what is being done, in a few words."""
Doorkeeper = Callable[[Population], Door]
"""Answers the applicants of a population."""


@dataclass(frozen=True, slots=True)
class World:
    """All that happened, and the truth about it; see each part's own page.

    `intended` is what everyone would have bought with the door open, and what would have become of it; `ledger`,
    `deliveries` and `units` are what took place. With the door open they are the same.
    """

    scenario: Scenario
    calendar: Calendar
    catalogue: Catalogue
    population: Population
    places: Places
    belongings: Belongings
    door: Door
    intended: Trade
    ledger: Ledger
    deliveries: Deliveries
    units: UnitTruth
    truth: OperatorTruth
    returns: Returns
    reviews: Reviews
    cases: Cases
    selling: Selling
    labels: Judgements


def live_through(scenario: Scenario, progress: Progress, doorkeeper: Doorkeeper = open_door) -> World:
    """Let a scenario happen.

    Parameters
    ----------
    scenario
        What the market looks like.
    progress
        Told of each step.
    doorkeeper
        Answers the applicants.
    """
    progress("people and goods")
    calendar = calendar_of(scenario)
    catalogue = catalogue_of(scenario)
    population = populate(scenario, calendar)
    book = PlaceBook(scenario)
    belongings = equip(population, scenario, book)
    progress("what everyone wants")
    intended = _intentions(population, belongings, scenario, catalogue, calendar, book)
    truth = judge(intended.units, intended.ledger, population, scenario)
    door, happened = doorkeeper(population), intended
    if doorkeeper is not open_door:
        progress("what the door's answers change")
        bought = bought_behind(door, intended.ledger, population, scenario, catalogue)
        happened = what_happened(bought, intended, catalogue)
    ledger, deliveries, units = happened.ledger, happened.deliveries, happened.units
    progress("what came after")
    return World(
        scenario=scenario,
        calendar=calendar,
        catalogue=catalogue,
        population=population,
        places=book.close(),
        belongings=belongings,
        door=door,
        intended=intended,
        ledger=ledger,
        deliveries=deliveries,
        units=units,
        truth=truth,
        returns=returns_of(ledger, deliveries, units, population, scenario),
        reviews=reviews_of(ledger, deliveries, population, scenario),
        cases=cases_of(ledger, population, scenario),
        selling=selling_of(ledger, units, population, scenario, catalogue),
        labels=label(population, door, ledger, units, truth, scenario),
    )


def _intentions(
    population: Population,
    belongings: Belongings,
    scenario: Scenario,
    catalogue: Catalogue,
    calendar: Calendar,
    book: PlaceBook,
) -> Trade:
    """Let everyone live and trade as though the door stood open."""
    visits = visits_of_private_life(population, scenario, calendar)
    baskets = baskets_of_private_life(visits, population, scenario, catalogue, calendar)
    purchases = purchases_for_resale(population, scenario, catalogue, calendar)
    ledger = keep_ledger((visits, baskets), purchases, population, scenario, catalogue, calendar)
    deliveries = deliver(ledger, population, belongings, scenario, book)
    return Trade(ledger, deliveries, follow_units(ledger, deliveries, population, scenario))
