"""What everyone means to do: private lives, resale, the steps against being told apart, and coming back."""

from __future__ import annotations

from dataclasses import dataclass

from membergate.market.simulator.belongings import Belongings, equip
from membergate.market.simulator.calendar import Calendar
from membergate.market.simulator.catalogue import Catalogue
from membergate.market.simulator.concealing import concealed_accounts, concealed_belongings
from membergate.market.simulator.door import Door, Doorkeeper
from membergate.market.simulator.evading import Campaign, Steps, choose, stakes_of
from membergate.market.simulator.places import PlaceBook
from membergate.market.simulator.population import Population, populate
from membergate.market.simulator.reapplying import come_back, moved, taken_over, with_spares
from membergate.market.simulator.resale import Purchases, purchases_for_resale
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.shopping import Picks, Visits, baskets_of_private_life, visits_of_private_life


@dataclass(frozen=True, slots=True)
class Intentions:
    """Who is there, what they were answered, and what they want to buy.

    Parameters
    ----------
    population, door
        Everyone, with the accounts of those who came back, and all answers.
    private, purchases
        Private orders, and orders to resell.
    belongings
        What everyone uses.
    steps
        What merchants did against being told apart.
    """

    population: Population
    door: Door
    private: tuple[Visits, Picks]
    purchases: Purchases
    belongings: Belongings
    steps: Steps


def intend(
    scenario: Scenario, calendar: Calendar, catalogue: Catalogue, doorkeeper: Doorkeeper, book: PlaceBook
) -> Intentions:
    """Draw everyone and what they want, as though the door stood open, but for those whom its answers bring back."""
    population = populate(scenario, calendar)
    campaign, steps = None, Steps.none()
    evasion = scenario.evasion
    if evasion.budget_share > 0 or evasion.poses_share > 0 or evasion.reapplies:
        campaign = _plan(population, scenario, catalogue, calendar)
        population, steps = concealed_accounts(population, campaign, scenario), campaign.steps
    visits = visits_of_private_life(population, scenario, calendar)
    private = visits, baskets_of_private_life(visits, population, scenario, catalogue, calendar)
    purchases = purchases_for_resale(population, scenario, catalogue, calendar)
    if campaign is not None and evasion.reapplies:
        population = with_spares(population, evasion.attempts)
        population, more = come_back(population, doorkeeper, campaign, scenario)
        purchases, steps = moved(purchases, population), steps.and_more(more)
    belongings = equip(population, scenario, book)
    if campaign is not None:
        belongings = taken_over(belongings, population, scenario, book)
        belongings = concealed_belongings(belongings, population, campaign, scenario, book)
    return Intentions(population, doorkeeper(population), private, purchases, belongings, steps)


def _plan(population: Population, scenario: Scenario, catalogue: Catalogue, calendar: Calendar) -> Campaign:
    """Weigh what is at stake for every business, and choose its steps."""
    expected = purchases_for_resale(population, scenario, catalogue, calendar)
    return choose(population, stakes_of(population, expected, scenario, catalogue, calendar), scenario)
