"""The evaluation sample checks itself, and the split check lets nothing cross."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from membergate.domain.errors import BadInputError
from membergate.domain.instants import utc
from membergate.verification.sample import LARGEST_WEIGHT, EvaluationSample, SplitError, check_split, crosses

SampleMaker = Callable[..., EvaluationSample]


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"risk_score": np.array([0.1, 0.2])}, "risk_score"),
        ({"risk_score": np.array([0.1, 0.2, 1.2])}, "risk_score"),
        ({"risk_score": np.array([0.1, 0.2, np.nan])}, "risk_score"),
        ({"merchant_probability": np.array([0.1, -0.2, np.nan])}, "merchant_probability"),
        ({"weight": np.array([1.0, 0.5, 2.0])}, "weight"),
        ({"weight": np.array([1.0, np.inf, 2.0])}, "weight"),
        ({"grade": np.array(["L3", "L0", "L3"])}, "weight"),
        ({"grade": np.array(["L3", "L1", "L3"])}, "grade"),
        ({"disposition": np.array(["admit", "keep", "deny"])}, "disposition"),
        ({"incumbent_disposition": np.array(["admit", "let in", "deny"])}, "incumbent_disposition"),
        ({"application_ids": np.array(["a", "a", "b"])}, "application_ids"),
        ({"operator_ids": np.array(["a", None, "b"], dtype=object)}, "operator_ids"),
        ({"account_ids": np.array([1, 2, 3])}, "account_ids"),
        ({"groups": {"regime": np.array(["burst"])}}, "groups[regime]"),
    ],
)
def test_a_wrong_array_is_named(make_sample: SampleMaker, given: dict[str, Any], where: str) -> None:
    """A wrong length, type, range or word is refused with the array's name, before anything is computed."""
    with pytest.raises(BadInputError) as caught:
        make_sample(3, **given)
    assert caught.value.where == where


def test_only_l3_with_a_propensity_is_sampled(make_sample: SampleMaker) -> None:
    """L0, L4 and an L3 label without a propensity are in no rate; large weights are clipped."""
    sample = make_sample(4, grade=np.array(["L0", "L3", "L3", "L4"]), weight=np.array([np.nan, 80.0, np.nan, np.nan]))
    assert sample.is_sampled.tolist() == [False, True, False, False]
    assert sample.rate_weight.tolist() == [0.0, LARGEST_WEIGHT, 0.0, 0.0]


def test_take_keeps_rows_together(make_sample: SampleMaker) -> None:
    """Taking rows takes them from every array, groups included, in the order asked for."""
    sample = make_sample(4, groups={"regime": np.array(["a", "b", "c", "d"])})
    taken = sample.take(np.array([2, 0]))
    assert taken.application_ids.tolist() == ["ap00002", "ap00000"]
    assert taken.groups["regime"].tolist() == ["c", "a"]
    assert taken.incumbent_disposition is None


def test_text_may_come_as_objects(make_sample: SampleMaker) -> None:
    """Arrays of Python strings, as data frames give them, are taken as text."""
    sample = make_sample(2, operator_ids=np.array(["a", "b"], dtype=object))
    assert sample.operator_ids.dtype.kind == "U"


def test_split_check_refuses_a_crossing_operator(make_sample: SampleMaker) -> None:
    """An operator on both sides fails the split, and `crosses` marks its rows so that they can be left out."""
    sample = make_sample(4)
    with pytest.raises(SplitError, match="1 operators are in training"):
        check_split(
            sample,
            trained_until=utc(2025, 8, 1),
            labels_until=utc(2025, 8, 1),
            training_operator_ids=np.array(["op00002", "other"]),
        )
    assert crosses(sample, np.array(["op00002"])).tolist() == [False, False, True, False]


def test_split_check_refuses_a_crossing_account(make_sample: SampleMaker) -> None:
    """An account in training fails the split even where its operator has another id by now."""
    with pytest.raises(SplitError):
        check_split(
            make_sample(4),
            trained_until=utc(2025, 8, 1),
            labels_until=utc(2025, 8, 1),
            training_operator_ids=np.array(["other"]),
            training_account_ids=np.array(["ac00003"]),
        )


def test_split_check_refuses_the_past(make_sample: SampleMaker) -> None:
    """An application before the last that was learned from, or within the embargo after it, fails the split."""
    nobody = np.array([], dtype=np.str_)
    with pytest.raises(SplitError, match="1 of 4"):
        check_split(
            make_sample(4),
            trained_until=utc(2025, 9, 1, 0, 30),
            labels_until=utc(2025, 9, 1, 0, 30),
            training_operator_ids=nobody,
        )
    with pytest.raises(SplitError, match="4 of 4"):
        check_split(
            make_sample(4),
            trained_until=utc(2025, 8, 30),
            labels_until=utc(2025, 8, 30),
            training_operator_ids=nobody,
            embargo=timedelta(days=7),
        )


def test_split_check_says_what_it_compared(make_sample: SampleMaker) -> None:
    """A clean split tells the operators of either side and the instants, for the report; an empty sample passes."""
    check = check_split(
        make_sample(4),
        trained_until=utc(2025, 8, 1),
        labels_until=utc(2025, 8, 1),
        training_operator_ids=np.array(["x", "y"]),
    )
    assert (check.training_operators, check.sample_operators) == (2, 4)
    assert check.first_submitted_at == "2025-09-01T00:00:00.000000Z"
    empty = check_split(
        make_sample(0),
        trained_until=utc(2025, 8, 1),
        labels_until=utc(2025, 8, 1),
        training_operator_ids=np.array(["x"]),
    )
    assert empty.first_submitted_at == ""
