"""Review as a knapsack: which cases people should look at when they cannot look at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from membergate.deciding.policy.policy import Policy
from membergate.domain.disposition import Disposition

_PROHIBITIVE_MINOR = 1e18


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """One case that asks for a review.

    Parameters
    ----------
    case_id
        Its id.
    gain_minor
        What a review is worth beyond the next best disposition, in minor units.
    minutes
        How long it takes, positive.
    """

    case_id: str
    gain_minor: float
    minutes: float


@dataclass(frozen=True, slots=True)
class Allocation:
    """Who is reviewed.

    Parameters
    ----------
    chosen
        Ids, the most valuable per minute first.
    left
        Ids of those who get the next best disposition.
    minutes, gain_minor
        What the chosen take, and what they bring.
    price_minor
        What one more minute would bring: the gain per minute of the first case that is left; 0 where none is worth it.
    """

    chosen: tuple[str, ...]
    left: tuple[str, ...]
    minutes: float
    gain_minor: float
    price_minor: float


def allocate_reviews(cases: Iterable[ReviewCase], capacity_minutes: float) -> Allocation:
    """Fill the capacity by gain per minute: exact for cases of equal length, at most one case short otherwise.

    A case that a review would make worse is never chosen, however much time there is. Equal cases are taken by id.
    """
    ranked = sorted(cases, key=lambda case: (-case.gain_minor / case.minutes, case.case_id))
    chosen: list[ReviewCase] = []
    left: list[ReviewCase] = []
    spent = 0.0
    for case in ranked:
        fits = case.gain_minor > 0 and spent + case.minutes <= capacity_minutes
        (chosen if fits else left).append(case)
        spent += case.minutes if fits else 0.0
    price = max((case.gain_minor / case.minutes for case in left), default=0.0)
    return Allocation(
        tuple(case.case_id for case in chosen),
        tuple(case.case_id for case in left),
        spent,
        sum(case.gain_minor for case in chosen),
        max(price, 0.0),
    )


def without_review(policy: Policy) -> Policy:
    """Give the policy as it decides where no reviewer has time: rules and caps still ask for reviews, the score not."""
    economics = policy.economics
    if economics is None:
        return policy
    review = replace(economics.review, queue_price_minor=_PROHIBITIVE_MINOR)
    return replace(policy, economics=replace(economics, review=review))


def review_gain(expected_value_minor: Mapping[Disposition, float], queue_price_minor: float) -> float:
    """Give what a review is worth beyond the next best, before the price of its place in the queue.

    Parameters
    ----------
    expected_value_minor
        The verdict's expected values, review among them.
    queue_price_minor
        What the policy's economics charge for the place.
    """
    others = [value for name, value in expected_value_minor.items() if name is not Disposition.REVIEW]
    return expected_value_minor[Disposition.REVIEW] + queue_price_minor - max(others)
