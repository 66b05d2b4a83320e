"""Ordering and calibration agree with scikit-learn, and the equal-leakage threshold is matched honestly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score, roc_curve

from membergate.verification.bootstrap import OperatorBootstrap
from membergate.verification.calibration import measure_calibration
from membergate.verification.metrics import Metrics, measure
from membergate.verification.ranking import (
    LEAST_MERCHANTS,
    MOST_ALARMS,
    Frontier,
    Ranking,
    average_precision,
    gini,
    kolmogorov_smirnov,
    partial_auc,
    roc_auc,
    threshold_at_leakage,
)
from membergate.verification.sample import EvaluationSample

SampleMaker = Callable[..., EvaluationSample]


def bootstrap_of(sample: EvaluationSample, replicates: int = 200) -> OperatorBootstrap:
    """Draw over a sample's operators."""
    return OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(3), replicates)


@pytest.fixture(scope="module")
def figures(market: EvaluationSample) -> Metrics:
    """Everything measured on the market."""
    return measure(market, bootstrap_of(market))


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_ordering_agrees_with_scikit_learn(market: EvaluationSample, decimals: int) -> None:
    """AUC and average precision are scikit-learn's, weighted, with few or many ties."""
    score, weight = market.risk_score.round(decimals), market.rate_weight
    masses = Ranking.of(score, market.is_merchant, weight).masses(np.ones((1, int((weight > 0).sum()))))
    rows = weight > 0
    given = (market.is_merchant[rows], score[rows])
    assert roc_auc(*masses)[0] == pytest.approx(roc_auc_score(*given, sample_weight=weight[rows]))
    assert average_precision(*masses)[0] == pytest.approx(average_precision_score(*given, sample_weight=weight[rows]))


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_separation_agrees_with_scikit_learn(market: EvaluationSample, decimals: int) -> None:
    """Gini, Kolmogorov-Smirnov and the partial area are read off scikit-learn's ROC curve, weighted, with ties."""
    rows = market.rate_weight > 0
    score, weight, is_merchant = (
        market.risk_score.round(decimals)[rows],
        market.rate_weight[rows],
        market.is_merchant[rows],
    )
    masses = Ranking.of(score, is_merchant, weight).masses(np.ones((1, len(score))))
    alarms, caught, _ = roc_curve(is_merchant, score, sample_weight=weight, drop_intermediate=False)
    assert gini(*masses)[0] == pytest.approx(2 * roc_auc_score(is_merchant, score, sample_weight=weight) - 1)
    assert kolmogorov_smirnov(*masses)[0] == pytest.approx((caught - alarms).max())
    standardised = roc_auc_score(is_merchant, score, sample_weight=weight, max_fpr=MOST_ALARMS)
    least, most = MOST_ALARMS**2 / 2, MOST_ALARMS
    area = (2 * standardised - 1) * (most - least) + least  # McClish
    assert partial_auc(*masses)[0] == pytest.approx(area / MOST_ALARMS)


def test_separation_needs_both_sides() -> None:
    """Without merchants or without genuine applicants nothing is told apart."""
    some, none = np.array([[1.0, 2.0]]), np.zeros((1, 2))
    for masses in ((some, none), (none, some)):
        assert all(np.isnan(statistic(*masses)[0]) for statistic in (gini, kolmogorov_smirnov, partial_auc))


def test_brier_score_agrees_with_scikit_learn(market: EvaluationSample, figures: Metrics) -> None:
    """The Brier score is scikit-learn's, weighted."""
    rows = market.is_sampled
    theirs = brier_score_loss(
        market.is_merchant[rows], market.merchant_probability[rows], sample_weight=market.rate_weight[rows]
    )
    assert figures.calibration.brier is not None
    assert figures.calibration.brier.value == pytest.approx(theirs)


def test_calibration_error_finds_a_doubled_probability(make_sample: SampleMaker) -> None:
    """Stating 40 % where 20 % are merchants is an error of 0.2, and a gloomy one."""
    merchant = np.arange(500) % 5 == 0
    sample = make_sample(500, is_merchant=merchant)
    found = measure_calibration(np.full(500, 0.4), merchant, sample.rate_weight, bootstrap_of(sample))
    assert found.calibration_error is not None
    assert found.mean_error is not None
    assert found.calibration_error.value == pytest.approx(0.2)
    assert found.mean_error.value == pytest.approx(0.2)
    assert [(b.low, b.high) for b in found.bins] == [(0.35, 0.5)]


def test_an_uncalibrated_model_has_no_calibration(make_sample: SampleMaker) -> None:
    """Without a stated probability nothing is measured, and it says so."""
    sample = make_sample(20)
    found = measure_calibration(
        sample.merchant_probability, sample.is_merchant, sample.rate_weight, bootstrap_of(sample)
    )
    assert not found.is_calibrated
    assert found.brier is None
    assert found.bins == ()


def test_probability_one_falls_in_the_last_bin(make_sample: SampleMaker) -> None:
    """A stated certainty has a bin."""
    sample = make_sample(4, is_merchant=np.ones(4, dtype=np.bool_))
    found = measure_calibration(np.ones(4), sample.is_merchant, sample.rate_weight, bootstrap_of(sample))
    assert [(b.low, b.high, b.mean_probability) for b in found.bins] == [(0.9, 1.0, 1.0)]


def test_the_threshold_may_pass_a_leaky_stretch() -> None:
    """Leakage is not monotone: a merchant early on is diluted later, and the largest admission that complies counts."""
    merchant = np.array([[0.0, 1.0, 0.0, 0.0, 1.0]])
    genuine = np.array([[1.0, 0.0, 4.0, 4.0, 1.0]])
    frontier = Frontier.of(merchant, genuine)
    assert frontier.genuine_at(np.array([0.1])).tolist() == [0.9]
    assert frontier.genuine_at(np.array([0.0])).tolist() == [0.1]
    assert frontier.genuine_at(np.array([1.0])).tolist() == [1.0]
    assert np.isnan(frontier.genuine_at(np.array([np.nan]))).all()


def test_ties_are_admitted_together(make_sample: SampleMaker) -> None:
    """Applicants with one score stand or fall together, so a tie with a merchant bars them all."""
    sample = make_sample(
        4, is_merchant=np.array([False, True, False, False]), risk_score=np.array([0.1, 0.2, 0.2, 0.3])
    )
    ranking = Ranking.of(sample.risk_score, sample.is_merchant, sample.rate_weight)
    assert threshold_at_leakage(ranking, 0.2) == pytest.approx(0.1)
    assert threshold_at_leakage(ranking, 0.25) == pytest.approx(0.3)


def test_a_perfect_merchant_bars_every_threshold(make_sample: SampleMaker) -> None:
    """Where the safest applicant is a merchant, no threshold has leakage 0."""
    sample = make_sample(3, is_merchant=np.array([True, False, False]))
    assert threshold_at_leakage(Ranking.of(sample.risk_score, sample.is_merchant, sample.rate_weight), 0.0) is None


def test_a_score_that_is_the_strict_rule_gains_nothing(make_sample: SampleMaker) -> None:
    """Compared with itself at its own leakage, a threshold on the score gains nothing, in any replicate."""
    generator = np.random.default_rng(2)
    merchant = generator.random(400) < 0.2
    # A score of two values leaves one threshold to choose.
    score = np.where(generator.random(400) < np.where(merchant, 0.2, 0.7), 0.2, 0.8)
    sample = make_sample(
        400, is_merchant=merchant, risk_score=score, baseline_disposition=np.where(score < 0.5, "admit", "deny")
    )
    comparison = measure(sample, bootstrap_of(sample)).equal_leakage
    assert comparison.difference.value == pytest.approx(0.0)
    assert comparison.threshold == pytest.approx(0.2)
    assert comparison.score_genuine_admission.low == pytest.approx(comparison.strict_genuine_admission.low, abs=0.03)


def test_few_leaks_tell_nothing_at_equal_leakage(figures: Metrics, make_sample: SampleMaker) -> None:
    """One leak of the strict rule, or nineteen operators with a merchant, give no figure, and are counted."""
    told = figures.equal_leakage
    assert (told.merchants, told.strict_leaks, told.is_determined) == (83, 1, False)
    assert (told.score_genuine_admission.value, told.difference.value, told.threshold) == (None, None, None)
    assert "83 operators with a merchant, 1 of them" in told.difference.method
    assert told.curve
    for merchants, is_told in ((LEAST_MERCHANTS - 1, False), (LEAST_MERCHANTS, True)):
        is_merchant = np.arange(200) < merchants
        sample = make_sample(200, is_merchant=is_merchant, risk_score=np.linspace(1.0, 0.0, 200))
        assert measure(sample, bootstrap_of(sample)).equal_leakage.is_determined == is_told


def test_the_better_score_gains(lenient_market: EvaluationSample) -> None:
    """Where the strict rule sees the score through noise, the score admits clearly more at the rule's leakage."""
    gain = measure(lenient_market, bootstrap_of(lenient_market)).equal_leakage.difference
    assert gain.value is not None
    assert gain.low is not None
    assert gain.value > 0.1
    assert gain.low > 0.0


def test_the_curve_rises(figures: Metrics) -> None:
    """More leakage never admits fewer, and the strict rule's own leakage is one of the curve's points."""
    curve = figures.equal_leakage.curve
    rates = [point.genuine_admission for point in curve]
    assert rates == sorted(rates)
    assert figures.equal_leakage.strict_leakage.value in [point.leakage for point in curve]
    assert rates[-1] == pytest.approx(1.0)
