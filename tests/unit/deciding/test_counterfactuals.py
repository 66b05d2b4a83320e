"""Counterfactuals: the nearest change that helps, and honesty where none does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from random import Random

import pytest

from membergate.deciding.policy import Policy, counterfactual, decide
from membergate.deciding.policy.policy import Direction, Movable
from membergate.domain.decision import Counterfactual
from membergate.domain.disposition import Checkpoint, Disposition, severity
from membergate.domain.evidence import Absence, Evidence

Witness = Callable[..., dict[str, Evidence]]
ADMISSION = Checkpoint.ADMISSION


def find(policy: Policy, evidence: Mapping[str, Evidence], *, lottery: float = 0.999) -> Counterfactual | None:
    """Decide at admission and look for the counterfactual."""
    verdict = decide(policy, ADMISSION, evidence, lottery=lottery)
    return counterfactual(policy, ADMISSION, evidence, verdict, lottery=lottery)


def test_there_is_none_where_nothing_is_milder(default: Policy, applicant: Witness) -> None:
    """Who is admitted in full is told of no change."""
    assert find(default, applicant()) is None


def test_a_rule_is_undone_at_its_own_threshold(default: Policy, applicant: Witness) -> None:
    """Four linked applications instead of three are told as: two would have sufficed."""
    found = find(default, applicant(l2_linked_recent_applications=4))
    assert found == Counterfactual("l2_linked_recent_applications", 4.0, 2.0, Disposition.ADMIT)


def test_a_score_is_undone_where_the_expected_values_cross(default: Policy, applicant: Witness) -> None:
    """The probability is named to three places, on the right side of the crossing."""
    found = find(default, applicant(merchant_probability=0.2, probability_high=0.21, probability_low=0.19))
    assert found == Counterfactual("merchant_probability", 0.2, 0.06, Disposition.ADMIT_CAPPED)


def test_the_smaller_change_on_its_scale_is_told(default: Policy, applicant: Witness) -> None:
    """Of two conditions that must both hold, the one that is nearer to failing is named."""
    found = find(default, applicant(a2_excess_units_ratio=0.95, d5_arbitrage_profit_90d_minor=60500))
    assert found is not None
    assert (found.evidence, found.needed) == ("d5_arbitrage_profit_90d_minor", 59900.0)


def test_two_binding_causes_with_nothing_in_common_have_none(default: Policy, applicant: Witness) -> None:
    """Where two rules bind and no number is in both, no single change helps, and none is told."""
    assert find(default, applicant(operator_holders=5, list_deny=True)) is None


def test_nobody_is_told_to_have_less_history(default: Policy, applicant: Witness) -> None:
    """A refusal would become a trial with fewer orders; that way is closed."""
    found = find(default, applicant(merchant_probability=0.9, probability_low=0.89, risk_score=0.9))
    assert found is not None
    assert found.evidence == "merchant_probability"


def test_more_history_is_a_way_out_of_trial(default: Policy, applicant: Witness) -> None:
    """Who is on trial for two orders is told that a third would do."""
    evidence = applicant(evidence_mass=2, probability_high=0.1)
    assert find(default, evidence) == Counterfactual("evidence_mass", 2.0, 3.0, Disposition.ADMIT)


def test_luck_is_no_way_out(default: Policy, applicant: Witness) -> None:
    """A lower score that only leads into the exploration lane is not told."""
    evidence = applicant(list_deny=True, risk_score=0.9)
    assert decide(default, ADMISSION, evidence, lottery=0.04).disposition is Disposition.REVIEW
    assert find(default, evidence, lottery=0.04) is None


def test_who_was_explored_is_told_what_would_have_admitted(default: Policy, applicant: Witness) -> None:
    """The change is measured against the trial that the lane gave, not against the refusal."""
    evidence = applicant(merchant_probability=0.9, probability_low=0.89, risk_score=0.9)
    found = find(default, evidence, lottery=0.0)
    assert found is not None
    assert found.disposition is Disposition.ADMIT_CAPPED


def test_a_failed_witness_is_no_number_to_move(default: Policy, applicant: Witness) -> None:
    """While a source is at fault the trial stays, whatever else the applicant changes."""
    assert find(default, applicant(h5_synchrony_score=Absence.SOURCE_FAILED)) is None


def test_conditions_that_calculate_are_searched_too(load: Callable[[str], Policy], witness: Witness) -> None:
    """Where the turning point is no literal, the border is found by walking and halving."""
    policy = load(
        """
name: ratio
version: "1"
description: d
rules:
  - id: r
    purpose: p
    when: d5_arbitrage_profit_90d_minor / evidence_mass > 1000
    at_least: review
counterfactuals:
  - {evidence: d5_arbitrage_profit_90d_minor, scale: 1000, step: 100, lowest: 0, highest: 1000000}
  - {evidence: evidence_mass, scale: 1, step: 1, lowest: 0, highest: 1000, direction: up}
"""
    )
    evidence = witness(d5_arbitrage_profit_90d_minor=17350, evidence_mass=12)
    expected = Counterfactual("d5_arbitrage_profit_90d_minor", 17350.0, 12000.0, Disposition.ADMIT)
    assert find(policy, evidence) == expected


def distance_of(policy: Policy, name: str, by: float) -> float:
    """Measure a change on the scale of its evidence."""
    return abs(by) / next(movable.scale for movable in policy.movables if movable.evidence == name)


def grid_of(movable: Movable, actual: float) -> Iterator[float]:
    """Give every value on the movable's grid that its direction allows."""
    for index in range(int(movable.lowest / movable.step), int(movable.highest / movable.step) + 1):
        value = round(index * movable.step, 6)
        is_wrong_way = (movable.direction is Direction.UP and value < actual) or (
            movable.direction is Direction.DOWN and value > actual
        )
        if not is_wrong_way:
            yield value


def nearest_by_trying(policy: Policy, evidence: Mapping[str, Evidence]) -> float | None:
    """Decide again for every value of every movable; give the least distance of those that help."""
    rung = severity(decide(policy, ADMISSION, evidence, lottery=0.999).disposition, ADMISSION)
    distances = []
    for movable in policy.movables:
        actual = evidence[movable.evidence].value
        assert isinstance(actual, float)
        for value in grid_of(movable, actual):
            moved = {**evidence, movable.evidence: replace(evidence[movable.evidence], value=value)}
            again = decide(policy, ADMISSION, moved, lottery=0.999)
            if severity(again.disposition, ADMISSION) < rung:
                distances.append(distance_of(policy, movable.evidence, value - actual))
    return min(distances, default=None)


@pytest.mark.parametrize("seed", range(12))
def test_no_nearer_value_would_do(default: Policy, applicant: Witness, seed: int) -> None:
    """Trying every value on every movable's grid finds nothing nearer (ranges cut to a few hundred steps)."""
    random = Random(seed)  # noqa: S311 (cases, not secrets)
    probability = random.choice([0.002, 0.05, 0.3, 0.7])
    evidence = applicant(
        merchant_probability=probability,
        probability_low=max(0.0, probability - 0.05),
        probability_high=min(1.0, probability + 0.05),
        risk_score=probability,
        a2_excess_units_ratio=random.choice([0.0, 0.35, 0.8]),
        d5_arbitrage_profit_90d_minor=random.choice([0.0, 61000.0]),
        c6_promo_concentration=random.choice([0.2, 0.95]),
        operator_holders=random.choice([0.0, 3.0, 5.0]),
        evidence_mass=random.choice([2.0, 20.0]),
        regime=random.choice(["ordinary", "burst"]),
        l2_linked_recent_applications=random.choice([0.0, 3.0]),
    )
    movables = tuple(replace(movable, highest=min(movable.highest, 120.0)) for movable in default.movables)
    policy = replace(default, movables=tuple(item for item in movables if item.highest / item.step <= 1000))
    found = find(policy, evidence)
    distance = None if found is None else distance_of(policy, found.evidence, found.needed - found.actual)
    expected = nearest_by_trying(policy, evidence)
    assert distance == (None if expected is None else pytest.approx(expected))
