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


@dataclass(frozen=True, slots=True)
class World:
    """All that happened, and the truth about it; see each part's own page."""

    scenario: Scenario
    calendar: Calendar
    catalogue: Catalogue
    population: Population
    places: Places
    belongings: Belongings
    ledger: Ledger
    deliveries: Deliveries
    units: UnitTruth
    truth: OperatorTruth
    returns: Returns
    reviews: Reviews
    cases: Cases
    selling: Selling
    labels: Judgements


def live_through(scenario: Scenario, progress: Progress) -> World:
    """Let a scenario happen.

    Parameters
    ----------
    scenario
        What the market looks like.
    progress
        Told of each step.
    """
    progress("people and goods")
    calendar = calendar_of(scenario)
    catalogue = catalogue_of(scenario)
    population = populate(scenario, calendar)
    book = PlaceBook(scenario)
    belongings = equip(population, scenario, book)
    progress("private life")
    visits = visits_of_private_life(population, scenario, calendar)
    baskets = baskets_of_private_life(visits, population, scenario, catalogue, calendar)
    progress("buying for resale")
    purchases = purchases_for_resale(population, scenario, catalogue, calendar)
    ledger = keep_ledger((visits, baskets), purchases, population, scenario, catalogue, calendar)
    progress("deliveries and what became of the goods")
    deliveries = deliver(ledger, population, belongings, scenario, book)
    units = follow_units(ledger, deliveries, population, scenario)
    truth = judge(units, ledger, population, scenario)
    return World(
        scenario=scenario,
        calendar=calendar,
        catalogue=catalogue,
        population=population,
        places=book.close(),
        belongings=belongings,
        ledger=ledger,
        deliveries=deliveries,
        units=units,
        truth=truth,
        returns=returns_of(ledger, deliveries, units, population, scenario),
        reviews=reviews_of(ledger, deliveries, population, scenario),
        cases=cases_of(ledger, population, scenario),
        selling=selling_of(ledger, units, population, scenario, catalogue),
        labels=label(population, ledger, units, truth, scenario),
    )
