"""The refused who try again and again: what a business has seen to work is what its accounts come to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from membergate.domain.disposition import Disposition
from membergate.market.simulator.adversary import ACTIONS, CHANGES, DISGUISES, Action, Disguise, Evasion
from membergate.market.simulator.door import ANSWERS, Door, door_that_answers
from membergate.market.simulator.population import Population
from membergate.market.simulator.reapplying import attempt_of
from membergate.market.simulator.scenario import Scenario, scenario_for
from membergate.market.simulator.trying import Tried, choose_disguises
from membergate.market.simulator.world import World, live_through

pytestmark = pytest.mark.xdist_group("simulator")

WORKS = tuple(place for place, disguise in enumerate(DISGUISES) if Action.PAYMENTS in CHANGES[disguise])
ADMIT, DENY = ANSWERS.index(Disposition.ADMIT), ANSWERS.index(Disposition.DENY)


def refuses_known_cards(scenario: Scenario, population: Population) -> Door:
    """Refuse whoever trades, but for those who came back with another card."""
    is_known = population.is_reseller_life & ~np.isin(population.disguise, WORKS)
    answer = np.where(np.isfinite(population.applied), np.where(is_known, DENY, ADMIT), -1)
    return door_that_answers(answer, population, scenario)


@pytest.fixture(scope="module")
def trying() -> World:
    """Give a world of large rings whose accounts come back up to four times, and learn from the outcome alone."""
    scenario = replace(
        scenario_for("tiny", seed=5, accounts=900),
        shares=(("M2", 0.3), ("M1", 0.05)),
        ring_size=30.0,
        evasion=Evasion(reapplies=True, attempts=4, reason_detail=0.0),
    )
    return live_through(scenario, lambda _step: None, lambda population: refuses_known_cards(scenario, population))


def test_businesses_come_to_do_what_works(trying: World) -> None:
    """At first nobody changes more than the account; with every attempt a larger share does what gets in."""
    population, attempt = trying.population, attempt_of(trying.population)
    used = np.isfinite(population.applied)
    shares = [np.isin(population.disguise[used & (attempt == k)], WORKS).mean() for k in range(1, 5)]
    assert shares[0] == 0
    assert 0.2 < shares[1] < shares[3]
    assert shares[3] > 0.5


def test_who_got_in_does_not_come_back(trying: World) -> None:
    """An account is followed by another only where it was refused, one to three weeks later."""
    population, attempt = trying.population, attempt_of(trying.population)
    door = refuses_known_cards(trying.scenario, population)
    followed = 0
    for origin in np.unique(population.origin[attempt > 0]):
        chain = np.flatnonzero(population.origin == origin)
        chain = chain[np.isfinite(population.applied[chain])]
        assert attempt[chain].tolist() == list(range(len(chain)))
        assert not door.holds[chain[:-1]].any()
        gaps = np.diff(population.applied[chain])
        assert ((gaps >= 7) & (gaps <= 21)).all()
        followed += len(chain) > 2
    assert followed > 20


def test_every_change_is_paid_for(trying: World) -> None:
    """The truth lists an account for everyone who came back, and each step of a disguise at its price."""
    population, steps = trying.population, trying.steps
    used = np.isfinite(population.applied) & (attempt_of(population) > 0)
    assert (steps.action == ACTIONS.index(Action.NEW_ACCOUNT)).sum() == used.sum()
    paid = steps.action == ACTIONS.index(Action.PAYMENTS)
    assert paid.sum() == np.isin(population.disguise[used], WORKS).sum() > 0
    assert set(steps.cost_minor[paid].tolist()) == {trying.scenario.evasion.payment_minor}


def disguises(worth: float, tried: Tried, when: float = 100.0) -> NDArray[np.int64]:
    """Let 1,000 accounts of business 7 choose."""
    rng, count = np.random.default_rng(0), 1_000
    costs = np.tile(np.array([1.0, 5.0, 5.0, 5.0, 9.0]), (count, 1))
    who = np.full(count, 7)
    return choose_disguises(rng, who, np.full(count, when), tried, np.full(count, worth), costs)


def test_only_what_was_seen_by_then_counts() -> None:
    """A business draws on its own experience and no other's, and on nothing that comes later."""
    payment = DISGUISES.index(Disguise.PAYMENT)
    seen = Tried(
        np.repeat([7, 8], 200), np.r_[np.full(100, payment), np.zeros(100, dtype=np.int64), np.full(200, 1)],
        np.full(400, 50.0), np.r_[np.ones(100, dtype=bool), np.zeros(100, dtype=bool), np.ones(200, dtype=bool)],
    )  # fmt: skip
    assert seen.count(np.array([7, 8, 9]), np.full(3, 99.0), disguise=payment, got_in=True).tolist() == [100, 0, 0]
    assert seen.count(np.array([7]), np.array([50.0]), disguise=payment, got_in=True).tolist() == [0]
    informed, too_early = disguises(100.0, seen), disguises(100.0, seen, when=40.0)
    assert (informed == payment).mean() > 0.7
    assert (informed == 0).mean() == 0
    assert (too_early == payment).mean() < 0.3


def test_who_has_nothing_to_gain_gives_up() -> None:
    """Where getting in is worth less than an account costs, nobody comes back."""
    assert (disguises(0.5, Tried.nothing()) == -1).all()
