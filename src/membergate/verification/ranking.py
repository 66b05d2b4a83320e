"""How well the risk score orders applicants: ROC AUC, average precision, and genuine admission at equal leakage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, OperatorBootstrap, measurement, percentiles, ratio

Floats = NDArray[np.float64]

_ROUNDING = 1e-9
CURVE_POINTS = 33
MOST_ALARMS = 0.01
"""Share of genuine applicants up to which `partial_auc` looks: a door works where false alarms are few."""
LEAST_MERCHANTS = 20
LEAST_STRICT_LEAKS = 2
"""Operators with a merchant in the sample, and of these whom the strict rule admits in full, below which genuine
admission at equal leakage is not told: its interval would be too narrow (`docs/explanation/verification.md`)."""


@dataclass(frozen=True)
class Ranking:
    """The rows in ascending order of risk, tied scores together.

    Parameters
    ----------
    rows
        Positions of the rows that take part, safest first, shape (m,).
    starts
        Where each group of tied scores begins in `rows`, shape (t,).
    scores
        The score of each group, ascending, shape (t,).
    merchant, genuine
        Weight of each row as a merchant and as a genuine applicant (one of them is 0), shape (m,).
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    scores: Floats
    merchant: Floats
    genuine: Floats

    @staticmethod
    def of(risk_score: Floats, is_merchant: NDArray[np.bool_], weight: Floats) -> Ranking:
        """Rank the rows that have weight.

        Parameters
        ----------
        risk_score, is_merchant, weight
            Row by row, shape (n,); a row of weight 0 has no part.
        """
        rows = np.flatnonzero(weight > 0)
        rows = rows[np.argsort(risk_score[rows], kind="stable")]
        scores, starts = np.unique(risk_score[rows], return_index=True)
        merchant = np.where(is_merchant[rows], weight[rows], 0.0)
        return Ranking(rows, starts.astype(np.int64), scores, merchant, weight[rows] - merchant)

    def masses(self, drawn: Floats) -> tuple[Floats, Floats]:
        """Weigh merchants and genuine applicants in each group of tied scores: (b, m) draws -> two of shape (b, t)."""
        if not len(self.rows):
            return np.zeros((len(drawn), 0)), np.zeros((len(drawn), 0))
        merchant = np.add.reduceat(drawn * self.merchant, self.starts, axis=1)
        genuine = np.add.reduceat(drawn * self.genuine, self.starts, axis=1)
        return merchant, genuine

    def measure(
        self,
        name: str,
        statistic: Callable[[Floats, Floats], Floats],
        bootstrap: OperatorBootstrap,
        *,
        level: float = LEVEL,
        method: str = "",
    ) -> Measurement:
        """Estimate a statistic of the two masses, with its percentile interval over operators.

        Parameters
        ----------
        name
            What is estimated.
        statistic
            Takes the masses of merchants and genuine applicants, each of shape (b, t), and gives b values.
        bootstrap
            The draws shared with every other figure.
        level
            Nominal coverage of the interval.
        method
            What a reader must know of how it was made, before the interval's own.
        """
        value = float(statistic(*self.masses(np.ones((1, len(self.rows)))))[0])
        blocks = [statistic(*self.masses(drawn)) for drawn in bootstrap.row_weights(self.rows)]
        low, high = percentiles(np.concatenate(blocks), level)
        taking_part = np.zeros(len(bootstrap.codes), dtype=np.bool_)
        taking_part[self.rows] = True
        how = "; ".join(text for text in (method, f"percentile {bootstrap}") if text)
        if low is None and np.isfinite(value):
            how += "; no interval: the replicates do not vary, or are too often undefined"
        return measurement(name, value, low, high, level, taking_part, bootstrap, how)


def roc_auc(merchant: Floats, genuine: Floats) -> Floats:
    """Probability that a merchant scores above a genuine applicant, ties counting half; (b, t) masses -> (b,)."""
    below = np.cumsum(genuine, axis=1) - genuine / 2
    return ratio((merchant * below).sum(axis=1), merchant.sum(axis=1) * genuine.sum(axis=1))


def gini(merchant: Floats, genuine: Floats) -> Floats:
    """Twice the area under the ROC curve, less 1; (b, t) masses -> (b,)."""
    return 2 * roc_auc(merchant, genuine) - 1


def kolmogorov_smirnov(merchant: Floats, genuine: Floats) -> Floats:
    """Largest distance between the shares of genuine applicants and of merchants up to a score; (b, t) -> (b,)."""
    caught, alarms = _roc(merchant, genuine)
    apart: Floats = (caught - alarms).max(axis=1)
    return apart


def partial_auc(merchant: Floats, genuine: Floats) -> Floats:
    """Mean share of merchants caught while at most `MOST_ALARMS` of genuine applicants are; (b, t) masses -> (b,)."""
    caught, alarms = _roc(merchant, genuine)
    steps, gains = np.diff(alarms, axis=1), np.diff(caught, axis=1)
    within = np.diff(np.minimum(alarms, MOST_ALARMS), axis=1)
    part = np.divide(within, steps, out=np.ones_like(steps), where=steps > 0)
    area: Floats = (within * (caught[:, :-1] + part * gains / 2)).sum(axis=1)
    # NaN on either side must not become 0 by way of an empty step.
    return np.where(np.isfinite(caught[:, -1] + alarms[:, -1]), area / MOST_ALARMS, np.nan)


def _roc(merchant: Floats, genuine: Floats) -> tuple[Floats, Floats]:
    """Give shares of merchants and of genuine applicants from each score on, riskiest first, from 0: (b, t + 1)."""
    sides = []
    for mass in (merchant, genuine):
        above = np.cumsum(np.pad(mass[:, ::-1], ((0, 0), (1, 0))), axis=1)
        sides.append(ratio(above, np.broadcast_to(above[:, -1:], above.shape)))
    return sides[0], sides[1]


def average_precision(merchant: Floats, genuine: Floats) -> Floats:
    """Precision averaged over the recall gained at each score, riskiest first; (b, t) masses -> (b,)."""
    caught = np.cumsum(merchant[:, ::-1], axis=1)
    flagged = caught + np.cumsum(genuine[:, ::-1], axis=1)
    precision = np.divide(caught, flagged, out=np.zeros_like(caught), where=flagged > 0)
    value = ratio((merchant[:, ::-1] * precision).sum(axis=1), merchant.sum(axis=1))
    # With no genuine applicant there is nothing to tell merchants from.
    return np.where(genuine.sum(axis=1) > 0, value, np.nan)


@dataclass(frozen=True)
class Frontier:
    """What 'admit when the score is at most t' gives, for every t and in every replicate.

    Parameters
    ----------
    least_leakage
        Smallest leakage of this threshold and all higher ones, shape (b, t), not decreasing along t.
    genuine_admission
        Share of genuine applicants admitted at this threshold, shape (b, t), not decreasing. NaN in replicates
        that lack merchants or genuine applicants.
    """

    least_leakage: Floats
    genuine_admission: Floats

    @staticmethod
    def of(merchant: Floats, genuine: Floats) -> Frontier:
        """Build it from the masses of the groups of tied scores, ascending, each of shape (b, t)."""
        let_in, admitted_genuine = np.cumsum(merchant, axis=1), np.cumsum(genuine, axis=1)
        admitted = let_in + admitted_genuine
        leakage = np.divide(let_in, admitted, out=np.zeros_like(admitted), where=admitted > 0)
        least = np.minimum.accumulate(leakage[:, ::-1], axis=1)[:, ::-1]
        if not genuine.shape[1]:
            return Frontier(least, genuine)
        # Without a merchant every threshold complies, and that is no finding.
        total = np.where(let_in[:, -1:] > 0, admitted_genuine[:, -1:], 0.0)
        return Frontier(least, ratio(admitted_genuine, total))

    def last_within(self, leakage: Floats) -> NDArray[np.int64]:
        """Give the last threshold whose leakage is at most as given, shape (b,); -1 where none is."""
        bound = leakage * (1 + _ROUNDING) + _ROUNDING
        within: NDArray[np.int64] = np.count_nonzero(self.least_leakage <= bound[:, None], axis=1) - 1
        return within

    def genuine_at(self, leakage: Floats) -> Floats:
        """Give the largest genuine admission rate with leakage at most as given.

        Parameters
        ----------
        leakage
            The bound of each replicate, shape (b,); NaN gives NaN.

        Returns
        -------
        ndarray of shape (b,)
            In [0, 1]; 0 where no threshold complies, NaN where either side is missing.
        """
        if not self.genuine_admission.shape[1]:
            return np.full(len(leakage), np.nan)
        last = self.last_within(leakage)
        rate = self.genuine_admission[np.arange(len(leakage)), last]
        rate = np.where((last < 0) & np.isfinite(rate), 0.0, rate)
        return np.where(np.isfinite(leakage), rate, np.nan)


def threshold_at_leakage(ranking: Ranking, leakage: float) -> float | None:
    """Give the largest score that may be admitted within the leakage, or None where no threshold complies."""
    last = int(Frontier.of(*ranking.masses(np.ones((1, len(ranking.rows))))).last_within(np.array([leakage]))[0])
    return float(ranking.scores[last]) if last >= 0 else None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Genuine admission rate of the score at one leakage bound, both in [0, 1], with its interval."""

    leakage: float
    genuine_admission: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class EqualLeakage:
    """The strict rule beside the risk score, the score's threshold set to let as large a merchant share in.

    Parameters
    ----------
    strict_leakage, strict_genuine_admission
        Where the strict rule stands.
    score_genuine_admission
        Largest genuine admission rate of the score at the strict rule's leakage, matched anew in every replicate.
    difference
        Score less strict rule, paired by operator.
    threshold
        The score up to which is admitted at that leakage; None where the strict rule's leakage is unknown.
    curve
        The score's genuine admission over a range of leakage bounds.
    merchants, strict_leaks
        Operators with a merchant in the sample, and those among them whom the strict rule admits. Where they are fewer
        than `LEAST_MERCHANTS` and `LEAST_STRICT_LEAKS`, neither the score's rate nor the difference has a value.
    """

    strict_leakage: Measurement
    strict_genuine_admission: Measurement
    score_genuine_admission: Measurement
    difference: Measurement
    threshold: float | None
    curve: tuple[CurvePoint, ...]
    merchants: int = 0
    strict_leaks: int = 0

    @property
    def is_determined(self) -> bool:
        """Whether there are merchants enough for an interval that keeps its word."""
        return self.merchants >= LEAST_MERCHANTS and self.strict_leaks >= LEAST_STRICT_LEAKS


def measure_equal_leakage(
    risk_score: Floats,
    is_merchant: NDArray[np.bool_],
    weight: Floats,
    is_admitted_by_strict: NDArray[np.bool_],
    strict: tuple[Measurement, Measurement],
    bootstrap: OperatorBootstrap,
    *,
    level: float = LEVEL,
) -> EqualLeakage:
    """Compare the risk score with the strict rule at the strict rule's own leakage.

    In every replicate the strict rule's leakage is measured anew and the threshold matched to it anew, so the interval
    covers the choice of the threshold too. With fewer merchants than `LEAST_MERCHANTS`, or fewer leaks of the strict
    rule than `LEAST_STRICT_LEAKS`, the percentile interval is too narrow, and the figure is not told.

    Parameters
    ----------
    risk_score, is_merchant, weight, is_admitted_by_strict
        Row by row, shape (n,); a row of weight 0 has no part.
    strict
        Leakage and genuine admission rate of the strict rule on the same rows.
    bootstrap
        The draws shared with every other figure.
    level
        Nominal coverage of the intervals.
    """
    ranking = Ranking.of(risk_score, is_merchant, weight)
    admitted = is_admitted_by_strict[ranking.rows]
    bounds = _curve_bounds(ranking, float(strict[0].value or 0.0))
    point = _at_bounds(ranking, admitted, np.ones((1, len(ranking.rows))), bounds)
    blocks = [_at_bounds(ranking, admitted, drawn, bounds) for drawn in bootstrap.row_weights(ranking.rows)]
    replicates = np.concatenate(blocks)
    taking_part = weight > 0
    matched = f"threshold matched to the strict rule's leakage in every replicate; percentile {bootstrap}"

    def estimate(name: str, value: float, of_replicates: Floats, method: str) -> Measurement:
        low, high = percentiles(of_replicates, level)
        return measurement(name, value, low, high, level, taking_part, bootstrap, method)

    is_counted = taking_part & is_merchant
    told = EqualLeakage(
        strict_leakage=strict[0],
        strict_genuine_admission=strict[1],
        score_genuine_admission=estimate(
            "genuine_admission_rate_at_strict_leakage", float(point[0, 0]), replicates[:, 0], matched
        ),
        difference=estimate(
            "genuine_admission_rate_gain_at_strict_leakage",
            float(point[0, 0] - point[0, 1]),
            replicates[:, 0] - replicates[:, 1],
            f"paired difference; {matched}",
        ),
        threshold=None if strict[0].value is None else threshold_at_leakage(ranking, strict[0].value),
        curve=_curve(bounds, point[0, 2:], replicates[:, 2:], level),
        merchants=len(np.unique(bootstrap.codes[is_counted])),
        strict_leaks=len(np.unique(bootstrap.codes[is_counted & is_admitted_by_strict])),
    )
    return told if told.is_determined else _untold(told)


def _curve(bounds: Floats, point: Floats, replicates: Floats, level: float) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(float(bound), float(point[i]), *percentiles(replicates[:, i], level))
        for i, bound in enumerate(bounds)
        if np.isfinite(point[i])
    )


def _untold(told: EqualLeakage) -> EqualLeakage:
    """Take back what too few merchants cannot tell; the curve stays, with its intervals."""
    few = f"{told.merchants} operators with a merchant, {told.strict_leaks} of them admitted by the strict rule"
    nothing: dict[str, Any] = {"value": None, "low": None, "high": None, "method": f"not determined: {few}"}
    return replace(
        told,
        score_genuine_admission=replace(told.score_genuine_admission, **nothing),
        difference=replace(told.difference, **nothing),
        threshold=None,
    )


def _at_bounds(ranking: Ranking, is_admitted: NDArray[np.bool_], drawn: Floats, bounds: Floats) -> Floats:
    """Give the matched rate, the strict rule's rate, and the rate at each bound: shape (b, 2 + len(bounds))."""
    frontier = Frontier.of(*ranking.masses(drawn))
    let_in = drawn * is_admitted
    strict_merchant, strict_genuine = let_in @ ranking.merchant, let_in @ ranking.genuine
    leakage = ratio(strict_merchant, strict_merchant + strict_genuine)
    columns = [
        frontier.genuine_at(leakage),
        ratio(strict_genuine, drawn @ ranking.genuine),
        *(frontier.genuine_at(np.full(len(drawn), bound)) for bound in bounds),
    ]
    return np.stack(columns, axis=1)


def _curve_bounds(ranking: Ranking, strict_leakage: float) -> Floats:
    """Choose leakage bounds from 0 to the merchant share of all applicants, denser near 0."""
    total = float(ranking.merchant.sum() + ranking.genuine.sum())
    most = float(ranking.merchant.sum()) / total if total else 0.0
    spread = most * np.linspace(0.0, 1.0, CURVE_POINTS) ** 2
    bounds: Floats = np.unique(np.append(spread, strict_leakage))
    return bounds
