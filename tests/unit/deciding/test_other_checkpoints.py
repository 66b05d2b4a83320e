"""Orders and sweeps: rules alone decide, on their own ladders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from membergate.deciding.policy import Policy, Refusal, decide
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.evidence import Absence, Evidence, EvidenceValue

Witness = Callable[..., dict[str, Evidence]]
ORDER, SWEEP = Checkpoint.ORDER, Checkpoint.SWEEP


@pytest.mark.parametrize(
    ("checkpoint", "said", "expected"),
    [
        (ORDER, {}, Disposition.FULL_BENEFIT),
        (ORDER, {"a2_excess_units_ratio": 0.4}, Disposition.LIMIT_QUANTITY),
        (ORDER, {"list_deny": True}, Disposition.REMOVE_MEMBER_PRICE),
        (SWEEP, {}, Disposition.KEEP),
        (SWEEP, {"a2_excess_units_ratio": 0.4}, Disposition.ADMIT_CAPPED),
        (SWEEP, {"a2_excess_units_ratio": 0.6, "d5_arbitrage_profit_90d_minor": 90000}, Disposition.SUSPEND_BENEFIT),
        (SWEEP, {"a2_excess_units_ratio": 0.6, "list_deny": True}, Disposition.TERMINATE),
    ],
)
def test_rules_decide_orders_and_sweeps(
    default: Policy, applicant: Witness, checkpoint: Checkpoint, said: dict[str, EvidenceValue], expected: Disposition
) -> None:
    """Neither the expected value nor the exploration lane has a say after admission."""
    verdict = decide(default, checkpoint, applicant(merchant_probability=0.99, **said), lottery=0.0)
    assert verdict.disposition is expected
    assert verdict.expected_value_minor == {}
    assert verdict.propensity is None


def test_a_fault_limits_orders_and_punishes_no_member(default: Policy, applicant: Witness) -> None:
    """With a witness at fault an order keeps its limit (caps fail closed), and a sweep leaves the member alone."""
    evidence = applicant(a2_excess_units_ratio=Absence.SOURCE_FAILED)
    order, sweep = (decide(default, checkpoint, evidence, lottery=0.5) for checkpoint in (ORDER, SWEEP))
    assert (order.disposition, order.caps) == (Disposition.LIMIT_QUANTITY, default.caps[Disposition.LIMIT_QUANTITY])
    assert sweep.disposition is Disposition.KEEP
    assert order.degraded
    assert sweep.degraded


def test_only_a_person_terminates_where_the_policy_says_so(default: Policy, applicant: Witness) -> None:
    """Without a person behind it a termination becomes a suspension."""
    unbacked = tuple(replace(rule, is_backed_by_person=False) for rule in default.rules)
    policy = replace(default, refusal=Refusal.BY_A_PERSON, rules=unbacked)
    evidence = applicant(a2_excess_units_ratio=0.6, list_deny=True)
    assert decide(policy, SWEEP, evidence, lottery=0.5).disposition is Disposition.SUSPEND_BENEFIT
