"""The certificate: closed forms, honest refusals, and a violation rate within delta."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest
from scipy import stats

from membergate.domain.errors import BadInputError
from membergate.domain.instants import utc
from membergate.verification.certificate import (
    STAKES,
    CertificateReport,
    Terms,
    betting_log_wealth,
    certify,
    clean_operators_at_stake,
    needed_clean_operators,
    needed_operators_at,
)
from membergate.verification.prediction_powered import Frame
from membergate.verification.sample import EvaluationSample
from membergate.verification.sample_sizes import clean_operators_drawn

SampleMaker = Callable[..., EvaluationSample]
ISSUED: datetime = utc(2025, 11, 1)
TABLE = {0.005: (664, 3313, 6625), 0.01: (331, 1649, 3297), 0.02: (165, 817, 1633), 0.05: (65, 318, 634)}
"""Clean operators for caps 1, 5 and 10 at delta 5 %, rounded; whoever counts operators needs the next whole one."""


def certified(sample: EvaluationSample, **terms: float) -> CertificateReport:
    """Certify full admissions."""
    return certify(sample, "full", terms=Terms(**terms), issued_at=ISSUED)  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", TABLE)
def test_clean_operators_at_the_largest_stake(alpha: float) -> None:
    """One constant stake of 0.9 needs ln(1/delta) / ln(1 + 0.9 alpha / ((1 - alpha) M)) clean operators."""
    for cap, rounded in zip((1, 5, 10), TABLE[alpha], strict=True):
        exact = np.log(20) / np.log1p(0.9 * alpha / ((1 - alpha) * cap))
        assert abs(exact - rounded) < 1
        assert clean_operators_at_stake(alpha, 0.05, cap) == np.ceil(exact)


@pytest.mark.parametrize(("alpha", "cap"), [(0.005, 1), (0.02, 1), (0.02, 5), (0.05, 10)])
def test_needed_operators_are_exactly_enough(make_sample: SampleMaker, alpha: float, cap: int) -> None:
    """As many clean operators as are told beforehand certify, and one fewer do not."""
    needed = needed_clean_operators(alpha, 0.05, cap)
    assert certified(make_sample(needed), alpha=alpha, operator_cap=cap).certificate.holds
    fewer = certified(make_sample(needed - 1), alpha=alpha, operator_cap=cap)
    assert not fewer.certificate.holds
    assert f"{needed:,} operators would do" in fewer.certificate.reason
    assert fewer.certificate.needed_operators == needed


def test_splitting_the_stake_costs_little_without_leaks() -> None:
    """The split stakes need at most a quarter more clean operators than the largest one alone."""
    for cap in (1, 5, 10):
        assert needed_clean_operators(0.02, 0.05, cap) < 1.25 * clean_operators_at_stake(0.02, 0.05, cap)


def test_needed_with_leaks_is_about_right() -> None:
    """At half the bound's leakage, the number told certifies in about half of the runs or more."""
    needed = needed_operators_at(0.01, 0.02, 0.05, 1)
    leaks = np.random.default_rng(4).random((150, needed)) < 0.01
    share = (betting_log_wealth(np.subtract(leaks, 0.02, dtype=np.float64), 0.02).max(axis=1) >= np.log(20)).mean()
    assert 0.4 < share < 0.9


def test_wealth_is_the_mean_of_the_constant_stakes() -> None:
    """One leak costs each stake its own share: the closed form of a single step."""
    alpha = 0.02
    shares = np.array([0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    after_leak = float(np.exp(betting_log_wealth(np.array([1 - alpha]), alpha)[0]))
    assert after_leak == pytest.approx(float(shares @ (1 - STAKES)))
    after_clean = float(np.exp(betting_log_wealth(np.array([-alpha]), alpha)[0]))
    assert after_clean == pytest.approx(float(shares @ (1 + STAKES * alpha / (1 - alpha))))


@pytest.mark.parametrize(("cap", "ring_share"), [(1, 0.0), (5, 0.6)])
def test_violations_stay_within_delta(cap: int, ring_share: float) -> None:
    """A policy that leaks exactly alpha, rings at the cap included, is certified in at most delta of the runs."""
    alpha, runs, operators = 0.05, 1000, 500
    g = np.random.default_rng(11)
    size = np.where(g.random((runs, operators)) < ring_share, cap, 1)
    # Merchant operators are as often rings as genuine ones here, so the share of accounts is the share of operators.
    leaks = g.random((runs, operators)) < alpha
    sums = size * (leaks - alpha) / cap
    violated = (betting_log_wealth(sums, alpha).max(axis=1) >= np.log(20)).mean()
    assert violated <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)


def test_violations_stay_within_delta_under_uneven_sampling() -> None:
    """The same holds where merchants are sampled more often than others and weights undo it."""
    alpha, runs, operators = 0.05, 1000, 600
    g = np.random.default_rng(12)
    leaks = g.random((runs, operators)) < alpha
    propensity = np.where(g.random((runs, operators)) < np.where(leaks, 0.8, 0.3), 0.9, 0.3)
    sampled = g.random((runs, operators)) < propensity
    sums = np.where(sampled, (leaks - alpha) / propensity, 0.0) * 0.3
    violated = (betting_log_wealth(sums, alpha).max(axis=1) >= np.log(20)).mean()
    assert violated <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)


def test_taking_accounts_as_independent_is_violated_by_rings() -> None:
    """Where leaks come in rings of five, an exact binomial over accounts certifies far too often."""
    alpha, runs, operators = 0.05, 1500, 300
    leaks = np.random.default_rng(13).binomial(operators, alpha, runs)
    accounts = 5 * operators
    p_value = stats.binom.cdf(5 * leaks, accounts, alpha)
    assert (p_value <= 0.05).mean() > 0.15


def test_the_cap_keeps_the_least_risky(make_sample: SampleMaker) -> None:
    """Accounts beyond the cap are left out, riskiest first, and the assumptions count them."""
    sample = make_sample(
        5,
        operator_ids=np.array(["ring"] * 4 + ["x"]),
        is_merchant=np.array([False, False, True, True, False]),
        risk_score=np.array([0.1, 0.2, 0.8, 0.9, 0.5]),
    )
    found = certified(sample, operator_cap=2)
    assert (found.certificate.n, found.certificate.operators) == (3, 2)
    assert (found.beyond_cap, found.leaked_operators) == (2, 0)
    assert any("2 admitted accounts" in text for text in found.certificate.assumptions)


def test_a_leaky_policy_is_told_so(make_sample: SampleMaker) -> None:
    """Where the sample itself leaks more than the bound, the reason says that no more labels help."""
    sample = make_sample(400, is_merchant=np.arange(400) % 10 == 0)
    found = certified(sample)
    assert not found.certificate.holds
    assert "Only more labels tell" in found.certificate.reason
    assert found.practical[1].high is not None


def test_an_empty_sample_certifies_nothing(make_sample: SampleMaker) -> None:
    """Without an admitted, sampled application nothing holds, and what is needed is still told."""
    found = certified(make_sample(3, disposition=np.full(3, "deny")))
    assert not found.certificate.holds
    assert "No admitted application" in found.certificate.reason
    assert found.certificate.needed_operators == needed_clean_operators(0.02, 0.05, 5)
    assert [m.value for m in found.practical] == [None, None]


def test_uneven_weights_need_more_operators(make_sample: SampleMaker) -> None:
    """One rarely sampled account widens the bounds for all, so the same clean operators no longer certify."""
    needed = needed_clean_operators(0.02, 0.05, 1)
    weight = np.ones(needed)
    weight[0] = 10.0
    found = certified(make_sample(needed, weight=weight), operator_cap=1)
    assert not found.certificate.holds
    assert found.certificate.needed_operators > 5 * needed


def test_even_weights_change_nothing(make_sample: SampleMaker) -> None:
    """A sample drawn with one propensity certifies like a full one."""
    needed = needed_clean_operators(0.02, 0.05, 1)
    assert certified(make_sample(needed, weight=np.full(needed, 8.0)), operator_cap=1).certificate.holds


@pytest.mark.parametrize("smallest", [0.0, 0.1])
def test_what_a_plan_takes_is_told_before(make_sample: SampleMaker, smallest: float) -> None:
    """Drawn by the plan's chances, a clean sample needs about the operators told before; a floor lets it need fewer."""
    generator = np.random.default_rng(1)
    frame = Frame(generator.beta(0.5, 9, 20_000), np.ones(20_000), np.zeros(0))
    chances, terms = frame.chances(3_000, smallest), Terms(operator_cap=1, smallest_propensity=smallest or None)
    told = clean_operators_drawn(frame.sizes, chances, terms, smallest=float(chances.min()))
    weight = 1 / chances[generator.random(20_000) < chances]
    found = certify(make_sample(len(weight), weight=weight), "full", terms=terms, issued_at=ISSUED)
    assert found.certificate.needed_operators == pytest.approx(told, rel=0.05)
    alike = clean_operators_drawn(frame.sizes, np.full(20_000, 0.15), terms, smallest=0.15)
    assert alike == needed_clean_operators(0.02, 0.05, 1) < told
    free = frame.chances(3_000)
    assert (told < clean_operators_drawn(frame.sizes, free, terms, smallest=float(free.min()))) is (smallest > 0)


def test_reviewers_who_overlook_merchants_tighten_the_bound(make_sample: SampleMaker) -> None:
    """With sensitivity 0.5 a labelled leakage of alpha / 2 is alpha in truth, so twice the operators are needed."""
    assert Terms(reviewer_sensitivity=0.5).tested_alpha == pytest.approx(0.01)
    assert Terms(reviewer_specificity=0.9).tested_alpha == pytest.approx(0.02)
    found = certified(make_sample(needed_clean_operators(0.02, 0.05, 1)), operator_cap=1, reviewer_sensitivity=0.5)
    assert not found.certificate.holds


def test_a_weight_beyond_the_design_is_refused(make_sample: SampleMaker) -> None:
    """A propensity below the smallest that the design declares breaks the bounds, so it is an error."""
    with pytest.raises(BadInputError, match=r"propensity 0\.1"):
        certified(make_sample(2, weight=np.array([1.0, 10.0])), smallest_propensity=0.2)


@pytest.mark.parametrize("terms", [{"alpha": 0.0}, {"delta": 1.0}, {"operator_cap": 0}, {"reviewer_sensitivity": 0.0}])
def test_impossible_terms_are_refused(terms: dict[str, float]) -> None:
    """Bounds outside (0, 1) and caps below 1 are refused when they are stated."""
    with pytest.raises(BadInputError):
        Terms(**terms)  # type: ignore[arg-type]


def test_the_certificate_expires(make_sample: SampleMaker) -> None:
    """It is valid for as long as the terms say, from the instant of issue, and the statement carries the day."""
    found = certified(make_sample(10), valid_for_days=7.0)
    assert found.certificate.valid_until == "2025-11-08T00:00:00.000000Z"
    assert "valid until 2025-11-08" in found.statement


def test_bets_are_placed_in_order_of_time(make_sample: SampleMaker) -> None:
    """Shuffling the rows changes nothing: operators are bet on by their first application."""
    merchant = np.arange(900) % 300 == 150
    sample = make_sample(900, is_merchant=merchant)
    shuffled = sample.take(np.random.default_rng(0).permutation(900))
    assert certified(sample).wealth == certified(shuffled).wealth
