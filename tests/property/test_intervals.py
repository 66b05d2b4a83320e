"""Intervals: what must hold of every one, and how often they cover the truth where rings leak together."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from membergate.verification.bootstrap import OperatorBootstrap
from membergate.verification.ranking import Frontier
from membergate.verification.shares import Share, measure_difference, measure_shares

Rows = list[tuple[int, bool, bool, float]]
ROWS = st.lists(
    st.tuples(st.integers(0, 12), st.booleans(), st.booleans(), st.floats(1.0, 20.0)), min_size=1, max_size=60
)


def share_of(rows: Rows, part: int) -> tuple[Share, NDArray[np.str_]]:
    """Build a share of all rows from (operator, in part 1, in part 2, weight)."""
    operators = np.array([f"op{row[0]:02d}" for row in rows])
    weight = np.array([row[3] for row in rows])
    return Share("share", weight * [row[part] for row in rows], weight), operators


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_a_share_lies_in_its_interval_and_its_interval_in_the_range(rows: Rows) -> None:
    """0 <= low <= value <= high <= 1, and no interval is a point."""
    share, operators = share_of(rows, 1)
    bootstrap = OperatorBootstrap.draw(operators, np.random.default_rng(0), 60)
    (found,) = measure_shares([share], bootstrap)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert -1e-12 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1 + 1e-12
    assert found.high > found.low


@settings(max_examples=40, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: Rows, random: object) -> None:
    """Shuffled rows give the same figures up to rounding: operators are drawn by their sorted ids."""
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = []
    for order in (rows, shuffled):
        share, operators = share_of(order, 1)
        bootstrap = OperatorBootstrap.draw(operators, np.random.default_rng(0), 60)
        found.append(measure_shares([share], bootstrap)[0])
    ends = [[float(end) for end in (m.value, m.low, m.high) if end is not None] for m in found]
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_a_difference_turns_its_sign(rows: Rows) -> None:
    """Exchanging the two sides of a paired difference turns value and interval over."""
    one, operators = share_of(rows, 1)
    other, _ = share_of(rows, 2)
    bootstrap = OperatorBootstrap.draw(operators, np.random.default_rng(0), 60)
    there = measure_difference("d", one, other, bootstrap)
    back = measure_difference("d", other, one, bootstrap)
    assert there.value is not None
    assert there.low is not None
    assert there.high is not None
    assert back.low is not None
    assert back.high is not None
    np.testing.assert_allclose([there.low, there.high], [-back.high, -back.low], atol=1e-9)
    assert there.low <= there.value + 1e-12
    assert there.value <= there.high + 1e-12


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12), st.floats(0.0, 1.0))
def test_genuine_at_leakage_agrees_with_trying_every_threshold(groups: list[tuple[int, int]], leakage: float) -> None:
    """The vectorised answer is the best of all thresholds tried one by one."""
    merchant, genuine = np.array(groups, dtype=np.float64).T[:, None, :]
    found = Frontier.of(merchant, genuine).genuine_at(np.array([leakage]))[0]
    if merchant.sum() == 0 or genuine.sum() == 0:
        assert np.isnan(found)
        return
    best = 0.0
    for last in range(len(groups)):
        m, g = merchant[0, : last + 1].sum(), genuine[0, : last + 1].sum()
        if m <= leakage * (m + g) * (1 + 1e-9) + 1e-9 * (m + g):
            best = max(best, g / genuine.sum())
    assert found == best


def _leaky_market(generator: np.random.Generator, operators: int) -> tuple[NDArray[np.int64], Share]:
    """Draw operators, 8 % of them merchants and 40 % of those rings of 3 to 15 that slip in together."""
    runs = generator.random(operators) < 0.08
    size = np.where(runs & (generator.random(operators) < 0.4), generator.integers(3, 16, operators), 1)
    operator = np.repeat(np.arange(operators), size)
    merchant = runs[operator]
    latent = 0.85**0.5 * generator.normal(size=operators)[operator] + 0.15**0.5 * generator.normal(size=len(operator))
    admitted = latent < np.where(merchant, special.ndtri(0.1), special.ndtri(0.9))
    whole = admitted.astype(np.float64)
    return operator, Share("leakage", whole * merchant, whole, merchant.astype(np.float64))


def test_clustered_intervals_cover_where_naive_ones_do_not() -> None:
    """With rings, intervals over operators hold about their 95 %; the same intervals over accounts miss far more."""
    generator = np.random.default_rng(3)
    _, everyone = _leaky_market(generator, 1_000_000)
    truth = everyone.part.sum() / everyone.whole.sum()
    covered = {"operators": 0, "accounts": 0}
    runs = 100
    for _ in range(runs):
        operator, share = _leaky_market(generator, 600)
        for unit, ids in (("operators", operator), ("accounts", np.arange(len(operator)))):
            bootstrap = OperatorBootstrap.draw(ids.astype(np.str_), generator, 150)
            (found,) = measure_shares([share], bootstrap)
            assert found.low is not None
            assert found.high is not None
            covered[unit] += found.low <= truth <= found.high
    assert covered["operators"] / runs >= 0.92
    assert covered["accounts"] / runs <= 0.80
