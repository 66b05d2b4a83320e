"""What the refused would have been: estimates from those whom the exploration lane let in by a known chance.

Who is refused shows no outcome, so rates over the accepted say nothing of the rest. The lane lets a known share of
them in on trial, drawn by operator, and writes the probability down; every applicant whose outcome is seen then speaks
for 1 / propensity. Two estimators use that: the self-normalised inverse-propensity mean, and the doubly robust one,
which predicts every outcome from the score and corrects the prediction by what was seen. Whoever had no chance
(propensity 0) is outside the estimand and counted.

References
----------
Robins, Rotnitzky and Zhao (1994), doi:10.1080/01621459.1994.10476818.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from membergate.domain.errors import BadInputError
from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, Floats, effective_count
from membergate.verification.sample import LARGEST_WEIGHT, Flags
from membergate.verification.shares import guarded_interval

BINS = 8
"""Bands of the score in which the doubly robust estimator predicts outcomes."""
FOLDS = 5
LEAST_OPERATORS = 2
_PRIOR_ROWS = 5.0


@dataclass(frozen=True)
class SelectiveSample:
    """Applicants with the chance of seeing their outcome, and the outcome where it was seen.

    Parameters
    ----------
    operators
        Each applicant's operator as a number from 0, shape (n,). Chance was drawn by operator or within it.
    propensity
        Probability that the outcome is seen: of being let in, times that of being reviewed; shape (n,), in [0, 1].
    is_seen
        Whether it was, shape (n,).
    outcome
        The outcome (a share's 0 or 1, or money), shape (n,); ignored where it was not seen.
    score
        The risk score, shape (n,).
    """

    operators: NDArray[np.int64]
    propensity: Floats
    is_seen: Flags
    outcome: Floats
    score: Floats

    def __post_init__(self) -> None:
        if {len(each) for each in (self.propensity, self.is_seen, self.outcome, self.score)} != {len(self.operators)}:
            raise BadInputError("the arrays of a selective sample differ in length", where="selective sample")
        if not ((self.propensity >= 0) & (self.propensity <= 1)).all():
            raise BadInputError("a propensity is out of range", where="propensity", allowed="[0, 1]")
        if (self.is_seen & (self.propensity == 0)).any():
            raise BadInputError("an outcome was seen that had no chance to be", where="propensity", allowed="above 0")

    @property
    def weight(self) -> Floats:
        """1 / propensity where the outcome was seen, clipped at `LARGEST_WEIGHT`; 0 elsewhere; shape (n,)."""
        chance = np.maximum(self.propensity, 1 / LARGEST_WEIGHT)
        return np.where(self.is_seen, 1 / chance, 0.0)


@dataclass(frozen=True, slots=True)
class SelectiveEstimates:
    """Three estimates of one mean over all who had a chance.

    Parameters
    ----------
    accepted_only
        The plain mean of what was seen: what evaluating the accepted alone says. It is no estimate of the whole.
    inverse_propensity, doubly_robust
        The two that are.
    effective_size, largest_weight
        Kish's effective number of seen outcomes, and the largest weight (after clipping).
    clipped, outside
        Weights that were clipped, and applicants without a chance, who are outside the estimand.
    """

    accepted_only: Measurement
    inverse_propensity: Measurement
    doubly_robust: Measurement
    effective_size: float
    largest_weight: float
    clipped: int
    outside: int


def estimate(sample: SelectiveSample, name: str, *, unit: str = "ratio", level: float = LEVEL) -> SelectiveEstimates:
    """Estimate a mean over all applicants who had a chance to be seen.

    Parameters
    ----------
    sample
        Applicants, seen and unseen.
    name, unit
        What is estimated.
    level
        Nominal coverage of the intervals, in (0, 1).
    """
    inside = sample.propensity > 0
    weight = sample.weight
    seen = np.where(sample.is_seen, sample.outcome, 0.0)
    predicted = _predicted(sample, weight, seen)
    everyone = inside.astype(np.float64)
    corrected = everyone * predicted + weight * (seen - np.where(sample.is_seen, predicted, 0.0))
    plain = sample.is_seen.astype(np.float64)
    by_bands = f"doubly robust, outcomes predicted in {BINS} bands of the score, out of fold by operator"
    as_seen = (f"{name}_accepted_only", sample, seen * plain, plain, level, unit, "plain mean of the seen")
    weighted = (f"{name}_inverse_propensity", sample, seen * weight, weight, level, unit, "self-normalised weights")
    robust = (f"{name}_doubly_robust", sample, corrected, everyone, level, unit, by_bands)
    return SelectiveEstimates(
        accepted_only=_mean(*as_seen, is_guarded=False),
        inverse_propensity=_mean(*weighted),
        doubly_robust=_mean(*robust),
        effective_size=effective_count(weight),
        largest_weight=float(weight.max(initial=0.0)),
        clipped=int((sample.is_seen & (sample.propensity < 1 / LARGEST_WEIGHT)).sum()),
        outside=int((~inside).sum()),
    )


def _predicted(sample: SelectiveSample, weight: Floats, seen: Floats) -> Floats:
    """Predict each outcome by the weighted mean of its band of the score, learned from other operators."""
    edges = np.quantile(sample.score, np.arange(1, BINS) / BINS) if len(sample.score) else np.zeros(0)
    band = np.searchsorted(edges, sample.score, side="right")
    fold = sample.operators % FOLDS
    predicted = np.zeros(len(sample.score))
    for held in range(FOLDS):
        learn = weight * (fold != held)
        total = float(learn.sum())
        overall = float((learn * seen).sum()) / total if total else 0.0
        # Few weighted rows of a band lean on the whole.
        prior = _PRIOR_ROWS * total / max(1.0, effective_count(learn)) if total else 1.0
        sums = np.bincount(band, weights=learn * seen, minlength=BINS)
        means = (sums + prior * overall) / (np.bincount(band, weights=learn, minlength=BINS) + prior)
        predicted[fold == held] = means[band[fold == held]]
    return predicted


def _unseen(sample: SelectiveSample, level: float) -> tuple[float, float]:
    """Give how far a share may lie below and above what was seen, an unseen operator being as heavy as any could be.

    Where hardly anybody of a rarely explored band was seen, their scatter is not seen either, and no interval made of
    residuals knows of it.
    """
    size = int(sample.operators.max(initial=-1)) + 1
    columns = (sample.weight * np.where(sample.is_seen, sample.outcome, 0.0), sample.weight)
    sums = [np.bincount(sample.operators, weights=each, minlength=size).astype(np.float64) for each in columns]
    part, whole = (each[sums[1] > 0] for each in sums)
    inside = sample.propensity[sample.propensity > 0]
    heaviest = min(LARGEST_WEIGHT, 1 / float(inside.min()))
    if heaviest <= 1:
        return 0.0, 0.0
    share = float(part.sum() / whole.sum())
    low, high = guarded_interval(part, whole, heaviest, level)
    return share - low, high - share


def _mean(
    name: str,
    sample: SelectiveSample,
    part: Floats,
    whole: Floats,
    level: float,
    unit: str,
    method: str,
    *,
    is_guarded: bool = True,
) -> Measurement:
    """Give sum(part) / sum(whole) with a linearised interval over operators.

    Student's t with the effective number of seen operators, less 1, as degrees of freedom: few heavy weights are few.
    """
    total = float(whole.sum())
    size = int(sample.operators.max(initial=-1)) + 1
    weights = np.bincount(sample.operators, weights=sample.weight, minlength=size).astype(np.float64)
    operators = int((weights > 0).sum())
    value = float(part.sum()) / total if total > 0 else None
    low = high = None
    if value is not None and operators >= LEAST_OPERATORS:
        residual = np.bincount(sample.operators, weights=part - value * whole, minlength=size)
        error = float(np.sqrt(np.square(residual).sum() * operators / (operators - 1))) / total
        reach = float(stats.t.ppf((1 + level) / 2, max(1.0, effective_count(weights) - 1))) * error
        low, high = value - reach, value + reach
        if unit == "ratio" and is_guarded:
            below, above = _unseen(sample, level)
            low, high = max(0.0, min(low, value - below)), min(1.0, max(high, value + above))
    n = int(sample.is_seen.sum())
    return Measurement(name, value, low, high, level, unit, n, operators, f"{method}; linearised over operators")
