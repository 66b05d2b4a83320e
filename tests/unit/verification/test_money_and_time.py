"""Leakage in money, and the same figures period by period."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from membergate.domain.errors import BadInputError
from membergate.verification.bootstrap import OperatorBootstrap
from membergate.verification.losses import measure_losses
from membergate.verification.over_time import measure_over_time
from membergate.verification.sample import EvaluationSample

SampleMaker = Callable[..., EvaluationSample]


def drawn(sample: EvaluationSample) -> OperatorBootstrap:
    """Draw with a seed."""
    return OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(0), 200)


def test_leakage_in_money_weighs_by_what_was_taken(make_sample: SampleMaker) -> None:
    """One merchant among ten admitted takes half of the money: leakage by head is a tenth, in money a half."""
    merchant = np.arange(100) % 10 == 0
    benefit = np.where(merchant, 900.0, 100.0)
    sample = make_sample(100, is_merchant=merchant, benefit_minor=benefit, baseline_disposition=np.full(100, "deny"))
    losses = measure_losses(sample, drawn(sample), "CNY")
    assert losses is not None
    candidate, strict = losses.rows[0], losses.rows[2]
    assert candidate.leakage.value == pytest.approx(0.5)
    assert (candidate.kept.value, candidate.forgone.value) == (0.0, 0.0)
    assert (strict.policy, strict.leakage.value, strict.kept.value, strict.forgone.value) == ("strict", None, 1.0, 1.0)
    assert (losses.members, losses.merchant_minor, losses.genuine_minor) == (100, 900.0, 100.0)


def test_who_was_no_member_is_in_no_amount(make_sample: SampleMaker) -> None:
    """Unknown benefits are left out and counted; where none is known nothing is measured; negative ones are refused."""
    sample = make_sample(10, benefit_minor=np.array([1.0, 2.0] + [np.nan] * 8))
    losses = measure_losses(sample, drawn(sample), "CNY")
    assert losses is not None
    assert (losses.members, losses.reviewed) == (2, 10)
    for nothing in (make_sample(10), make_sample(10, benefit_minor=np.full(10, np.nan))):
        assert measure_losses(nothing, drawn(nothing), "CNY") is None
    with pytest.raises(BadInputError, match="benefit_minor"):
        make_sample(1, benefit_minor=np.array([-1.0]))


def test_periods_part_the_sample(make_sample: SampleMaker) -> None:
    """Thirds by submission: the period in which the score is upside down shows it, the others do not."""
    rows = np.arange(300)
    merchant = rows % 2 == 0
    score = np.where(merchant, 0.8, 0.2)
    score[200:] = 1 - score[200:]
    sample = make_sample(300, is_merchant=merchant, risk_score=score)
    periods = measure_over_time(sample, drawn(sample))
    assert [period.roc_auc.value for period in periods] == [1.0, 1.0, 0.0]
    assert [period.merchant_share.n for period in periods] == [100, 100, 100]
    assert periods[0].last <= periods[1].first
    assert measure_over_time(make_sample(2), drawn(make_sample(2))) == ()
