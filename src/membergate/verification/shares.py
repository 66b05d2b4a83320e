"""Shares and their differences: point, interval, and a guard for the small counts that rings make treacherous.

A bootstrap cannot resample what it has not seen. With no leak observed it answers [0, 0]; with four leaking operators,
one of them a ring, its upper end misses the truth in one case of five (`docs/explanation/verification.md` has the
measurement). So where fewer than `FEW_OPERATORS` operators bear the rarer outcome, the interval is widened to the union
with two others:

- the gamma interval of Fay and Feuer for a weighted sum of rare events, each event as heavy as its operator, and the
  next, unseen one as heavy as the operators that could have caused it;
- the exact binomial interval of Clopper and Pearson on the effective number of operators.

References
----------
Fay and Feuer (1997), Confidence intervals for directly standardized rates, Statistics in Medicine 16(7), 791-801.
Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404.
Newcombe (1998), Interval estimation for the difference between independent proportions, Statistics in Medicine 17(8),
873-890.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import (
    LEVEL,
    Floats,
    OperatorBootstrap,
    accelerated,
    effective_count,
    measurement,
    ratio,
)

FEW_OPERATORS = 20
"""With fewer operators than this behind the rarer outcome, the bootstrap alone is too narrow: the guard widens it."""


@dataclass(frozen=True)
class Share:
    """A share to be estimated: a weighted part of a weighted whole, row by row.

    Parameters
    ----------
    name
        What is estimated.
    part, whole
        Each row's weight in the numerator and in the denominator, shape (n,), 0 <= part <= whole.
    candidates
        Each row's weight among those that could have been in the part, whatever was decided, shape (n,): for leakage,
        the merchants among all applicants. It tells how heavy an operator is that was not seen; None takes the whole.
    """

    name: str
    part: Floats
    whole: Floats
    candidates: Floats | None = None

    def columns(self) -> tuple[Floats, Floats, Floats]:
        """Give part, whole and candidates, each of shape (n,)."""
        return self.part, self.whole, self.whole if self.candidates is None else self.candidates

    def named(self, name: str) -> Share:
        """Give the same share under another name."""
        return Share(name, self.part, self.whole, self.candidates)

    def among(self, rows: Floats) -> Share:
        """Give the share with each row's weights multiplied, shape (n,): a mask, or a weight."""
        part, whole, candidates = self.columns()
        return Share(self.name, part * rows, whole * rows, candidates * rows)


def measure_shares(
    shares: Sequence[Share], bootstrap: OperatorBootstrap, *, level: float = LEVEL
) -> tuple[Measurement, ...]:
    """Estimate shares, with accelerated bootstrap intervals over operators that are guarded where counts are small."""
    if not shares:
        return ()
    columns = np.stack([column for share in shares for column in share.columns()], axis=1)
    by_operator = bootstrap.operator_sums(columns)
    replicates = bootstrap.replicate_sums(by_operator)
    return tuple(
        _measure_share(share, by_operator[:, i : i + 3], replicates[:, i : i + 3], bootstrap, level)
        for i, share in zip(range(0, 3 * len(shares), 3), shares, strict=True)
    )


def measure_difference(
    name: str, minuend: Share, subtrahend: Share, bootstrap: OperatorBootstrap, *, level: float = LEVEL
) -> Measurement:
    """Estimate the difference of two shares on the same rows, paired by operator.

    Where fewer than `FEW_OPERATORS` operators are in one part and not in the other, that end of the interval is held
    out by as much as the guarded end of the share that only one of the two counts lies above that share.

    Parameters
    ----------
    name
        What is estimated.
    minuend, subtrahend
        The shares, row by row of the same sample.
    bootstrap
        The draws shared with every other figure.
    level
        Nominal coverage of the interval.
    """
    columns = np.stack([minuend.part, minuend.whole, subtrahend.part, subtrahend.whole], axis=1)
    by_operator = bootstrap.operator_sums(columns)
    totals = by_operator.sum(axis=0)
    value = float(_difference(totals))
    low, high = accelerated(
        value, _difference(totals - by_operator), _difference(bootstrap.replicate_sums(by_operator)), level
    )
    method = f"paired difference, accelerated {bootstrap}"
    if np.isfinite(value):
        more = _guarded_surplus(minuend, subtrahend, bootstrap, level)
        less = _guarded_surplus(subtrahend, minuend, bootstrap, level)
        if more is not None:
            high = value + more if high is None else max(high, value + more)
        if less is not None:
            low = value - less if low is None else min(low, value - less)
        if more is not None or less is not None:
            method += "; held out by the small-count guard, since few operators tell the two apart"
    rows = (minuend.whole > 0) | (subtrahend.whole > 0)
    return measurement(name, value, low, high, level, rows, bootstrap, method)


def measure_gap(
    name: str, minuend: Share, subtrahend: Share, bootstrap: OperatorBootstrap, *, level: float = LEVEL
) -> Measurement:
    """Estimate the difference of two shares on rows of which none is in both, by Newcombe's hybrid score interval.

    Each end lies as far from the difference as the two shares' own (guarded) ends lie from them, taken as the legs of
    a right triangle: low = d - sqrt((p1 - l1)^2 + (u2 - p2)^2), high = d + sqrt((u1 - p1)^2 + (p2 - l2)^2).

    Parameters
    ----------
    name
        What is estimated.
    minuend, subtrahend
        The shares; where one has weight, the other has none.
    bootstrap
        The draws shared with every other figure.
    level
        Nominal coverage of the interval.
    """
    one, other = measure_shares((minuend, subtrahend), bootstrap, level=level)
    rows = (minuend.whole > 0) | (subtrahend.whole > 0)
    method = f"difference of separate groups, each guarded where counts are small; {bootstrap}"
    if one.value is None or other.value is None:
        return measurement(name, np.nan, None, None, level, rows, bootstrap, method)
    value = one.value - other.value
    ends = (one.low, one.high, other.low, other.high)
    if any(end is None for end in ends):
        return measurement(name, value, None, None, level, rows, bootstrap, method)
    low_one, high_one, low_other, high_other = (float(end) for end in ends if end is not None)
    low = value - float(np.hypot(one.value - low_one, high_other - other.value))
    high = value + float(np.hypot(high_one - one.value, other.value - low_other))
    return measurement(name, value, low, high, level, rows, bootstrap, method)


def clopper_pearson(share: float, trials: float, level: float) -> tuple[float, float]:
    """Give the exact two-sided binomial interval of a share of `trials` (real-valued: an effective count).

    With share 0 it is [0, 1 - ((1 - level) / 2) ** (1 / trials)].
    """
    tail, hits = (1 - level) / 2, share * trials
    low = 0.0 if hits <= 0 else float(special.betaincinv(hits, trials - hits + 1, tail))
    high = 1.0 if hits >= trials else float(special.betaincinv(hits + 1, trials - hits, 1 - tail))
    return low, high


def guarded_interval(part: Floats, whole: Floats, unseen: float, level: float) -> tuple[float, float]:
    """Give the small-count interval of sum(part) / sum(whole), the part being the rarer outcome.

    Parameters
    ----------
    part, whole
        Operators' weights in the part and in the whole, shape (k,), 0 <= part <= whole, sum(whole) > 0.
    unseen
        Weight of an operator that could have been in the part and was not seen there.
    level
        Nominal coverage, in (0, 1).

    Returns
    -------
    tuple
        Lower and upper end, in [0, 1]. With nothing in the part and every operator of weight 1 the upper end is near
        3.7 / k at level 0.95.
    """
    low, high = clopper_pearson(float(part.sum() / whole.sum()), effective_count(whole), level)
    other = float((whole - part).sum())
    if other <= 0:
        return low, 1.0
    tail = (1 - level) / 2
    odds, variance = float(part.sum()) / other, float(np.square(part).sum()) / other**2
    heaviest = max(float(whole.max()), unseen) / other
    if odds > 0:
        low_odds = float(special.gammaincinv(odds**2 / variance, tail)) * variance / odds
        low = min(low, low_odds / (1 + low_odds))
    mean, spread = odds + heaviest, variance + heaviest**2
    high_odds = float(special.gammaincinv(mean**2 / spread, 1 - tail)) * spread / mean
    return low, max(high, high_odds / (1 + high_odds))


def typical_weight(by_operator: Floats) -> float:
    """Give the weight of the operator behind a typical account: sum W^2 / sum W over operators; 0 for none."""
    total = float(by_operator.sum())
    return float(np.square(by_operator).sum()) / total if total else 0.0


def _measure_share(
    share: Share, by_operator: Floats, sums: Floats, bootstrap: OperatorBootstrap, level: float
) -> Measurement:
    part, whole, _ = by_operator.sum(axis=0)
    value = float(ratio(part, whole))
    without_one = ratio(part - by_operator[:, 0], np.maximum(whole - by_operator[:, 1], 0.0))
    low, high = accelerated(value, without_one, ratio(sums[:, 0], sums[:, 1]), level)
    method = f"self-normalised inverse-propensity share, accelerated {bootstrap}"
    held = by_operator[by_operator[:, 1] > 0]
    rarer, guard = _guard(held, by_operator[:, 2], level)
    if guard is not None and (rarer < FEW_OPERATORS or low is None or high is None):
        low = guard[0] if low is None else min(low, guard[0])
        high = guard[1] if high is None else max(high, guard[1])
        method += f"; widened by the small-count guard ({rarer} operators bear the rarer outcome)"
    return measurement(share.name, value, low, high, level, share.whole > 0, bootstrap, method)


def _guard(held: Floats, candidates: Floats, level: float) -> tuple[int, tuple[float, float] | None]:
    """Count the operators behind the rarer outcome, and give the interval that it deserves; none without operators."""
    if not len(held):
        return 0, None
    part, whole = held[:, 0], held[:, 1]
    in_part, outside = int((part > 0).sum()), int((whole > part).sum())
    if in_part <= outside:
        return in_part, guarded_interval(part, whole, typical_weight(candidates), level)
    low, high = guarded_interval(whole - part, whole, typical_weight(whole), level)
    return outside, (1 - high, 1 - low)


def _difference(sums: Floats) -> Floats:
    return ratio(sums[..., 0], np.maximum(sums[..., 1], 0.0)) - ratio(sums[..., 2], np.maximum(sums[..., 3], 0.0))


def _guarded_surplus(one: Share, other: Share, bootstrap: OperatorBootstrap, level: float) -> float | None:
    """Give how far the share that only `one` counts may lie above what was seen; None where enough operators tell."""
    _, whole, candidates = one.columns()
    by_operator = bootstrap.operator_sums(
        np.stack([np.clip(one.part - other.part, 0.0, whole), whole, candidates], axis=1)
    )
    held = by_operator[by_operator[:, 1] > 0]
    if not len(held) or int((held[:, 0] > 0).sum()) >= FEW_OPERATORS:
        return None
    surplus = float(held[:, 0].sum() / held[:, 1].sum())
    return guarded_interval(held[:, 0], held[:, 1], typical_weight(by_operator[:, 2]), level)[1] - surplus
