"""Intervals from resampling operators: rings slip in together, so accounts are not independent and operators are.

Operators are drawn once, with replacement; every figure of a report reuses the same draws, so differences between two
policies on the same rows are paired without further work. Statistics are functions of weighted sums, so a replicate is
a matrix product, not a loop.

References
----------
Efron (1987), Better bootstrap confidence intervals, doi:10.1080/01621459.1987.10478410.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from membergate.domain.measurement import Measurement

Floats = NDArray[np.float64]

REPLICATES = 1000
LEVEL = 0.95
LEAST_DEFINED = 0.95
"""Share of replicates in which a statistic must be defined for its quantiles to mean anything."""
_BLOCK_CELLS = 1_000_000


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

        Parameters
        ----------
        operator_ids
            Each row's operator, shape (n,).
        generator
            The source of chance.
        replicates
            How many to draw, at least 1.
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
        """Give, block of replicates by block, how often each of the rows was drawn: shape (block, m).

        Parameters
        ----------
        rows
            Positions of the rows wanted, shape (m,).
        """
        for block in self._blocks(len(rows)):
            yield block[:, self.codes[rows]].astype(np.float64)

    def _blocks(self, width: int) -> Iterator[NDArray[np.uint8]]:
        step = max(1, _BLOCK_CELLS // max(width, 1))
        for start in range(0, len(self.counts), step):
            yield self.counts[start : start + step]

    def __str__(self) -> str:
        return f"bootstrap over {self.operators} operators, {len(self.counts)} replicates"


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
    """Build the Measurement of a statistic; a value that is not finite becomes an honest None, without interval.

    Parameters
    ----------
    name, value, low, high, level, method, unit
        As in `Measurement`.
    rows
        Marks the rows that the statistic stands on, shape (n,): their number and operators are counted.
    bootstrap
        Knows the rows' operators.
    """
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
    defined = _defined(replicates)
    if defined is None:
        return None, None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def accelerated(
    value: float, without_one: Floats, replicates: Floats, level: float
) -> tuple[float | None, float | None]:
    """Give Efron's bias-corrected, accelerated interval; the percentile interval where the correction breaks down.

    Parameters
    ----------
    value
        The statistic on the sample.
    without_one
        The statistic with each operator left out in turn, shape (k,).
    replicates
        The statistic of each bootstrap replicate, shape (replicates,).
    level
        Nominal coverage, in (0, 1).

    Returns
    -------
    tuple
        Lower and upper end, or (None, None) where replicates are constant or too often undefined.
    """
    defined = _defined(replicates)
    if defined is None:
        return None, None
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    below = float(np.mean(defined < value) + np.mean(defined == value) / 2)
    influence = np.nanmean(without_one) - without_one[np.isfinite(without_one)]
    spread = float(np.square(influence).sum())
    if 0.0 < below < 1.0 and spread > 0.0:
        acceleration = float((influence**3).sum()) / (6 * spread**1.5)
        bias = special.ndtri(below)
        shifted = bias + special.ndtri(tails)
        if (acceleration * shifted < 1).all():
            tails = special.ndtr(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(defined, tails)
    return float(low), float(high)


def effective_count(weights: Floats) -> float:
    """Give Kish's effective number, (sum w)^2 / sum w^2; 0 for none."""
    total = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / total if total else 0.0


def _defined(replicates: Floats) -> Floats | None:
    defined = replicates[np.isfinite(replicates)]
    if len(defined) < max(2.0, LEAST_DEFINED * len(replicates)) or defined.min() == defined.max():
        return None
    return defined
