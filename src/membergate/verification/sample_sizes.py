"""How many labels a certificate takes: told before anybody waits for them.

The counts for independent accounts follow from the binomial distribution, those for operators from the betting test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from membergate.domain.errors import BadInputError
from membergate.verification.bootstrap import Floats
from membergate.verification.certificate import Terms, needed_clean_operators, needed_operators_at

POWER = 0.8
_MOST_LEAKS = 20_000


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """What it takes to certify, beside what there is.

    Parameters
    ----------
    alpha, delta, operator_cap
        The terms; alpha is the bound that labels are held against.
    clean_accounts
        Labelled admitted accounts without a leak, were accounts independent.
    accounts_at_half, accounts_at_most
        Accounts for a power of 80 %, were they independent, at a true leakage of half and four fifths of the bound.
    clean_operators, operators_at_half
        Operators that the betting test takes without a leak, and about as many at half the bound.
    operators
        Operators in the sample now.
    operators_a_day
        How many a day the sample has grown by; 0 where that cannot be told.
    days_to_wait
        Days until the clean operators are there at that pace; None where nothing grows, 0 where they are there.
    """

    alpha: float
    delta: float
    operator_cap: int
    clean_accounts: int
    accounts_at_half: int
    accounts_at_most: int
    clean_operators: int
    operators_at_half: int
    operators: int = 0
    operators_a_day: float = 0.0
    days_to_wait: float | None = None

    @property
    def line(self) -> str:
        """One sentence for a reader in a hurry."""
        wait = ""
        if self.days_to_wait is not None:
            wait = "; they are there" if self.days_to_wait <= 0 else f"; about {self.days_to_wait:,.0f} days of reviews"
        return (
            f"to certify {100 * self.alpha:g}% at {100 * (1 - self.delta):g}% with at most {self.operator_cap} "
            f"accounts an operator takes {self.clean_operators:,} labelled operators without any leak, about "
            f"{self.operators_at_half:,} at half the bound{wait}"
        )


def clean_accounts(alpha: float, delta: float) -> int:
    """Count the independent accounts without a leak after which a binomial test certifies: ln delta / ln(1 - alpha).

    With alpha 2 % and delta 5 % it is 149.
    """
    return int(np.ceil(np.log(delta) / np.log1p(-alpha)))


def accounts_for_power(leakage: float, alpha: float, delta: float, power: float = POWER) -> int:
    """Count the independent accounts with which an exact binomial test certifies with a given probability.

    Parameters
    ----------
    leakage
        The true leakage, in [0, alpha).
    alpha, delta
        The bound, and the probability of certifying a policy that leaks as much.
    power
        The probability wanted, in (0, 1).

    Returns
    -------
    int
        The smallest number of accounts that allows for some number of leaks and reaches the power with it.

    Raises
    ------
    BadInputError
        If the leakage is not below alpha, or so close to it that 20,000 leaks would have to be allowed for.
    """
    if not 0 <= leakage < alpha:
        raise BadInputError(f"a leakage of {leakage:g} cannot be certified", where="leakage", allowed=f"[0, {alpha:g})")
    for leaks in range(_MOST_LEAKS):
        # The real n at which `leaks` or fewer have probability delta at the bound, then the next whole one.
        low = float(leaks + 1)
        high = (leaks + 10 - 10 * np.log(delta)) * 2 / alpha
        while high - low > 1e-6 * high:
            middle = (low + high) / 2
            low, high = (middle, high) if binomial_tail(leaks, middle, alpha) > delta else (low, middle)
        trials = int(np.ceil(high - 1e-5 * high)) if leaks else clean_accounts(alpha, delta)
        while binomial_tail(leaks, trials, alpha) > delta:
            trials += 1
        if binomial_tail(leaks, trials, leakage) >= power:
            return trials
    raise BadInputError(f"a leakage of {leakage:g} is too close to the bound", where="leakage", allowed="further below")


def binomial_tail(leaks: float, trials: float, alpha: float) -> float:
    """Give the probability of at most so many leaks among so many trials; both may be real (effective counts)."""
    if leaks >= trials:
        return 1.0
    return float(special.betaincc(leaks + 1, trials - leaks, alpha))


def clean_operators_drawn(accounts: Floats, chances: Floats, terms: Terms, *, smallest: float) -> int:
    """Count the operators without a leak that a certificate takes if they are drawn with these chances.

    A drawn operator weighs 1 / chance an account, so the mean weight to expect is the accounts over the operators
    drawn, sum(accounts) / sum(chances); and the bet is bounded by the largest weight, 1 / smallest.

    Parameters
    ----------
    accounts
        Accounts of each operator that the door lets in, shape (k,).
    chances
        Of each operator, in (0, 1], shape (k,).
    terms
        What is to be certified.
    smallest
        The smallest chance of the whole design, in (0, 1].
    """
    weight = float(np.minimum(accounts, terms.operator_cap).sum() / chances.sum())
    return needed_clean_operators(terms.tested_alpha, terms.delta, terms.operator_cap, weight_share=weight * smallest)


def plan_sample(terms: Terms, *, operators: int = 0, days: float = 0.0, weight_share: float = 1.0) -> SamplePlan:
    """Tell what the terms take.

    Parameters
    ----------
    terms
        What is to be certified.
    operators
        Operators that the sample holds now.
    days
        Days in which they were sampled.
    weight_share
        As in `needed_clean_operators`.
    """
    alpha, delta, cap = terms.tested_alpha, terms.delta, terms.operator_cap
    needed = needed_clean_operators(alpha, delta, cap, weight_share=weight_share)
    pace = operators / days if days > 0 else 0.0
    missing = max(0, needed - operators)
    return SamplePlan(
        alpha=alpha,
        delta=delta,
        operator_cap=cap,
        clean_accounts=clean_accounts(alpha, delta),
        accounts_at_half=accounts_for_power(alpha / 2, alpha, delta),
        accounts_at_most=accounts_for_power(0.8 * alpha, alpha, delta),
        clean_operators=needed,
        operators_at_half=needed_operators_at(alpha / 2, alpha, delta, cap, weight_share=weight_share),
        operators=operators,
        operators_a_day=pace,
        days_to_wait=missing / pace if pace > 0 else (0.0 if not missing and operators else None),
    )
