"""Groups that share no row, and decisions that stay the same: intervals that are neither empty nor absurd."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from membergate.verification.bootstrap import OperatorBootstrap
from membergate.verification.metrics import measure_groups
from membergate.verification.sample import EvaluationSample
from membergate.verification.sensitivity import Variation, measure_sensitivity
from membergate.verification.shares import Share, measure_gap, measure_shares

SampleMaker = Callable[..., EvaluationSample]


def _bootstrap(sample: EvaluationSample) -> OperatorBootstrap:
    return OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(3), 300)


def test_everybody_of_two_small_groups(make_sample: SampleMaker) -> None:
    """7 of 7 against 17 of 17: the gap is 0, and each end is as far out as the group that could pull it there."""
    group = np.where(np.arange(24) < 7, "dorm", "")
    sample = make_sample(24, groups={"look_alike": group})
    rows = measure_groups(sample, _bootstrap(sample))
    dorm = next(row for row in rows if row.group == "dorm")
    assert dorm.gap is not None
    assert dorm.gap.value == 0
    assert dorm.genuine_holding.low is not None
    assert dorm.genuine_holding.low == pytest.approx(0.590, abs=0.001)  # exact binomial, 7 of 7
    assert dorm.gap.low == pytest.approx(0.590 - 1, abs=0.001)
    assert dorm.gap.high == pytest.approx(1 - 0.805, abs=0.001)  # exact binomial, 17 of 17
    assert dorm.gap.n == 24


def test_the_ends_are_newcombes(make_sample: SampleMaker) -> None:
    """In closed form, from the two shares' own ends."""
    sample = make_sample(60)
    is_group, is_part = np.arange(60) < 20, np.arange(60) % 5 < 2
    one = Share("one", (is_group & is_part).astype(np.float64), is_group.astype(np.float64))
    other = Share("other", (~is_group & ~is_part).astype(np.float64), (~is_group).astype(np.float64))
    bootstrap = _bootstrap(sample)
    gap, (p, q) = measure_gap("gap", one, other, bootstrap), measure_shares((one, other), bootstrap)
    assert gap.value == pytest.approx(8 / 20 - 24 / 40)
    (p1, l1, u1), (p2, l2, u2) = ((m.value or 0.0, m.low or 0.0, m.high or 0.0) for m in (p, q))
    assert gap.low == pytest.approx(p1 - p2 - np.sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2))
    assert gap.high == pytest.approx(p1 - p2 + np.sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2))


def test_a_gap_without_a_group_is_not_known(make_sample: SampleMaker) -> None:
    """A share of nothing has no value, and neither has its gap."""
    sample = make_sample(5)
    nothing, all_of_it = Share("none", np.zeros(5), np.zeros(5)), Share("all", np.ones(5), np.ones(5))
    assert measure_gap("gap", nothing, all_of_it, _bootstrap(sample)).value is None


def test_parameters_that_move_nothing(make_sample: SampleMaker) -> None:
    """Nothing moved is 0 of n, bounded like any share never seen; what moved keeps its paired interval."""
    sample = make_sample(27, is_merchant=np.arange(27) < 3)
    one_less = np.where(np.arange(27) == 26, "deny", sample.disposition)
    still, moved = measure_sensitivity(
        sample, [Variation("eps", 0.8, sample.disposition), Variation("eps", 1.25, one_less)], seed=1
    )
    assert (still.changed, still.moved.value, still.moved.n) == (0, 0.0, 27)
    assert still.moved.high == pytest.approx(0.128, abs=0.005)
    for difference in (still.genuine_admission, still.leakage):
        assert (difference.value, difference.low, difference.high) == (0.0, None, None)
    assert moved.changed == 1
    assert moved.genuine_admission.value == pytest.approx(-1 / 24)
    assert moved.genuine_admission.low is not None
