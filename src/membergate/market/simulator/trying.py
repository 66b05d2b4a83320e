"""What the refused try next: each business keeps what got its accounts in, and leaves what did not (a bandit).

A business sees the answers to its own accounts only. It draws how likely each disguise is to get an account in from
what it has seen by then (Thompson 1933, with a uniform prior), and takes the one that promises most for its money, or
gives up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.market.simulator.adversary import CHANGES, DISGUISES, Action, Disguise, Evasion
from membergate.market.simulator.streams import Bools, Floats, Ints

_DAYS_A_MONTH = 30.0
_LONGER_THAN_ANY = 1e6


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried, one row an application of somebody who came back, shape (n,) each.

    Parameters
    ----------
    business
        Who tried it.
    disguise
        Index into DISGUISES.
    applied
        When, in local days.
    got_in
        Whether the door let it in.
    """

    business: Ints
    disguise: Ints
    applied: Floats
    got_in: Bools

    @classmethod
    def nothing(cls) -> Tried:
        """Give no experience."""
        none = np.zeros(0, dtype=np.int64)
        return cls(none, none, np.zeros(0), np.zeros(0, dtype=bool))

    def and_more(self, others: Tried) -> Tried:
        """Put two experiences together."""
        return Tried(
            np.concatenate([self.business, others.business]),
            np.concatenate([self.disguise, others.disguise]),
            np.concatenate([self.applied, others.applied]),
            np.concatenate([self.got_in, others.got_in]),
        )

    def count(self, business: Ints, until: Floats, *, disguise: int, got_in: bool) -> Ints:
        """Count for each pair of a business and an instant how often it had got in, or not, with a disguise by then."""
        mine = (self.disguise == disguise) & (self.got_in == got_in)
        order = np.sort(self.business[mine] * _LONGER_THAN_ANY + self.applied[mine])
        first = np.searchsorted(order, business * _LONGER_THAN_ANY - _LONGER_THAN_ANY / 2)
        counted: Ints = np.searchsorted(order, business * _LONGER_THAN_ANY + until) - first
        return counted


def step_costs(evasion: Evasion, orders: Floats) -> dict[Action, Floats]:
    """Price the steps that a disguise is made of for one account each, in minor units, shape (n,)."""
    months = evasion.horizon_days / _DAYS_A_MONTH
    return {
        Action.DEVICES: np.full(len(orders), float(evasion.device_minor)),
        Action.PROXIES: np.full(len(orders), evasion.proxy_minor_per_month * months),
        Action.PAYMENTS: np.full(len(orders), float(evasion.payment_minor)),
        Action.ADDRESS_NOISE: orders * evasion.address_noise_minor,
    }


def disguise_costs(priced: dict[Action, Floats]) -> Floats:
    """Add up what each disguise costs, shape (n, disguises)."""
    nothing = np.zeros(len(next(iter(priced.values()))))
    return np.column_stack([sum((priced[step] for step in CHANGES[d]), start=nothing) for d in DISGUISES])


def choose_disguises(
    rng: np.random.Generator, business: Ints, when: Floats, tried: Tried, worth: Floats, costs: Floats
) -> Ints:
    """Draw for everyone the disguise that promises most for its money; -1 for those who give up.

    Parameters
    ----------
    business, when
        Who chooses, and when, shape (n,).
    tried
        All experience; each business counts its own, as far as it has it by then.
    worth
        What getting in is worth, in minor units, shape (n,).
    costs
        Cost of the account and each disguise, shape (n, disguises).
    """
    chances = np.column_stack([
        rng.beta(
            1 + tried.count(business, when, disguise=place, got_in=True),
            1 + tried.count(business, when, disguise=place, got_in=False),
        )
        for place in range(len(DISGUISES))
    ])  # fmt: skip
    gains = chances * worth[:, None] - costs
    best = np.argmax(gains, axis=1)
    return np.where(gains[np.arange(len(best)), best] > 0, best, -1)


NOTHING, EVERYTHING = DISGUISES.index(Disguise.NOTHING), DISGUISES.index(Disguise.EVERYTHING)
