"""The door: what each applicant was answered, and from when on, and up to how much, the member price is theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from membergate.domain.disposition import LADDERS, Checkpoint, Disposition
from membergate.market.simulator.archetypes import ARCHETYPES
from membergate.market.simulator.calendar import NEVER
from membergate.market.simulator.population import Population
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import Bools, Floats, Ints, stream

ANSWERS: tuple[Disposition, ...] = LADDERS[Checkpoint.ADMISSION]
"""What the door may answer; `Door.answer` points into it."""

UNLIMITED = np.iinfo(np.int64).max
"""No cap."""
_MOST_UNITS: Mapping[Disposition, int] = {Disposition.ADMIT_CAPPED: 10, Disposition.TRIAL: 5}
"""Units of one SKU in 30 days for which a limited member has the member price."""
_STEP_UP_DAYS, _REVIEW_DAYS = (0.05, 2.0), (3.0, 10.0)
_PASSES_STEP_UP = {True: 0.35, False: 0.92}
"""By whether the applicant buys for resale: papers, a call and a deposit put off more merchants than members."""
_REVIEWER_SENSITIVITY = 0.8


@dataclass(frozen=True, slots=True)
class Door:
    """The answers, shape (accounts,) each.

    Parameters
    ----------
    answer
        Index into ANSWERS; -1 for those who never applied.
    member_from
        When membership begins, in local days; NEVER for those whom the answer does not make members.
    most_units
        Units of one SKU in 30 days that a member may buy at the member price.
    """

    answer: Ints
    member_from: Floats
    most_units: Ints

    def is_member_at(self, account: Ints, moment: Floats) -> Bools:
        """Say for each pair whether the account has the member price at that moment."""
        is_member: Bools = moment >= self.member_from[account]
        return is_member

    @property
    def holds(self) -> Bools:
        """Who is, or becomes, a member."""
        return self.member_from < NEVER

    def is_answered(self, *dispositions: Disposition) -> Bools:
        """Mark those who were given one of these answers."""
        return np.isin(self.answer, [ANSWERS.index(disposition) for disposition in dispositions])


Doorkeeper = Callable[[Population], Door]
"""Answers the applicants of a population."""


def open_door(population: Population) -> Door:
    """Admit everyone at once, in full."""
    everyone = np.where(population.applied < NEVER, ANSWERS.index(Disposition.ADMIT), -1)
    return Door(everyone, population.applied, np.full(len(population), UNLIMITED))


def door_that_answers(answer: Ints, population: Population, scenario: Scenario) -> Door:
    """Give each applicant its answer, with what follows from it: a wait, a check that some fail, a limit.

    Parameters
    ----------
    answer
        Index into ANSWERS, -1 for those who never applied, shape (accounts,).
    population, scenario
        Whom it concerns. Whether someone passes a check, and how long it takes, is the same draw at every door.
    """
    rng = stream(scenario.chance, "door")
    draw, wait = rng.random(len(population)), rng.random(len(population))
    specificity = np.array([archetype.reviewer_specificity for archetype in ARCHETYPES])[population.archetype]
    trades = population.is_reseller_life
    passes = {
        Disposition.STEP_UP: draw < np.where(trades, _PASSES_STEP_UP[True], _PASSES_STEP_UP[False]),
        Disposition.REVIEW: draw < np.where(trades, 1 - _REVIEWER_SENSITIVITY, specificity),
        Disposition.BUSINESS_LANE: np.zeros(len(population), dtype=bool),
        Disposition.DENY: np.zeros(len(population), dtype=bool),
    }
    days = {Disposition.STEP_UP: _STEP_UP_DAYS, Disposition.REVIEW: _REVIEW_DAYS}
    member_from, most_units = population.applied.copy(), np.full(len(population), UNLIMITED)
    for number, disposition in enumerate(ANSWERS):
        asked = answer == number
        if disposition in days:
            low, high = days[disposition]
            member_from[asked] += low + (high - low) * wait[asked]
        if disposition in passes:
            member_from[asked & ~passes[disposition]] = NEVER
        most_units[asked] = _MOST_UNITS.get(disposition, UNLIMITED)
    return Door(answer, np.where(answer >= 0, member_from, NEVER), most_units)
