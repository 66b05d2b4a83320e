"""All scores and few reviews: closed forms, coverage, and a plan that spends what it is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.review_plan import covered
from scipy import stats

from membergate.domain.errors import BadInputError
from membergate.verification.prediction_powered import Frame, Population, powered_share


def people(n: int, seed: int, reviewed: float = 0.5) -> Population:
    """Draw single-account operators of whom half are merchants, reviewed all alike."""
    g = np.random.default_rng(seed)
    merchant = g.random(n) < 0.5
    f = np.clip(0.5 + 0.3 * (merchant - 0.5) + 0.2 * g.normal(size=n), 0, 1)
    weight = np.where(g.random(n) < reviewed, 1 / reviewed, 0.0)
    return Population(np.arange(n).astype(np.str_), f, weight, merchant, np.full(n, "admit"))


def test_without_scores_it_is_the_mean_of_the_reviews() -> None:
    """Lambda 0: the plain mean, and Student's interval with n - 1 degrees of freedom."""
    given = people(400, 0)
    found = powered_share(given, "all", power=0.0).powered
    seen = given.is_merchant[given.weight > 0].astype(float)
    assert found.value == pytest.approx(seen.mean())
    reach = stats.t.ppf(0.975, len(seen) - 1) * seen.std(ddof=1) / len(seen) ** 0.5
    assert found.low == pytest.approx(seen.mean() - reach)
    assert found.high == pytest.approx(seen.mean() + reach)


def test_scores_correct_by_their_closed_form() -> None:
    """Lambda 1: mean f over everybody plus the mean of y - f over the reviewed."""
    given = people(400, 1)
    seen = given.weight > 0
    expected = given.prediction.mean() + (given.is_merchant - given.prediction)[seen].mean()
    assert powered_share(given, "all", power=1.0).powered.value == pytest.approx(float(expected))


def test_good_scores_are_worth_reviews_and_bad_ones_are_not_believed() -> None:
    """Perfect scores narrow the interval; scores that are noise are given no say."""
    given = people(600, 2, reviewed=0.2)
    good = powered_share(replace(given, prediction=given.is_merchant.astype(float)), "all")
    assert good.worth is not None
    assert good.worth > 2
    noise = replace(given, prediction=np.random.default_rng(9).random(600))
    assert powered_share(noise, "all").power < 0.25


def test_nobody_reviewed_gives_no_estimate() -> None:
    """Scores alone are no estimate: value and interval are None."""
    given = people(50, 3)
    unseen = replace(given, weight=np.zeros(50))
    found = powered_share(unseen, "all").powered
    assert (found.value, found.low, found.n) == (None, None, 0)


def test_intervals_cover() -> None:
    """With rings, wrong probabilities, an earlier round of unknown chances and a planned one, 95% intervals cover.

    Judged by the exact binomial interval of the share that covers in 200 runs; the half-width that the plan told before
    is the one that comes out, within a tenth.
    """
    found = covered(200, seed=4)
    assert stats.binomtest(found.hits, 200).proportion_ci(0.99).high >= 0.95
    assert found.mean == pytest.approx(found.truth, abs=0.01)
    assert found.told == pytest.approx(found.realised, rel=0.1)


def test_a_plan_spends_its_budget() -> None:
    """Chances add up to the budget, favour the doubtful, and give nobody less than half of an even chance."""
    f = np.array([0.01, 0.5, 0.99, 0.2] * 50)
    frame = Frame(f, np.ones(200), np.zeros(0))
    chances = frame.chances(40)
    assert chances.sum() == pytest.approx(40, rel=1e-6)
    assert chances[1] > chances[3] > chances[0]
    assert chances.min() >= 0.1
    assert (frame.chances(500) == 1).all()
    with pytest.raises(BadInputError, match="a plan needs reviews"):
        frame.chances(0)


def test_a_floor_holds_and_costs_width() -> None:
    """No chance is below it, the budget is spent, the interval is wider; a floor that cannot be kept is refused."""
    f = np.array([0.01, 0.5, 0.99, 0.2] * 50)
    frame = Frame(f, np.ones(200), np.zeros(0))
    free, floored = frame.chances(40), frame.chances(40, 0.15)
    assert free.min() < 0.15 == floored.min()
    assert floored.sum() == pytest.approx(40, rel=1e-6)
    assert frame.half_width(floored) > frame.half_width(free)
    assert frame.chances(30, 0.15) == pytest.approx(np.full(200, 0.15))
    with pytest.raises(BadInputError, match="give nobody a chance"):
        frame.chances(29, 0.15)
    rows = {row.reviews: row for row in Frame(np.tile(f, 5), np.ones(1_000), np.zeros(0)).rows(0.15)}
    assert (rows[50].floored, rows[100].floored) == (None, None)
    assert rows[200].active < (rows[200].floored or 0.0) < rows[200].uniform
    assert rows[400].floored == rows[400].active  # half of an even chance is more than the floor
    assert frame.reviews_for(0.5, 0.15) == 30


def test_more_reviews_narrow_and_the_inverse_agrees() -> None:
    """Half-widths fall with the budget; the reviews told for a half-width reach it, and one fewer does not."""
    g = np.random.default_rng(5)
    frame = Frame(g.beta(1, 9, 800), g.integers(1, 4, 800).astype(float), g.beta(1, 9, 100))
    widths = [row.active for row in frame.rows()]
    assert widths == sorted(widths, reverse=True)
    assert all(row.active <= row.uniform for row in frame.rows())
    needed = frame.reviews_for(0.03)
    assert needed is not None
    assert frame.half_width(frame.chances(needed)) <= 0.03 < frame.half_width(frame.chances(needed - 1))
    assert frame.reviews_for(1e-6) is None
