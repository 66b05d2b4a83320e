"""Drift: have scores and features moved since the model was learned? With critical values, not with folk thresholds.

The population stability index sums (p - q) ln(p / q) over bins between quantiles of both periods together, absence
being a bin of its own. Its size depends on the numbers of rows: with two samples from one population it is near
(bins - 1) (1/n + 1/m), so that the usual bands of 0.1 and 0.25 call small samples moved and large ones calm. The
critical value here is that of a permutation test over whole operators; beside it stands the chi-square one, which takes
accounts as independent. Among many features some exceed their own critical value by chance, so the smallest p-values
are held against Holm's bounds.

References
----------
Yurdakul and Naranjo (2020), Statistical properties of the population stability index,
doi:10.21314/JRMV.2020.227. Holm (1979), a simple sequentially rejective multiple test procedure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 10
PERMUTATIONS = 999
ALPHA = 0.05
FOLK_BANDS = (0.1, 0.25)
"""The bands that are usually quoted, shown for comparison only."""
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class DriftRow:
    """How far one quantity has moved.

    Parameters
    ----------
    name
        `risk_score`, or a feature's id.
    index
        The population stability index, >= 0.
    critical
        The 95% point of the index when periods are dealt out to operators by chance.
    chi_square_critical
        The same from the chi-square approximation, were accounts independent.
    p_value
        Of the permutation test.
    is_moved
        Whether it stays significant at 5% among all the quantities (Holm).
    absent_before, absent_now
        Share of rows without a value, in [0, 1].
    """

    name: str
    index: float
    critical: float
    chi_square_critical: float
    p_value: float
    is_moved: bool
    absent_before: float
    absent_now: float


@dataclass(frozen=True, slots=True)
class Drift:
    """Scores and features, earlier against later.

    Parameters
    ----------
    rows
        The score first, then features from the most to the least moved.
    before, now
        Applications of the earlier and of the later period.
    operators
        Operators in all.
    permutations
        How often periods were dealt out anew.
    """

    rows: tuple[DriftRow, ...]
    before: int
    now: int
    operators: int
    permutations: int

    @property
    def moved(self) -> tuple[DriftRow, ...]:
        """What has moved by more than chance."""
        return tuple(row for row in self.rows if row.is_moved)


def population_stability_index(before: Floats, now: Floats) -> Floats:
    """Give the index of counts by bin, summed over the last axis; half a row is added to every bin.

    Parameters
    ----------
    before, now
        Counts, shape (..., bins).
    """
    p = (before + _HALF) / (before + _HALF).sum(axis=-1, keepdims=True)
    q = (now + _HALF) / (now + _HALF).sum(axis=-1, keepdims=True)
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1), dtype=np.float64)


def measure_drift(
    values: Mapping[str, Floats], is_later: NDArray[np.bool_], operator_ids: NDArray[np.str_], *, seed: int
) -> Drift:
    """Hold the later rows against the earlier ones.

    Parameters
    ----------
    values
        Name -> value of each row, shape (n,), NaN where absent; `risk_score` first, if it is there.
    is_later
        Which rows are of the later period, shape (n,).
    operator_ids
        Operator of each row, shape (n,): a permutation gives all rows of an operator in one period to the period of
        another such block.
    seed
        Seed of the permutations.
    """
    sides = _permuted(is_later, operator_ids, np.random.default_rng(seed))
    found = [_row(name, column, is_later, sides) for name, column in values.items()]
    bounds = _holm([row[1] for row in found])
    rows = [
        DriftRow(name, index, critical, chi, p, p <= bound, absent_before, absent_now)
        for (name, p, index, critical, chi, absent_before, absent_now), bound in zip(found, bounds, strict=True)
    ]
    rows.sort(key=lambda row: (row.name != "risk_score", row.p_value, -row.index / max(row.critical, 1e-12)))
    later = int(is_later.sum())
    return Drift(tuple(rows), len(is_later) - later, later, len(np.unique(operator_ids)), PERMUTATIONS)


def _permuted(is_later: NDArray[np.bool_], operator_ids: NDArray[np.str_], generator: np.random.Generator) -> Floats:
    """Deal periods out anew, shape (permutations, n), blocks of an operator's rows in one period staying together."""
    _, block = np.unique(np.char.add(operator_ids.astype(np.str_), np.where(is_later, "|1", "|0")), return_inverse=True)
    size = int(block.max(initial=-1)) + 1
    side = np.zeros(size)
    side[block] = is_later
    return np.stack([generator.permutation(side)[block] for _ in range(PERMUTATIONS)])


def _row(
    name: str, column: Floats, is_later: NDArray[np.bool_], sides: Floats
) -> tuple[str, float, float, float, float, float, float]:
    codes, bins = _binned(column)
    member = np.zeros((len(column), bins))
    member[np.arange(len(column)), codes] = 1.0
    everyone = member.sum(axis=0)
    later = sides @ member
    null = population_stability_index(everyone - later, later)
    now = member[is_later].sum(axis=0)
    index = float(population_stability_index(everyone - now, now))
    # Summing in another order moves the last bits; an index that is equal counts as reached.
    p = (1 + int((null >= index - 1e-12).sum())) / (len(null) + 1)
    absent = ~np.isfinite(column)
    n, m = int((~is_later).sum()), int(is_later.sum())
    chi = float(stats.chi2.ppf(1 - ALPHA, max(bins - 1, 1))) * (1 / max(n, 1) + 1 / max(m, 1))
    shares = [float(absent[side].mean()) if side.any() else 0.0 for side in (~is_later, is_later)]
    return name, p, index, float(np.quantile(null, 1 - ALPHA)), chi, shares[0], shares[1]


def _binned(column: Floats) -> tuple[Ints, int]:
    """Give each row's bin among the quantiles of all rows, and the number of bins; absence is the last one.

    The edges are those of both periods together, so that they do not favour either and the permutation is exact.
    """
    present = np.isfinite(column)
    edges = np.unique(np.quantile(column[present], np.arange(1, BINS) / BINS)) if present.any() else np.zeros(0)
    codes = np.searchsorted(edges, np.where(present, column, 0.0), side="right")
    codes = np.where(present, codes, len(edges) + 1)
    _, dense = np.unique(codes, return_inverse=True)
    return dense.astype(np.int64), int(dense.max(initial=0)) + 1


def _holm(p_values: list[float]) -> list[float]:
    """Give each p-value the bound that it must meet: Holm's, 0 once a smaller one has failed."""
    bounds = [0.0] * len(p_values)
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        bound = ALPHA / (len(p_values) - rank)
        if p_values[at] > bound:
            break
        bounds[at] = bound
    return bounds
