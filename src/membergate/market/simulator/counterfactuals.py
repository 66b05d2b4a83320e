"""What would have happened: for every applicant and every answer, the benefit taken, the value brought, the loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from membergate.domain.disposition import Disposition
from membergate.market.simulator.catalogue import price
from membergate.market.simulator.consequences import bought_behind, scaled
from membergate.market.simulator.door import ANSWERS, door_that_answers
from membergate.market.simulator.ordering import Ledger
from membergate.market.simulator.reapplying import attempt_of
from membergate.market.simulator.streams import Floats, Ints
from membergate.market.simulator.truth import RESOLD
from membergate.market.simulator.world import World

OUTCOME_DAYS = 90.0
"""Outcomes are counted for so many days from the application on."""
CONTRIBUTION_SHARE = 0.10
"""Share of what genuine units cost that the shop keeps. A design prior."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What one answer to everyone would have brought, shape (accounts,) each, over the days from application on.

    Parameters
    ----------
    answer
        The answer.
    benefit_minor
        Member and coupon discounts taken on what was bought as a member.
    genuine_value_minor
        What the shop keeps of what was paid for units that were not resold.
    loss_minor
        The part of the benefit that was taken on resold units.
    resold_units
        How many were resold.
    """

    answer: Disposition
    benefit_minor: Ints
    genuine_value_minor: Ints
    loss_minor: Ints
    resold_units: Ints


def outcomes_of(world: World) -> Iterator[Outcomes]:
    """Give the outcomes of each answer, one answer after the other.

    An account's outcome depends on its own answer only, so one answer to everyone tells for each applicant what that
    answer would have brought while everyone else's stays what it was. Of those who came back under another account,
    every application is told by what its account wanted from then on, as though they had not come back once more.
    """
    attempt = attempt_of(world.population)
    told = [_outcomes(world, _as_of_attempt(world, attempt, k)) for k in range(int(attempt.max(initial=0)) + 1)]
    for outcomes in zip(*told, strict=True):
        names = ("benefit_minor", "genuine_value_minor", "loss_minor", "resold_units")
        merged = {n: np.choose(attempt, [getattr(of_attempt, n) for of_attempt in outcomes]) for n in names}
        yield replace(outcomes[0], **merged)


def _as_of_attempt(world: World, attempt: Ints, k: int) -> Ledger:
    """Give the ledger as though nobody had come back more than k times."""
    population, ledger = world.population, world.intended.ledger
    account = np.arange(len(population))
    stayed = np.where(attempt <= k, account, population.origin)
    if k:
        rows = np.flatnonzero(attempt == k)
        of_origin = account.copy()
        of_origin[population.origin[rows]] = rows
        stayed = np.where(attempt <= k, account, of_origin[population.origin])
    return replace(ledger, account=stayed[ledger.account])


def _outcomes(world: World, ledger: Ledger) -> Iterator[Outcomes]:
    """Give the outcomes of each answer, if the orders were those of a ledger."""
    population = world.population
    since = ledger.time - population.applied[ledger.account]
    counts = ((since >= 0) & (since < OUTCOME_DAYS) & ~world.intended.deliveries.is_cancelled)[ledger.order]
    for number, disposition in enumerate(ANSWERS):
        answer = np.where(np.isfinite(population.applied), number, -1)
        door = door_that_answers(answer, population, world.scenario)
        bought = bought_behind(door, ledger, population, world.scenario, world.catalogue)
        quantity = np.where(counts, bought.quantity, 0)
        units = scaled(world.intended.units, ledger.quantity, quantity)
        is_sold = units.use == RESOLD
        sold = np.bincount(units.line[is_sold], weights=units.quantity[is_sold], minlength=len(quantity))
        is_member = bought.is_member[ledger.order]
        prices = price(
            world.catalogue,
            ledger.sku,
            ledger.promotion[ledger.order],
            is_member,
            ledger.coupon_share[ledger.order],
        )
        each = np.where(is_member, prices.member_discount_minor + prices.coupon_discount_minor, 0)

        def summed(minor: Floats | Ints) -> Ints:
            who = ledger.account[ledger.order]
            return np.rint(np.bincount(who, weights=minor, minlength=len(population))).astype(np.int64)

        yield Outcomes(
            disposition,
            summed(each * quantity),
            summed(CONTRIBUTION_SHARE * prices.net_price_minor * (quantity - sold)),
            summed(each * sold),
            summed(sold),
        )
