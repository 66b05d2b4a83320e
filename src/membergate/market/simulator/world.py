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
from membergate.market.simulator.belongings import Belongings
from membergate.market.simulator.calendar import Calendar, calendar_of
from membergate.market.simulator.catalogue import Catalogue, catalogue_of
from membergate.market.simulator.consequences import Trade, bought_behind, what_happened
from membergate.market.simulator.door import Door, Doorkeeper, open_door
from membergate.market.simulator.evading import Steps
from membergate.market.simulator.fulfilment import Deliveries, deliver
from membergate.market.simulator.intentions import Intentions, intend
from membergate.market.simulator.ordering import Ledger, keep_ledger
from membergate.market.simulator.places import PlaceBook, Places
from membergate.market.simulator.population import Population
from membergate.market.simulator.reviewing import Judgements, label
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.truth import OperatorTruth, UnitTruth, follow_units, judge

Progress = Callable[[str], None]
"""Told what is being done, in a few words."""


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
    steps: Steps


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
    book = PlaceBook(scenario)
    wants = intend(scenario, calendar, catalogue, doorkeeper, book)
    population, belongings, door = wants.population, wants.belongings, wants.door
    progress("what everyone wants")
    intended = _intended(wants, scenario, catalogue, calendar, book)
    truth = judge(intended.units, intended.ledger, population, scenario)
    happened = intended
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
        steps=wants.steps,
    )


def _intended(
    wants: Intentions, scenario: Scenario, catalogue: Catalogue, calendar: Calendar, book: PlaceBook
) -> Trade:
    """Let everyone live and trade as though the door stood open."""
    population = wants.population
    ledger = keep_ledger(wants.private, wants.purchases, population, scenario, catalogue, calendar)
    deliveries = deliver(ledger, population, wants.belongings, scenario, book)
    return Trade(ledger, deliveries, follow_units(ledger, deliveries, population, scenario))
