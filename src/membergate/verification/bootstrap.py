"""Intervals from resampling operators: rings slip in together, so accounts are not independent and operators are.

Operators are drawn once, with replacement; every figure of a report reuses the same draws, so differences between two
policies on the same rows are paired without further work. Statistics are functions of weighted sums, so a replicate is
a matrix product, not a loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from membergate.domain.measurement import Measurement

Floats = NDArray[np.float64]

REPLICATES = 1000
LEVEL = 0.95
FEW_OPERATORS = 10
"""With fewer operators than this behind the rarer outcome, percentiles alone are too narrow: the guard widens them."""
LEAST_DEFINED = 0.95
"""Share of replicates in which a statistic must be defined for its percentiles to mean anything."""
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class OperatorBootstrap:
    """How often each operator was drawn, in every replicate.

    Parameters
    ----------
    codes
        Position of each row's operator, shape (n,), in [0, k).
    counts
        Times an operator was drawn, shape (replicates, k). Each row sums to k.
    """

    codes: NDArray[np.int64]
    counts: NDArray[np.uint8]

    @staticmethod
    def draw(
        operator_ids: NDArray[np.str_], generator: np.random.Generator, replicates: int = REPLICATES
    ) -> OperatorBootstrap:
        """Draw the replicates: k operators with replacement from the k that there are.

        The same ids and a generator in the same state give the same draws.
        """
        known, codes = np.unique(operator_ids, return_inverse=True)
        k = len(known)
        # A count follows Poisson(1) closely: a byte holds it whatever k is.
        counts = np.zeros((replicates, k), dtype=np.uint8)
        step = max(1, _BLOCK_CELLS // max(k, 1))
        for start in range(0, replicates if k else 0, step):
            rows = min(step, replicates - start)
            drawn = generator.integers(0, k, size=(rows, k)) + np.arange(rows)[:, None] * k
            counts[start : start + rows] = np.bincount(drawn.ravel(), minlength=rows * k).reshape(rows, k)
        return OperatorBootstrap(codes.astype(np.int64), counts)

    @property
    def operators(self) -> int:
        """How many operators there are."""
        return int(self.counts.shape[1])

    def operator_sums(self, columns: Floats) -> Floats:
        """Sum rows by operator: (n, q) -> (k, q)."""
        sums = np.empty((self.operators, columns.shape[1]))
        for q in range(columns.shape[1]):
            sums[:, q] = np.bincount(self.codes, weights=columns[:, q], minlength=self.operators)
        return sums

    def replicate_sums(self, operator_sums: Floats) -> Floats:
        """Give each replicate's totals: (k, q) -> (replicates, q)."""
        return np.concatenate([block.astype(np.float64) @ operator_sums for block in self._blocks(self.operators)])

    def row_weights(self, rows: NDArray[np.int64]) -> Iterator[Floats]:
        """Give, block of replicates by block, how often each of the rows was drawn: shape (block, len(rows))."""
        for block in self._blocks(len(rows)):
            yield block[:, self.codes[rows]].astype(np.float64)

    def _blocks(self, width: int) -> Iterator[NDArray[np.uint8]]:
        step = max(1, _BLOCK_CELLS // max(width, 1))
        for start in range(0, len(self.counts), step):
            yield self.counts[start : start + step]


@dataclass(frozen=True)
class Share:
    """A share to be estimated: a weighted part of a weighted whole, row by row.

    Parameters
    ----------
    name
        What is estimated.
    part, whole
        Each row's weight in the numerator and in the denominator, shape (n,), 0 <= part <= whole.
    """

    name: str
    part: Floats
    whole: Floats


def measure_shares(
    shares: Sequence[Share], bootstrap: OperatorBootstrap, *, level: float = LEVEL
) -> tuple[Measurement, ...]:
    """Estimate shares with percentile intervals over operators, guarded where counts are small.

    The guard: where fewer than `FEW_OPERATORS` operators bear the rarer outcome, the interval is widened to the
    Clopper-Pearson interval of the same share on the effective number of operators, (sum W)^2 / sum W^2 over the
    operators' weights W in the whole. No leak among k operators thus gives an upper end near 3.7 / k, never [0, 0].
    """
    if not shares:
        return ()
    columns = np.stack([column for share in shares for column in (share.part, share.whole)], axis=1)
    by_operator = bootstrap.operator_sums(columns)
    replicates = bootstrap.replicate_sums(by_operator)
    return tuple(
        _measure_share(share, by_operator[:, 2 * i : 2 * i + 2], replicates[:, 2 * i : 2 * i + 2], bootstrap, level)
        for i, share in enumerate(shares)
    )


def measure_difference(
    name: str, minuend: Share, subtrahend: Share, bootstrap: OperatorBootstrap, *, level: float = LEVEL
) -> Measurement:
    """Estimate the difference of two shares on the same rows, paired by operator.

    Where fewer than `FEW_OPERATORS` operators tell the two apart, the interval is widened on either side by the
    Clopper-Pearson upper end of the share of the whole that only one of the two counts.
    """
    columns = np.stack([minuend.part, minuend.whole, subtrahend.part, subtrahend.whole], axis=1)
    by_operator = bootstrap.operator_sums(columns)
    totals = by_operator.sum(axis=0)
    value = float(ratio(totals[0], totals[1]) - ratio(totals[2], totals[3]))
    sums = bootstrap.replicate_sums(by_operator)
    replicates = ratio(sums[:, 0], sums[:, 1]) - ratio(sums[:, 2], sums[:, 3])
    low, high = percentiles(replicates, level)
    method = f"paired difference; {describe(bootstrap)}"
    if np.isfinite(value):
        more = _discordant_end(minuend, subtrahend, bootstrap, level)
        less = _discordant_end(subtrahend, minuend, bootstrap, level)
        if more is not None:
            high = max(value if high is None else high, more)
            method += "; upper end held up by Clopper-Pearson on the few operators that differ"
        if less is not None:
            low = min(value if low is None else low, -less)
            method += "; lower end held down likewise"
    rows = (minuend.whole > 0) | (subtrahend.whole > 0)
    return measurement(name, value, low, high, level, rows, bootstrap, method)


def measurement(
    name: str,
    value: float,
    low: float | None,
    high: float | None,
    level: float,
    rows: NDArray[np.bool_],
    bootstrap: OperatorBootstrap,
    method: str,
    unit: str = "ratio",
) -> Measurement:
    """Build the Measurement of a statistic of the marked rows; a value that is not finite becomes an honest None."""
    known = bool(np.isfinite(value))
    return Measurement(
        name=name,
        value=float(value) if known else None,
        low=low if known else None,
        high=high if known else None,
        level=level,
        unit=unit,
        n=int(rows.sum()),
        operators=len(np.unique(bootstrap.codes[rows])),
        method=method,
    )


def ratio(part: Floats | float, whole: Floats | float) -> Floats:
    """Divide, giving NaN where the whole is empty."""
    whole = np.asarray(whole, dtype=np.float64)
    quotient: Floats = np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
    return quotient


def percentiles(replicates: Floats, level: float) -> tuple[float | None, float | None]:
    """Give the two-sided percentile interval, or (None, None) where replicates are constant or too often undefined."""
    defined = replicates[np.isfinite(replicates)]
    if len(defined) < max(2.0, LEAST_DEFINED * len(replicates)) or defined.min() == defined.max():
        return None, None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def clopper_pearson(share: float, trials: float, level: float) -> tuple[float, float]:
    """Give the exact two-sided binomial interval of a share of `trials` (real-valued: an effective count).

    With share 0 it is [0, 1 - ((1 - level) / 2) ** (1 / trials)].
    """
    tail, hits = (1 - level) / 2, share * trials
    low = 0.0 if hits <= 0 else float(stats.beta.ppf(tail, hits, trials - hits + 1))
    high = 1.0 if hits >= trials else float(stats.beta.ppf(1 - tail, hits + 1, trials - hits))
    return low, high


def effective_count(weights: Floats) -> float:
    """Give Kish's effective number, (sum w)^2 / sum w^2; 0 for none."""
    total = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / total if total else 0.0


def describe(bootstrap: OperatorBootstrap) -> str:
    """Say how the interval was made."""
    return f"percentile bootstrap over {bootstrap.operators} operators, {len(bootstrap.counts)} replicates"


def _measure_share(
    share: Share, by_operator: Floats, sums: Floats, bootstrap: OperatorBootstrap, level: float
) -> Measurement:
    part, whole = by_operator.sum(axis=0)
    value = float(ratio(part, whole))
    low, high = percentiles(ratio(sums[:, 0], sums[:, 1]), level)
    method = f"self-normalised inverse-propensity share; {describe(bootstrap)}"
    held = by_operator[by_operator[:, 1] > 0]
    rarer = min(int((held[:, 0] > 0).sum()), int((held[:, 1] > held[:, 0]).sum()))
    if np.isfinite(value) and (rarer < FEW_OPERATORS or low is None or high is None):
        effective = effective_count(held[:, 1])
        guard_low, guard_high = clopper_pearson(value, effective, level)
        low = guard_low if low is None else min(low, guard_low)
        high = guard_high if high is None else max(high, guard_high)
        method += (
            f"; widened to Clopper-Pearson on {effective:.1f} effective operators ({rarer} bear the rarer outcome)"
        )
    return measurement(share.name, value, low, high, level, share.whole > 0, bootstrap, method)


def _discordant_end(one: Share, other: Share, bootstrap: OperatorBootstrap, level: float) -> float | None:
    """Give the upper end of the share that only `one` counts, or None where enough operators tell the two apart."""
    columns = np.stack([np.maximum(one.part - other.part, 0.0), one.whole], axis=1)
    by_operator = bootstrap.operator_sums(columns)
    if int((by_operator[:, 0] > 0).sum()) >= FEW_OPERATORS:
        return None
    part, whole = by_operator.sum(axis=0)
    effective = effective_count(by_operator[:, 1])
    return clopper_pearson(float(part / whole), effective, level)[1] if whole > 0 else None
