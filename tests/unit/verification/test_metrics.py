"""Rates mean what their names say: weights, scopes, operators and groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from membergate.verification.bootstrap import OperatorBootstrap
from membergate.verification.metrics import Metrics, describe_evidence, measure
from membergate.verification.sample import EvaluationSample

SampleMaker = Callable[..., EvaluationSample]


def measured(sample: EvaluationSample) -> Metrics:
    """Measure with a few replicates."""
    return measure(sample, OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(3), 100))


def test_rates_weigh_by_inverse_propensity(make_sample: SampleMaker) -> None:
    """A row sampled with probability 1/3 counts three times; L4 and L0 rows do not count."""
    sample = make_sample(
        5,
        is_merchant=np.array([False, False, True, True, False]),
        grade=np.array(["L3", "L3", "L3", "L4", "L0"]),
        weight=np.array([3.0, 1.0, 1.0, np.nan, np.nan]),
        disposition=np.array(["admit", "deny", "admit_capped", "admit", "deny"]),
    )
    rates = measured(sample).outcomes[0].rates["full"]
    assert rates.genuine_admission.value == pytest.approx(3 / 4)
    assert rates.leakage.value == pytest.approx(1 / 4)


def test_holders_add_trial(make_sample: SampleMaker) -> None:
    """Trial counts among holders, not among full admissions; step-up and business lane in neither."""
    sample = make_sample(
        4,
        is_merchant=np.array([False, False, True, False]),
        disposition=np.array(["admit", "trial", "trial", "step_up"]),
    )
    rates = measured(sample).outcomes[0].rates
    assert rates["full"].genuine_admission.value == pytest.approx(1 / 3)
    assert rates["holders"].genuine_admission.value == pytest.approx(2 / 3)
    assert rates["full"].leakage.value == 0.0
    assert rates["holders"].leakage.value == pytest.approx(1 / 3)


def test_by_operator_each_counts_once(make_sample: SampleMaker) -> None:
    """A ring of four leaking accounts is one leaking operator among three admitted ones."""
    sample = make_sample(
        6,
        operator_ids=np.array(["ring", "ring", "ring", "ring", "x", "y"]),
        is_merchant=np.array([True, True, True, True, False, False]),
    )
    rates = measured(sample).outcomes[0].rates["full"]
    assert rates.leakage.value == pytest.approx(4 / 6)
    assert rates.leakage_by_operator.value == pytest.approx(1 / 3)
    assert (rates.leakage.n, rates.leakage.operators) == (6, 3)


def test_the_mix_adds_up(market: EvaluationSample) -> None:
    """For either side, the shares of the seven dispositions add to 1."""
    for outcome in measured(market).outcomes:
        for side in (0, 1):
            assert sum(shares[side].value or 0.0 for shares in outcome.mix.values()) == pytest.approx(1.0)


def test_every_policy_is_there(market: EvaluationSample, make_market: SampleMaker) -> None:
    """Candidate and strict rule always; the incumbent where there is one."""
    assert [o.policy for o in measured(market).outcomes] == ["candidate", "strict", "incumbent"]
    first = make_market(200, 1, has_incumbent=False)
    assert [o.policy for o in measured(first).outcomes] == ["candidate", "strict"]


def test_look_alikes_come_first(market: EvaluationSample) -> None:
    """The group table starts with the look-alikes and counts known false alarms apart from the rates."""
    rows = measured(market).groups
    assert [row.kind for row in rows] == ["look_alike"] * 3 + ["region"] * 2
    gifts = next(row for row in rows if row.group == "gift giver")
    alarms = (market.grade == "L0") & (market.groups["look_alike"] == "gift giver") & ~market.is_merchant
    assert gifts.hard_negatives == int(alarms.sum())
    sampled = market.is_sampled & ~market.is_merchant & (market.groups["look_alike"] == "gift giver")
    assert gifts.genuine_admission.n == int(sampled.sum())


def test_evidence_counts_what_figures_stand_on(make_sample: SampleMaker) -> None:
    """Grades, effective size, missing propensities and clipped weights are told."""
    sample = make_sample(
        4,
        grade=np.array(["L3", "L3", "L3", "L4"]),
        weight=np.array([60.0, 50.0, np.nan, np.nan]),
        is_merchant=np.array([False, False, False, True]),
    )
    evidence = describe_evidence(sample)
    assert evidence.by_grade == {"L0": (0, 0), "L3": (3, 0), "L4": (0, 1)}
    assert (evidence.sampled, evidence.without_propensity, evidence.clipped) == (2, 1, 1)
    assert evidence.effective_size == pytest.approx(2.0)
    assert (evidence.first_submitted_at, evidence.last_submitted_at) == ("2025-09-01", "2025-09-01")
