"""Economics: what each admission disposition is worth, given how probable it is that the applicant resells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter

from membergate.deciding.policy.condition import Condition
from membergate.domain.disposition import LADDERS, Checkpoint, Disposition

_VALUE = itemgetter(1)
_ADMIT, _ADMIT_CAPPED, _TRIAL, _STEP_UP, _REVIEW, _BUSINESS_LANE, _DENY = LADDERS[Checkpoint.ADMISSION]


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a disposition keeps of the value of a genuine member and of the loss from a merchant.

    Parameters
    ----------
    value_kept_ratio
        Share of the genuine value that remains, in [0, 1].
    loss_kept_ratio
        Share of the merchant loss that remains, in [0, 1].
    cost_minor
        What applying the disposition costs, in minor units.
    """

    value_kept_ratio: float
    loss_kept_ratio: float
    cost_minor: float


@dataclass(frozen=True, slots=True)
class StepUp:
    """A step-up check: `genuine_abandon_ratio` (f), `merchant_pass_ratio` (q), both in [0, 1], and its cost."""

    genuine_abandon_ratio: float
    merchant_pass_ratio: float
    cost_minor: float


@dataclass(frozen=True, slots=True)
class Review:
    """A review by a person: how right it is, what it costs, and the price of a place in a queue that is never empty.

    Parameters
    ----------
    sensitivity, specificity
        Share of merchants whom it finds, and of genuine applicants whom it clears, in [0, 1].
    cost_minor, queue_price_minor
        What it costs, and what its place in the queue is worth to others, in minor units.
    minutes, capacity_minutes_per_day
        How long one takes, and how long reviewers have; None where nobody says.
    """

    sensitivity: float
    specificity: float
    cost_minor: float
    queue_price_minor: float
    minutes: float | None = None
    capacity_minutes_per_day: float | None = None


@dataclass(frozen=True, slots=True)
class BusinessLane:
    """The offer of a business account instead.

    Parameters
    ----------
    genuine_return_ratio
        Share of misrouted genuine applicants who come back by declaring personal use (a), in [0, 1].
    merchant_accept_ratio
        Share of merchants who accept (b), in [0, 1].
    business_margin_minor
        Margin of a business account (B), in minor units.
    cost_minor
        What the offer costs, in minor units.
    offered_when
        Evidence without which the lane is not offered; it must be definitely true.
    """

    genuine_return_ratio: float
    merchant_accept_ratio: float
    business_margin_minor: float
    cost_minor: float
    offered_when: Condition


@dataclass(frozen=True, slots=True)
class Economics:
    """What is at stake, in minor units of one currency.

    Parameters
    ----------
    genuine_value_minor
        Yearly contribution of a genuine member (V): fee and margin, less benefits and service.
    merchant_loss_minor
        Yearly loss from a merchant, net of the fee (L).
    wrong_denial_harm_ratio
        Harm of a wrong denial beyond the lost value, as a share of V (d).
    admit_capped, trial, step_up, review, business_lane
        What each disposition keeps and costs.
    waived_when
        For whom the score is not asked, because a person has vouched; it must be definitely true.
    """

    currency: str
    genuine_value_minor: float
    merchant_loss_minor: float
    wrong_denial_harm_ratio: float
    admit_capped: Keeping
    trial: Keeping
    step_up: StepUp
    review: Review
    business_lane: BusinessLane | None
    waived_when: Condition | None


@dataclass(frozen=True, slots=True)
class Stakes:
    """The economics as they apply to one subject.

    Parameters
    ----------
    economics
        What is at stake.
    value_multiplier, loss_multiplier
        What the subject's segments and the promotion regime make of V and of L.
    is_lane_offered
        Whether there is business evidence, so that the business lane is weighed too.
    """

    economics: Economics
    value_multiplier: float = 1.0
    loss_multiplier: float = 1.0
    is_lane_offered: bool = False


def expected_values(stakes: Stakes, probability: float) -> dict[Disposition, float]:
    """Give the expected value of each admission disposition, in minor units, mildest first.

    Parameters
    ----------
    stakes
        What is at stake.
    probability
        Probability that the applicant is a merchant (p), in [0, 1].
    """
    economics = stakes.economics
    value = economics.genuine_value_minor * stakes.value_multiplier
    loss = economics.merchant_loss_minor * stakes.loss_multiplier
    harm = economics.wrong_denial_harm_ratio * value
    genuine = 1.0 - probability
    capped, trial, step_up, review = economics.admit_capped, economics.trial, economics.step_up, economics.review
    values = {
        _ADMIT: genuine * value - probability * loss,
        _ADMIT_CAPPED: genuine * capped.value_kept_ratio * value
        - probability * capped.loss_kept_ratio * loss
        - capped.cost_minor,
        _TRIAL: genuine * trial.value_kept_ratio * value
        - probability * trial.loss_kept_ratio * loss
        - trial.cost_minor,
        _STEP_UP: genuine * (1.0 - step_up.genuine_abandon_ratio) * value
        - probability * step_up.merchant_pass_ratio * loss
        - step_up.cost_minor,
        _REVIEW: genuine * (review.specificity * value - (1.0 - review.specificity) * harm)
        - probability * (1.0 - review.sensitivity) * loss
        - review.cost_minor
        - review.queue_price_minor,
    }
    lane = economics.business_lane if stakes.is_lane_offered else None
    if lane is not None:
        returning = lane.genuine_return_ratio * (1.0 - step_up.genuine_abandon_ratio) * value
        gone = (1.0 - lane.genuine_return_ratio) * harm
        accepted = lane.merchant_accept_ratio * lane.business_margin_minor
        values[_BUSINESS_LANE] = genuine * (returning - gone) + probability * accepted - lane.cost_minor
    values[_DENY] = -genuine * harm
    return values


def realised_values(stakes: Stakes, *, is_merchant: bool) -> dict[Disposition, float]:
    """Give what each admission disposition was worth once it is known who came, in minor units, mildest first.

    A place in the reviewers' queue has no price then: it is what one case costs another, and all of them are counted.

    Parameters
    ----------
    stakes
        What is at stake.
    is_merchant
        Who it was.
    """
    review = replace(stakes.economics.review, queue_price_minor=0.0)
    settled = replace(stakes, economics=replace(stakes.economics, review=review))
    return expected_values(settled, float(is_merchant))


def best(values: dict[Disposition, float]) -> Disposition:
    """Give the disposition of the highest value; of equal ones the mildest, which stands first."""
    return max(values.items(), key=_VALUE)[0]


@lru_cache(maxsize=256)
def turning_points(stakes: Stakes) -> tuple[float, ...]:
    """Give the probabilities, ascending in (0, 1), at which the best disposition changes.

    Every expected value is linear in the probability, so its values at 0 and 1 give the line, and the best changes only
    where two lines cross.
    """
    low, high = expected_values(stakes, 0.0), expected_values(stakes, 1.0)
    crossings = {0.0, 1.0}
    for first in low:
        for second in low:
            gap, end = low[first] - low[second], high[first] - high[second]
            if gap * end < 0:
                crossings.add(gap / (gap - end))
    ends = sorted(crossings)
    inside = [best(expected_values(stakes, (left + right) / 2)) for left, right in pairwise(ends)]
    return tuple(point for point, (before, after) in zip(ends[1:-1], pairwise(inside), strict=True) if before != after)
