"""The bootstrap draws operators, not accounts, and answers the same question the same way."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from membergate.verification.bootstrap import OperatorBootstrap, accelerated, effective_count, percentiles
from membergate.verification.shares import Share, clopper_pearson, guarded_interval, measure_difference, measure_shares

OPERATORS = np.array(["a", "a", "b", "c", "c", "c", "d"])


def draw(
    operators: np.ndarray[tuple[int], np.dtype[np.str_]], seed: int = 1, replicates: int = 400
) -> OperatorBootstrap:
    """Draw with a seed."""
    return OperatorBootstrap.draw(operators, np.random.default_rng(seed), replicates)


def test_replicates_resample_whole_operators() -> None:
    """Every replicate draws as many operators as there are, and all rows of one come together."""
    bootstrap = draw(OPERATORS)
    assert (bootstrap.counts.sum(axis=1) == 4).all()
    weights = np.concatenate(list(bootstrap.row_weights(np.arange(7))))
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()


def test_replicate_sums_agree_with_a_loop() -> None:
    """The matrix product gives what resampling row by row gives."""
    bootstrap = draw(OPERATORS, replicates=25)
    column = np.arange(7.0)
    sums = bootstrap.replicate_sums(bootstrap.operator_sums(column[:, None]))[:, 0]
    looped = [
        sum(counts[code] * value for code, value in zip(bootstrap.codes, column, strict=True))
        for counts in bootstrap.counts
    ]
    assert sums == pytest.approx(looped)


def test_draws_depend_on_the_generator_only() -> None:
    """The same seed gives the same draws, another seed others."""
    assert (draw(OPERATORS).counts == draw(OPERATORS).counts).all()
    assert (draw(OPERATORS).counts != draw(OPERATORS, seed=2).counts).any()


def test_thousands_of_rows_take_moments() -> None:
    """Five thousand operators and a thousand replicates of twenty shares stay within seconds of processor time."""
    begin = time.process_time()
    generator = np.random.default_rng(0)
    bootstrap = draw(np.arange(5000).astype(np.str_), replicates=1000)
    shares = [Share(f"s{i}", (generator.random(5000) < 0.1).astype(np.float64), np.ones(5000)) for i in range(20)]
    measure_shares(shares, bootstrap)
    assert time.process_time() - begin < 8.0


def test_clopper_pearson_matches_scipy() -> None:
    """The exact interval is SciPy's; with no event its upper end is the closed form."""
    ours = clopper_pearson(3 / 40, 40, 0.95)
    theirs = stats.binomtest(3, 40).proportion_ci(0.95, method="exact")
    assert ours == pytest.approx((theirs.low, theirs.high))
    assert clopper_pearson(0.0, 100, 0.95) == pytest.approx((0.0, 1 - 0.025 ** (1 / 100)))


def test_no_leak_is_no_proof_of_none() -> None:
    """With no leak among 200 operators the upper end is near 3.7 / 200, not 0, and the method says why."""
    bootstrap = draw(np.arange(200).astype(np.str_))
    (found,) = measure_shares([Share("leakage", np.zeros(200), np.ones(200))], bootstrap)
    assert found.value == 0.0
    assert found.low == 0.0
    assert found.high == pytest.approx(3.7 / 200, rel=0.03)
    assert "small-count guard" in found.method


def test_full_admission_is_no_certainty() -> None:
    """With everyone admitted the lower end is below 1 by as much."""
    bootstrap = draw(np.arange(200).astype(np.str_))
    (found,) = measure_shares([Share("genuine_admission_rate", np.ones(200), np.ones(200))], bootstrap)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(1 - 3.7 / 200, rel=0.03)


def test_an_unseen_ring_weighs_what_rings_weigh() -> None:
    """Where the merchants among the applicants come in fives, no leak among 200 operators bounds little."""
    part, whole = np.zeros(200), np.ones(200)
    assert guarded_interval(part, whole, 5.0, 0.95)[1] > 4 * guarded_interval(part, whole, 1.0, 0.95)[1]


def test_one_operator_says_next_to_nothing() -> None:
    """A single operator gives an interval of nearly the whole range."""
    (found,) = measure_shares([Share("leakage", np.zeros(3), np.ones(3))], draw(np.array(["a", "a", "a"])))
    assert found.operators == 1
    assert found.high is not None
    assert found.high > 0.9


def test_an_empty_whole_has_no_share() -> None:
    """Without a denominator there is neither value nor interval."""
    (found,) = measure_shares([Share("leakage", np.zeros(7), np.zeros(7))], draw(OPERATORS))
    assert (found.value, found.low, found.high, found.n) == (None, None, None, 0)


def test_equal_policies_differ_by_nothing_but_not_for_certain() -> None:
    """Two policies that agree on every row differ by 0, in an interval as wide as the labels are few."""
    share = Share("leakage", np.zeros(200), np.ones(200))
    found = measure_difference("difference", share, share, draw(np.arange(200).astype(np.str_)))
    assert found.value == 0.0
    assert found.high is not None
    assert found.low is not None
    assert 0.01 < found.high < 0.03
    assert found.low == -found.high


def test_accelerated_interval_agrees_with_scipy() -> None:
    """The accelerated interval of a ratio is SciPy's, up to the noise of the draws."""
    generator = np.random.default_rng(5)
    values = generator.exponential(size=60)
    bootstrap = draw(np.arange(60).astype(np.str_), replicates=6000)
    means = bootstrap.replicate_sums(bootstrap.operator_sums(values[:, None]))[:, 0] / 60
    ours = accelerated(float(values.mean()), (values.sum() - values) / 59, means, 0.95)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=6000, method="BCa", random_state=1).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_replicates_that_say_nothing_give_no_interval() -> None:
    """Constant or mostly undefined replicates have no percentiles."""
    assert percentiles(np.full(100, 0.5), 0.95) == (None, None)
    assert percentiles(np.r_[np.full(50, np.nan), np.arange(50.0)], 0.95) == (None, None)
    assert accelerated(0.5, np.array([0.4, 0.6]), np.full(100, 0.5), 0.95) == (None, None)


def test_effective_count_is_kishs() -> None:
    """Even weights count fully, uneven ones less, none not at all."""
    assert effective_count(np.full(8, 3.0)) == pytest.approx(8.0)
    assert effective_count(np.array([1.0, 3.0])) == pytest.approx(1.6)
    assert effective_count(np.zeros(0)) == 0.0
