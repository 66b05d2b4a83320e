"""Drift: have scores and features moved since the model was learned? With critical values, not with folk thresholds.

The population stability index sums (p - q) ln(p / q) over bins between quantiles of both periods together, absence
being a bin of its own. Its size depends on the numbers of rows: with two samples from one population it is near
(bins - 1) (1/n + 1/m), so that the usual bands of 0.1 and 0.25 call small samples moved and large ones calm. The
critical value here is that of a permutation test over whole operators; beside it stands the chi-square one, which takes
accounts as independent. Among many features some exceed their own critical value by chance, so the smallest p-values
are held against Holm's bounds. These fall with the number of quantities, and so must the smallest p-value that
permutations can give; only quantities that chance seldom reached go through all of them. A quantity's p-value is then
either that of all its permutations, or beyond what fewer than `REACHED` hits give: it is valid where it stops.

References
----------
Yurdakul and Naranjo (2020), Statistical properties of the population stability index,
doi:10.21314/JRMV.2020.227. Holm (1979), a simple sequentially rejective multiple test procedure. Besag and Clifford
(1991), Sequential Monte Carlo p-values, doi:10.1093/biomet/78.2.301.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Sides = NDArray[np.float32]

BINS = 10
PERMUTATIONS = 999
"""Permutations that every quantity goes through; its critical value stands on them."""
REACHED = 10
"""A quantity that chance has reached so often in those goes through no more."""
ALPHA = 0.05
FINENESS = 5
"""The smallest p-value is at most this part of Holm's first bound."""
FOLK_BANDS = (0.1, 0.25)
"""The bands that are usually quoted, shown for comparison only."""
_HALF = 0.5
_CELLS = 4_000_000
"""Blocks times permutations that are dealt out at once, at most: 16 MB, however many rows there are."""


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
        How often periods were dealt out anew for what chance seldom reaches; `PERMUTATIONS` times for the rest.
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

    Returns
    -------
    Drift
        Without a row where there is no quantity, or nobody to measure: nothing has moved.
    """
    before, now, operators = int((~is_later).sum()), int(is_later.sum()), len(np.unique(operator_ids))
    if not values or not len(is_later):
        return Drift((), before, now, operators, 0)
    side, block = _blocks(is_later, operator_ids)
    quantities = [_Quantity.of(column, block) for column in values.values()]
    index = _indices(quantities, side[:, None])[:, 0]
    critical, p_values = _held_against_chance(quantities, index, side, np.random.default_rng(seed))
    bounds = _holm(p_values.tolist())
    rows = [
        DriftRow(
            name=name,
            index=float(index[at]),
            critical=float(critical[at]),
            chi_square_critical=quantities[at].chi_square_critical(before, now),
            p_value=float(p_values[at]),
            is_moved=bool(p_values[at] <= bounds[at]),
            absent_before=_absent(column[~is_later]),
            absent_now=_absent(column[is_later]),
        )
        for at, (name, column) in enumerate(values.items())
    ]
    rows.sort(key=lambda row: (row.name != "risk_score", row.p_value, -row.index / max(row.critical, 1e-12)))
    return Drift(tuple(rows), before, now, operators, permutations_for(len(quantities)))


def permutations_for(quantities: int) -> int:
    """Count the permutations after which a p-value can be a fifth of Holm's first bound; `PERMUTATIONS` at least.

    Parameters
    ----------
    quantities
        Among how many it must stay significant.
    """
    return max(PERMUTATIONS, int(np.ceil(FINENESS * quantities / ALPHA)) - 1)


@dataclass(frozen=True, slots=True)
class _Quantity:
    """One quantity's rows, counted by bin and by block: `counts` has shape (bins, blocks)."""

    counts: csr_array

    @classmethod
    def of(cls, column: Floats, block: Ints) -> Self:
        codes, bins = _binned(column)
        ones = np.ones(len(codes), dtype=np.float32)  # exact up to 16 million rows
        return cls(csr_array((ones, (codes, block)), shape=(bins, int(block.max(initial=-1)) + 1)))

    def index(self, later: Sides) -> Floats:
        """Give the index where the blocks of which `later` says 1 are the later ones: shape (blocks, k) to (k,)."""
        now = np.asarray(self.counts @ later, dtype=np.float64).T
        return population_stability_index(np.asarray(self.counts.sum(axis=1)) - now, now)

    def chi_square_critical(self, before: int, now: int) -> float:
        """Give the critical value, were rows independent."""
        degrees = max(self.counts.shape[0] - 1, 1)
        return float(stats.chi2.ppf(1 - ALPHA, degrees)) * (1 / max(before, 1) + 1 / max(now, 1))


def _absent(column: Floats) -> float:
    return float((~np.isfinite(column)).mean()) if len(column) else 0.0


def _indices(quantities: Sequence[_Quantity], later: Sides) -> Floats:
    return np.stack([each.index(later) for each in quantities])


def _blocks(is_later: NDArray[np.bool_], operator_ids: NDArray[np.str_]) -> tuple[Sides, Ints]:
    """Join an operator's rows of one period to a block: each block's period (1 for the later), each row's block."""
    _, block = np.unique(np.char.add(operator_ids.astype(np.str_), np.where(is_later, "|1", "|0")), return_inverse=True)
    side = np.zeros(int(block.max(initial=-1)) + 1, dtype=np.float32)
    side[block] = is_later
    return side, block


def _deals(side: Sides, times: int, generator: np.random.Generator) -> Iterator[Sides]:
    """Deal periods out to blocks anew, some permutations at a time: shape (blocks, some)."""
    at_once = max(1, _CELLS // len(side))
    for first in range(0, times, at_once):
        some = min(at_once, times - first)
        yield np.ascontiguousarray(generator.permuted(np.tile(side, (some, 1)), axis=1).T)


def _held_against_chance(
    quantities: Sequence[_Quantity], index: Floats, side: Sides, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Give every quantity's critical value and p-value."""
    # Summing in another order moves the last bits; an index that is equal counts as reached.
    least = index[:, None] - 1e-12
    null = np.concatenate([_indices(quantities, deal) for deal in _deals(side, PERMUTATIONS, generator)], axis=1)
    reached, tried = (null >= least).sum(axis=1), np.full(len(quantities), PERMUTATIONS)
    rare = np.flatnonzero(reached < REACHED)
    if len(rare):
        tried[rare] = permutations_for(len(quantities))
        for deal in _deals(side, int(tried.max()) - PERMUTATIONS, generator):
            reached[rare] += (_indices([quantities[at] for at in rare.tolist()], deal) >= least[rare]).sum(axis=1)
    return np.quantile(null, 1 - ALPHA, axis=1), (1 + reached) / (1 + tried)


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
