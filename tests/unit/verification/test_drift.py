"""Drift has critical values of its own: what chance does is not called a move, what has moved is."""

from __future__ import annotations

import numpy as np
import pytest

from membergate.verification.drift import measure_drift, population_stability_index

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
