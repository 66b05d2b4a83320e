"""Drift has critical values of its own: what chance does is not called a move, what has moved is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from membergate.verification.drift import PERMUTATIONS, measure_drift, permutations_for, population_stability_index

N = 600
IS_LATER = np.arange(N) >= N // 2
ALONE = np.arange(N).astype(np.str_)


def test_the_index_is_its_formula() -> None:
    """Two bins of 60 and 40 against 30 and 70, half a row added to each: sum (p - q) ln(p / q)."""
    p, q = np.array([60.5, 40.5]) / 101, np.array([30.5, 70.5]) / 101
    expected = float(((p - q) * np.log(p / q)).sum())
    assert float(population_stability_index(np.array([60.0, 40.0]), np.array([30.0, 70.0]))) == pytest.approx(expected)


def test_what_moves_is_found_and_what_does_not_is_spared() -> None:
    """A shift by one deviation and a value that is gone are moves; twenty columns of noise are not."""
    generator = np.random.default_rng(0)
    values = {f"noise{i}": generator.normal(size=N) for i in range(20)}
    values["shifted"] = generator.normal(size=N) + IS_LATER
    values["gone"] = np.where(IS_LATER & (generator.random(N) < 0.3), np.nan, generator.normal(size=N))
    drift = measure_drift(values, IS_LATER, ALONE, seed=0)
    assert {row.name for row in drift.moved} == {"shifted", "gone"}
    gone = next(row for row in drift.rows if row.name == "gone")
    assert (gone.absent_before, round(gone.absent_now, 1)) == (0.0, 0.3)
    assert (drift.before, drift.now, drift.operators) == (300, 300, N)


def test_of_nothing_nothing_has_moved() -> None:
    """Without rows, or without quantities, the answer has no row, and counts whom there is."""
    nobody = measure_drift({"risk_score": np.zeros(0)}, IS_LATER[:0], ALONE[:0], seed=0)
    assert (nobody.rows, nobody.moved, nobody.before, nobody.now, nobody.operators) == ((), (), 0, 0, 0)
    nothing = measure_drift({}, IS_LATER, ALONE, seed=0)
    assert (nothing.rows, nothing.before, nothing.now, nothing.operators, nothing.permutations) == ((), 300, 300, N, 0)


def test_one_move_is_found_among_many_quantities() -> None:
    """With 120 quantities Holm's first bound lies below 1 / 1000: more permutations let a clear move fall below it."""
    generator = np.random.default_rng(3)
    values = {f"noise{i}": generator.normal(size=N) for i in range(119)}
    values["shifted"] = generator.normal(size=N) + IS_LATER
    drift = measure_drift(values, IS_LATER, ALONE, seed=0)
    assert [row.name for row in drift.moved] == ["shifted"]
    assert drift.permutations == permutations_for(120) == 11_999
    assert drift.moved[0].p_value == pytest.approx(0.05 / 120 / 5)
    assert all(row.p_value >= 1 / (1 + PERMUTATIONS) for row in drift.rows if row.index < 0.9 * row.critical)


def test_p_values_are_valid_where_they_stop() -> None:
    """Of columns that chance alone moves, a share p at most has a p-value up to p, on either side of the stop.

    600 columns on 120 rows; judged by the exact binomial interval of the share.
    """
    generator, rows = np.random.default_rng(4), 120
    values = {str(i): generator.normal(size=rows) for i in range(600)}
    drift = measure_drift(values, np.arange(rows) >= rows // 2, np.arange(rows).astype(np.str_), seed=0)
    p = np.array([row.p_value for row in drift.rows])
    for level in (0.002, 0.011, 0.05, 0.2, 0.5):
        hits = stats.binomtest(int((p <= level).sum()), len(p))
        assert hits.proportion_ci(0.99).low <= level, level
    assert not drift.moved


@pytest.mark.parametrize(("quantities", "least"), [(1, 999), (10, 999), (11, 1_099), (52, 5_199), (1_000, 99_999)])
def test_permutations_follow_the_quantities(quantities: int, least: int) -> None:
    """So many that the smallest p-value is at most a fifth of Holm's first bound, and never fewer than 999."""
    assert permutations_for(quantities) == least
    assert 1 / (1 + least) <= 0.05 / quantities / 5 * (1 + 1e-12)


def test_critical_values_agree_with_chi_square_where_accounts_are_independent() -> None:
    """The permutation's 95% point is that of the chi-square approximation, within its own noise."""
    row = measure_drift({"x": np.random.default_rng(1).normal(size=N)}, IS_LATER, ALONE, seed=0).rows[0]
    assert row.critical == pytest.approx(row.chi_square_critical, rel=0.15)


def test_operators_move_together() -> None:
    """Where every ten accounts are one operator with one value, chance reaches further than chi-square believes."""
    operators = np.repeat(np.arange(N // 10), 10)
    column = np.random.default_rng(2).normal(size=N // 10)[operators]
    row = measure_drift({"x": column}, IS_LATER, operators.astype(np.str_), seed=0).rows[0]
    assert row.critical > 3 * row.chi_square_critical
    assert not row.is_moved


def test_nothing_but_absence() -> None:
    """A feature that nobody has cannot move."""
    row = measure_drift({"x": np.full(N, np.nan)}, IS_LATER, ALONE, seed=0).rows[0]
    assert (row.index, row.is_moved, row.p_value) == (0.0, False, 1.0)
