"""Prediction-powered estimates: all scores and few reviews give one unbiased share, and a plan whom to review next.

The mean of the scores over everybody is precise and wrong; the reviews are right and few. Their weighted difference
corrects the mean: theta = lambda mean(f) + sum w (y - lambda f) / N, whatever the scores are worth. Lambda is chosen to
make the interval narrow, and is 0 (reviews alone) where scores say nothing. The plan draws the next reviews with
chances proportional to sqrt(f (1 - f)), where an answer is least certain, and gives nobody less than half of an even
chance, or than a floor of one's own: a certificate takes the more operators the rarer the rarest is drawn.

References
----------
Angelopoulos et al. (2023), Prediction-powered inference, doi:10.1126/science.adi6000; PPI++, arXiv 2311.01453.
Zrnic and Candès (2024), Active statistical inference, arXiv 2403.03208.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from membergate.domain.errors import BadInputError
from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, Floats, effective_count
from membergate.verification.sample import Flags, Text
from membergate.verification.shares import FEW_OPERATORS, guarded_interval

DEFENSIVE_SHARE = 0.5
"""Nobody's chance is below this share of an even one: where scores are wrong, a rare review must not weigh too much."""
BUDGETS = (50, 100, 200, 400, 800, 1600)
_FEWEST_OPERATORS = 2


@dataclass(frozen=True)
class Population:
    """Everybody an estimate is about, one application a row, shape (n,) each.

    Parameters
    ----------
    operator_ids
        Who stands behind it.
    prediction
        What the model believes, in [0, 1]: best a probability; any score gives an unbiased estimate.
    weight
        1 / propensity of those reviewed by chance, 0 of the others; clipped at 50.
    is_merchant
        The review's answer; ignored where there is none.
    disposition
        What the door does.
    """

    operator_ids: Text
    prediction: Floats
    weight: Floats
    is_merchant: Flags
    disposition: Text

    def __len__(self) -> int:
        return len(self.operator_ids)

    def take(self, rows: Flags) -> Population:
        """Select rows by mask."""
        return Population(
            self.operator_ids[rows],
            self.prediction[rows],
            self.weight[rows],
            self.is_merchant[rows],
            self.disposition[rows],
        )


@dataclass(frozen=True, slots=True)
class PoweredShare:
    """One share, by reviews alone and with the scores' help.

    Parameters
    ----------
    among
        Whom it is about: `all applicants`, `admitted in full`, `all holders`.
    population
        How many they are.
    reviews_alone, powered
        The two estimates of the merchant share.
    power
        Lambda, in [0, 1]: how far the scores are believed.
    worth
        How many times as many reviews would give the interval of `powered` without scores; None without intervals.
    """

    among: str
    population: int
    reviews_alone: Measurement
    powered: Measurement
    power: float
    worth: float | None


@dataclass(frozen=True, slots=True)
class PlanRow:
    """What so many reviews would buy.

    Parameters
    ----------
    reviews
        Expected reviews beyond those there are.
    active, uniform
        Expected half-width of the 95% interval of the merchant share, drawn by the plan, or all alike.
    floored
        The same by the plan with a floor under every chance; None without one, or where so few reviews cannot keep it.
    """

    reviews: int
    active: float
    uniform: float
    floored: float | None = None


def powered_share(people: Population, among: str, *, power: float | None = None, level: float = LEVEL) -> PoweredShare:
    """Estimate the merchant share of a population.

    Parameters
    ----------
    people
        Everybody, reviewed or not.
    among
        Whom it is about, in words.
    power
        Lambda, in [0, 1]; chosen by the data where None.
    level
        Nominal coverage of both intervals, in (0, 1).
    """
    _, codes = np.unique(people.operator_ids, return_inverse=True)
    outcome = np.where(people.weight > 0, people.is_merchant, 0.0)
    chosen = _best_power(people, outcome) if power is None else power
    alone = _estimate(people, codes, outcome, 0.0, f"merchant_share_{among}_reviews_alone", level)
    powered = _estimate(people, codes, outcome, chosen, f"merchant_share_{among}_prediction_powered", level)
    worth = None
    if alone.high is not None and alone.low is not None and powered.high is not None and powered.low is not None:
        width = powered.high - powered.low
        worth = ((alone.high - alone.low) / width) ** 2 if width > 0 else None
    return PoweredShare(among.replace("_", " "), len(people), alone, powered, chosen, worth)


@dataclass(frozen=True)
class Frame:
    """Whom a plan draws from: operators that wait for a review, and accounts that were reviewed by chance already.

    Parameters
    ----------
    prediction, sizes
        What the model believes of each waiting operator (the mean of its accounts, in [0, 1]), and its accounts that
        wait; shape (k,) each.
    known
        What it believes of each reviewed account, shape (m,). From the plan on they speak for themselves alone: with
        propensity 1 beside the drawn ones' 1 / chance the estimate stays unbiased, whatever chances they were drawn by.
    """

    prediction: Floats
    sizes: Floats
    known: Floats

    @classmethod
    def of(cls, people: Population) -> Self:
        """Part a population into who waits and who was reviewed."""
        waits = people.weight == 0
        _, codes = np.unique(people.operator_ids[waits], return_inverse=True)
        sizes = np.bincount(codes).astype(np.float64)
        sums = np.bincount(codes, weights=people.prediction[waits])
        return cls(sums / np.maximum(sizes, 1.0), sizes, people.prediction[~waits])

    @property
    def waiting(self) -> int:
        """Accounts that wait."""
        return int(self.sizes.sum())

    def chances(self, reviews: float, smallest: float = 0.0) -> Floats:
        """Give each waiting operator's chance of being reviewed, so that so many accounts are expected to be.

        Parameters
        ----------
        reviews
            Accounts that may be reviewed, > 0.
        smallest
            A floor under every chance, in [0, 1].

        Returns
        -------
        ndarray of shape (k,)
            In (0, 1], nowhere below half of an even chance, nor below the floor.

        Raises
        ------
        BadInputError
            If there is nothing to spend, or too little for the floor.
        """
        if reviews <= 0:
            raise BadInputError("a plan needs reviews", where=f"{reviews:g}", allowed="more than 0")
        if reviews >= self.waiting:
            return np.ones(len(self.sizes))
        if reviews < self.fewest(smallest):
            raise BadInputError(
                f"{reviews:g} reviews of {self.waiting:,} accounts give nobody a chance of {smallest:g}",
                where="smallest propensity",
                allowed=f"up to {reviews / self.waiting:.4g}, or {self.fewest(smallest):,} reviews",
            )
        floor = max(DEFENSIVE_SHARE * reviews / self.waiting, smallest)
        doubt = np.sqrt(np.clip(self.prediction * (1 - self.prediction), 1e-6, None))
        low, high = 0.0, 1.0 / float(doubt.min())
        for _ in range(60):
            middle = (low + high) / 2
            spent = float((self.sizes * np.clip(middle * doubt, floor, 1.0)).sum())
            low, high = (middle, high) if spent < reviews else (low, middle)
        return np.clip(low * doubt, floor, 1.0)

    def fewest(self, smallest: float) -> int:
        """Count the reviews that a floor under every chance takes at least."""
        return int(np.ceil(smallest * self.waiting - 1e-9))

    def half_width(self, chances: Floats, level: float = LEVEL) -> float:
        """Give the half-width to expect of the merchant share, if predictions are right.

        The variance is that of who applies plus that of the draw, an operator's accounts being of one kind:
        sum size^2 f (1 - f) / chance + sum (size (f - mean))^2, over N^2.

        Parameters
        ----------
        chances
            Of each waiting operator, shape (k,).
        level
            Nominal coverage, in (0, 1).
        """
        f = np.concatenate([self.prediction, self.known])
        size = np.concatenate([self.sizes, np.ones(len(self.known))])
        chance = np.concatenate([chances, np.ones(len(self.known))])
        total = float(size.sum())
        doubt = np.square(size) * f * (1 - f) / chance
        spread = np.square(size * (f - float((size * f).sum()) / total))
        return float(stats.norm.ppf((1 + level) / 2) * np.sqrt(doubt.sum() + spread.sum()) / total)

    def rows(self, smallest: float = 0.0) -> tuple[PlanRow, ...]:
        """Tell what budgets buy, as far as accounts wait, and what they buy with a floor under every chance."""
        found = []
        for reviews in BUDGETS:
            if reviews < self.waiting:
                drawn = [self.chances(reviews), np.full(len(self.sizes), reviews / self.waiting)]
                if smallest > 0 and self.fewest(smallest) <= reviews:
                    drawn.append(self.chances(reviews, smallest))
                found.append(PlanRow(reviews, *(self.half_width(each) for each in drawn)))
        return tuple(found)

    def reviews_for(self, half_width: float, smallest: float = 0.0) -> int | None:
        """Give the reviews that a half-width takes, with a floor; None where reviewing everybody would not do."""
        if self.half_width(np.ones(len(self.sizes))) > half_width:
            return None
        low, high = max(1, self.fewest(smallest)), max(1, self.waiting)
        while low < high:
            middle = (low + high) // 2
            reached = self.half_width(self.chances(middle, smallest)) <= half_width
            low, high = (low, middle) if reached else (middle + 1, high)
        return low


def _best_power(people: Population, outcome: Floats) -> float:
    """Choose lambda: the weighted regression of answers on predictions, never beyond [0, 1]."""
    weight = people.weight
    if effective_count(weight) < _FEWEST_OPERATORS:
        return 0.0
    centred = people.prediction - np.average(people.prediction, weights=weight)
    # The variance of the draw goes with w^2; the people's own spread hardly depends on lambda.
    variance = float((np.square(weight) * np.square(centred)).sum())
    covariance = float((np.square(weight) * centred * (outcome - np.average(outcome, weights=weight))).sum())
    return float(np.clip(covariance / variance, 0.0, 1.0)) if variance > 0 else 0.0


def _estimate(
    people: Population, codes: NDArray[np.int64], outcome: Floats, power: float, name: str, level: float
) -> Measurement:
    """Correct the scores' mean by the reviews; linearised over operators, guarded where few merchants were seen."""
    weight, f = people.weight, power * people.prediction
    reviewed = float(weight.sum())
    size = int(codes.max(initial=-1)) + 1
    seen = np.bincount(codes, weights=weight, minlength=size).astype(np.float64)
    operators, n = int((seen > 0).sum()), int((weight > 0).sum())
    if not reviewed:
        return Measurement(name, None, None, None, level, "ratio", 0, 0, "no review drawn by chance")
    error = float((weight * (outcome - f)).sum()) / reviewed
    value = float(f.mean()) + error
    method = f"{'prediction-powered, lambda ' + format(power, '.2f') if power else 'reviews alone'}; over operators"
    if operators < _FEWEST_OPERATORS:
        return Measurement(name, value, None, None, level, "ratio", n, operators, method)
    # Per row: what the scores add, and what the review corrects; the weights' own sum is random, hence the centring.
    influence = (f - float(f.mean())) / len(people) + weight * (outcome - f - error) / reviewed
    by_operator = np.bincount(codes, weights=influence, minlength=size)
    spread = float(np.sqrt(np.square(by_operator).sum() * operators / (operators - 1)))
    reach = float(stats.t.ppf((1 + level) / 2, max(1.0, effective_count(seen) - 1))) * spread
    low, high = value - reach, value + reach
    part = np.bincount(codes, weights=weight * outcome, minlength=size).astype(np.float64)
    if effective_count(part) < FEW_OPERATORS:
        guard = guarded_interval(part[seen > 0], seen[seen > 0], float(seen.max()), level)
        low, high = min(low, guard[0]), max(high, guard[1])
        method += (
            f"; widened by the small-count guard ({int((part > 0).sum())} operators with a merchant, of uneven weight)"
        )
    return Measurement(name, value, max(0.0, low), min(1.0, high), level, "ratio", n, operators, method)
