"""Selective labels: exact where all is seen, honest about what had no chance, right where the accepted lie."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from membergate.domain.errors import BadInputError
from membergate.verification.selective_labels import SelectiveSample, estimate

RUNS = 200


def sample_of(seen: np.ndarray, propensity: np.ndarray, outcome: np.ndarray, score: np.ndarray) -> SelectiveSample:
    """Make single-account operators."""
    return SelectiveSample(np.arange(len(seen)), propensity, seen, outcome, score)


def test_everything_seen_is_the_plain_mean() -> None:
    """With every outcome seen for sure, all three estimates are the mean."""
    outcome = (np.arange(200) % 8 == 0).astype(float)
    found = estimate(sample_of(np.ones(200, bool), np.ones(200), outcome, np.linspace(0, 1, 200)), "share")
    values = [each.value for each in (found.accepted_only, found.inverse_propensity, found.doubly_robust)]
    assert values == pytest.approx([0.125] * 3)
    assert (found.effective_size, found.largest_weight, found.clipped, found.outside) == (200.0, 1.0, 0, 0)


def test_intervals_cover_where_the_accepted_lie() -> None:
    """A score that knows merchants, a lane of 10 %: inverse propensity and doubly robust cover, the accepted never.

    Over 200 draws of lottery and reviews, judged by the exact binomial interval of the coverage.
    """
    generator = np.random.default_rng(5)
    score = np.sort(generator.random(4000))
    outcome = (generator.random(4000) < 0.4 * score**2).astype(float)
    propensity = np.where(score > 0.7, 0.1, 0.4)
    covers = np.zeros(3, dtype=int)
    widths = np.zeros(3)
    for _ in range(RUNS):
        found = estimate(sample_of(generator.random(4000) < propensity, propensity, outcome, score), "share")
        for i, each in enumerate((found.accepted_only, found.inverse_propensity, found.doubly_robust)):
            assert each.low is not None
            assert each.high is not None
            covers[i] += each.low <= outcome.mean() <= each.high
            widths[i] += each.high - each.low
    assert all(stats.binomtest(int(count), RUNS).proportion_ci(0.95).high >= 0.95 for count in covers[1:])
    assert covers[0] < RUNS / 10
    assert widths[2] < widths[1]


def test_who_had_no_chance_is_outside() -> None:
    """Applicants without a chance are counted and in no estimate; small propensities are clipped and counted."""
    propensity = np.r_[np.zeros(10), np.full(10, 0.01), np.ones(80)]
    found = estimate(sample_of(propensity > 0, propensity, np.ones(100), np.linspace(0, 1, 100)), "share")
    assert (found.outside, found.clipped, found.largest_weight) == (10, 10, 50.0)
    assert found.doubly_robust.value == pytest.approx(1.0)


def test_nothing_seen_says_nothing() -> None:
    """Without any outcome the self-normalised estimate is not determined and no estimate has an interval."""
    found = estimate(sample_of(np.zeros(5, bool), np.full(5, 0.1), np.zeros(5), np.zeros(5)), "share")
    assert found.inverse_propensity.value is None
    assert found.doubly_robust.low is None


def test_impossible_samples_are_refused() -> None:
    """An outcome seen without a chance, a propensity above 1, arrays of different length."""
    with pytest.raises(BadInputError, match="no chance"):
        sample_of(np.ones(2, bool), np.array([0.0, 1.0]), np.zeros(2), np.zeros(2))
    with pytest.raises(BadInputError, match="out of range"):
        sample_of(np.ones(2, bool), np.array([2.0, 1.0]), np.zeros(2), np.zeros(2))
    with pytest.raises(BadInputError, match="length"):
        sample_of(np.ones(2, bool), np.ones(3), np.zeros(2), np.zeros(2))
