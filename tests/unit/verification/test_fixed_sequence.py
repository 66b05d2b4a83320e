"""Learn-then-Test: p-values against an independent implementation, the fixed sequence, and its promise with rings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from benchmarks.certificates import NO_CAP, interval, repeated, truth_of
from mapie.risk_control.fwer_control import FWERFixedSequenceTesting
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value
from scipy import stats

from membergate.domain.errors import BadInputError
from membergate.verification.certificate import Terms
from membergate.verification.fixed_sequence import CappedRows, certify_doors, fixed_sequence, hoeffding_bentkus
from membergate.verification.refusals import certify_refusals
from membergate.verification.sample import EvaluationSample
from membergate.verification.sample_sizes import accounts_for_power, binomial_tail, clean_accounts, plan_sample

SampleMaker = Callable[..., EvaluationSample]


@pytest.mark.parametrize("alpha", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("mean", [0.0, 0.004, 0.015, 0.3])
def test_p_values_agree_with_mapie(alpha: float, mean: float) -> None:
    """The Hoeffding-Bentkus p-value is the one of an independent implementation, to the last digits."""
    theirs = compute_hoeffding_bentkus_p_value(np.array([mean]), 1500, np.array([alpha]))
    assert hoeffding_bentkus(mean, 1500, alpha) == pytest.approx(min(1.0, float(np.ravel(theirs)[0])), rel=1e-9)


def test_the_sequence_agrees_with_mapie() -> None:
    """Fixed-sequence testing stops at the first p-value above delta, as an independent implementation does."""
    generator = np.random.default_rng(0)
    for _ in range(50):
        values = np.sort(generator.random(12) * generator.choice([0.05, 0.1, 0.5])) * generator.choice([1.0, 0.2])
        generator.shuffle(values[6:])
        rejected = FWERFixedSequenceTesting(n_starts=1).run(values, 0.05)
        assert fixed_sequence(values.tolist(), 0.05) == len(rejected) - 1


def test_binomial_tail_is_the_binomial_distribution() -> None:
    """At whole numbers the real-valued tail is scipy's binomial distribution."""
    for leaks, trials in ((0, 149), (3, 400), (20, 900), (5, 5)):
        assert binomial_tail(leaks, trials, 0.02) == pytest.approx(float(stats.binom.cdf(leaks, trials, 0.02)))


@pytest.mark.parametrize(("alpha", "clean"), [(0.005, 598), (0.01, 299), (0.02, 149), (0.05, 59)])
def test_sample_sizes_follow_from_the_binomial(alpha: float, clean: int) -> None:
    """Zero leaks need ln delta / ln(1 - alpha); the number told for a power of 80 % is the first that reaches it."""
    assert clean_accounts(alpha, 0.05) == clean
    told = accounts_for_power(alpha / 2, alpha, 0.05)
    trials = np.arange(1, told + 1)
    allowed = stats.binom.ppf(0.05, trials, alpha)
    allowed = np.where(stats.binom.cdf(allowed, trials, alpha) > 0.05, allowed - 1, allowed)
    reached = stats.binom.cdf(allowed, trials, alpha / 2) >= 0.8
    assert reached[-1]
    assert not reached[:-1].any()


def test_what_cannot_be_certified_has_no_number() -> None:
    """A policy that leaks as much as the bound is told that no number of labels helps."""
    with pytest.raises(BadInputError, match="cannot be certified"):
        accounts_for_power(0.02, 0.02, 0.05)


def test_the_plan_counts_the_days() -> None:
    """At the sample's own pace, so many days until the clean operators are there; 0 once they are."""
    plan = plan_sample(Terms(operator_cap=1), operators=97, days=10)
    assert plan.clean_operators == 194
    assert plan.days_to_wait == pytest.approx(10.0)
    assert "194 labelled operators" in plan.line
    assert plan_sample(Terms(operator_cap=1), operators=200, days=10).days_to_wait == 0
    assert plan_sample(Terms(operator_cap=1)).days_to_wait is None


def test_the_cap_counts_who_is_admitted(make_sample: SampleMaker) -> None:
    """A door's cap counts the accounts that it admits, in the order of their applications."""
    sample = make_sample(
        5, operator_ids=np.array(["a", "b", "a", "a", "b"]), risk_score=np.array([0.9, 0.1, 0.2, 0.3, 0.2])
    )
    rows = CappedRows.of(sample)
    totals, counted = rows.totals(rows.score < 0.5, 1)
    assert totals[:, 1].tolist() == [1.0, 1.0]
    assert rows.score[counted].tolist() == [0.2, 0.1]
    assert rows.totals(rows.score < 0.5, None)[0][:, 1].tolist() == [2.0, 2.0]


def test_a_clean_score_is_certified_up_to_its_leaks(make_sample: SampleMaker) -> None:
    """With every merchant above 0.9, each test certifies a door below that, and none beyond."""
    score = np.linspace(0, 1, 4000)
    report = certify_doors(make_sample(4000, risk_score=score, is_merchant=score > 0.9), Terms(operator_cap=1))
    for test in ("betting", "binomial", "hoeffding_bentkus"):
        door = report.most_lenient(test)
        assert door is not None
        assert 0.85 <= door.threshold <= 0.93
        assert door.leakage is not None
        assert door.leakage < 0.02


def test_too_few_labels_start_nowhere(make_sample: SampleMaker) -> None:
    """A sequence without power is not begun: nothing is certified, and nothing by luck."""
    report = certify_doors(make_sample(100), Terms(operator_cap=1))
    assert set(report.first.values()) == {-1}
    assert report.most_lenient("binomial") is None


def test_refusals_of_a_look_alike(make_sample: SampleMaker) -> None:
    """A group of whom nobody is refused is certified, one of whom half are refused is not; both are counted."""
    group = np.where(np.arange(2000) % 2 == 0, "gift giver", "office buyer")
    refused = (group == "office buyer") & (np.arange(2000) % 4 == 1)
    sample = make_sample(2000, groups={"look_alike": group}, disposition=np.where(refused, "deny", "trial"))
    gifts, offices = certify_refusals(sample, Terms(operator_cap=1))
    assert (gifts.group, gifts.holds, gifts.refused) == ("gift giver", True, 0)
    assert (offices.group, offices.holds, offices.refused) == ("office buyer", False, 500)
    assert gifts.delta == pytest.approx(0.025)
    assert offices.practical_bound is not None
    assert offices.practical_bound > 0.5
    assert certify_refusals(make_sample(5), Terms()) == ()


def test_the_promise_holds_with_rings() -> None:
    """With rings the betting certificate breaks its promise in no more than delta of 400 runs, the plain one in more.

    Both are judged by the exact binomial interval of their violations; with everyone alone the plain one is right.
    """
    generator = np.random.default_rng(2)
    runs, plain = 400, (NO_CAP, "binomial")
    in_rings = {cap: truth_of(cap, has_rings=True, generator=generator, accounts=200_000) for cap in (5, NO_CAP)}
    found = repeated(3000, in_rings, has_rings=True, alpha=0.02, repetitions=runs, seed=1)
    ours, certified, _ = found[5, "betting"]
    assert certified > runs / 4
    assert ours / runs <= 0.05
    assert interval(ours, runs)[0] <= 0.05
    assert interval(found[plain][0], runs)[0] > 0.05
    alone = {NO_CAP: truth_of(NO_CAP, has_rings=False, generator=generator, accounts=200_000)}
    assert (
        interval(repeated(3000, alone, has_rings=False, alpha=0.02, repetitions=runs, seed=1)[plain][0], runs)[0]
        <= 0.05
    )
