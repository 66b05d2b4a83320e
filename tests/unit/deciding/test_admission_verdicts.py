"""Admission: every disposition from natural evidence, and what bends a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from membergate.deciding.policy import Policy, Reason, Refusal, decide
from membergate.domain.decision import Caps, RuleOutcome, Verdict
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.evidence import Absence, Evidence, EvidenceValue

Witness = Callable[..., dict[str, Evidence]]
ADMISSION = Checkpoint.ADMISSION


def admit(policy: Policy, evidence: dict[str, Evidence], lottery: float = 0.999) -> Verdict:
    """Decide at admission; by default with no luck in the exploration lane."""
    return decide(policy, ADMISSION, evidence, lottery=lottery)


def likely(probability: float) -> dict[str, EvidenceValue]:
    """Say one calibrated probability with a tight interval."""
    return {
        "merchant_probability": probability,
        "probability_low": max(0.0, probability - 0.01),
        "probability_high": min(1.0, probability + 0.01),
        "risk_score": probability,
    }


@pytest.mark.parametrize(
    ("said", "expected", "reason"),
    [
        ({}, Disposition.ADMIT, None),
        (likely(0.03), Disposition.ADMIT_CAPPED, "MERCHANT_PROBABILITY"),
        (likely(0.2), Disposition.TRIAL, "MERCHANT_PROBABILITY"),
        ({"l2_linked_recent_applications": 4}, Disposition.STEP_UP, "APPLICATION_WAVE"),
        ({"operator_holders": 5}, Disposition.REVIEW, "OPERATOR_CAP"),
        (
            likely(0.4) | {"declared_use": "business", "company_invoice_ratio": 0.9},
            Disposition.BUSINESS_LANE,
            "BUSINESS_EVIDENCE",
        ),
        (likely(0.9), Disposition.DENY, "MERCHANT_PROBABILITY"),
    ],
)
def test_every_disposition_is_reached_by_natural_evidence(
    default: Policy, applicant: Witness, said: dict[str, EvidenceValue], expected: Disposition, reason: str | None
) -> None:
    """Each of the seven admission dispositions has an applicant whom it fits, and says why first."""
    verdict = admit(default, applicant(**said))
    assert verdict.disposition is expected
    assert verdict.reason_codes[:1] == (() if reason is None else (reason,))


@pytest.mark.parametrize(
    ("said", "at_the_door", "at_a_sweep"),
    [
        ({"look_alike": "group_buy_leader", "d4_arbitrage_margin": 0.1}, Disposition.TRIAL, Disposition.ADMIT_CAPPED),
        (
            {"look_alike": "group_buy_leader", "d4_arbitrage_margin": 0.2},
            Disposition.REVIEW,
            Disposition.SUSPEND_BENEFIT,
        ),
        (
            {"look_alike": "group_buy_leader", "d4_arbitrage_margin": Absence.NOT_OBSERVED},
            Disposition.REVIEW,
            Disposition.SUSPEND_BENEFIT,
        ),
        ({"look_alike": "gift_giver", "d4_arbitrage_margin": 0.1}, Disposition.REVIEW, Disposition.SUSPEND_BENEFIT),
        (
            {"look_alike": Absence.NOT_OBSERVED, "d4_arbitrage_margin": 0.1},
            Disposition.REVIEW,
            Disposition.SUSPEND_BENEFIT,
        ),
    ],
)
def test_depth_waits_for_a_person_unless_a_leader_earns_little_on_it(
    default: Policy,
    applicant: Witness,
    said: dict[str, EvidenceValue],
    at_the_door: Disposition,
    at_a_sweep: Disposition,
) -> None:
    """A declared group-buy leader without a margin gets low caps at once; with one, or unseen, a person looks."""
    deep = applicant(a2_excess_units_ratio=0.7, d5_arbitrage_profit_90d_minor=90_000, **said)
    assert admit(default, deep).disposition is at_the_door
    assert decide(default, Checkpoint.SWEEP, deep, lottery=0.999).disposition is at_a_sweep


def test_caps_come_with_the_dispositions_that_carry_them(default: Policy, applicant: Witness) -> None:
    """Capped admission and trial carry their limits, full admission none."""
    assert admit(default, applicant()).caps is None
    assert admit(default, applicant(**likely(0.03))).caps == default.caps[Disposition.ADMIT_CAPPED]
    assert admit(default, applicant(**likely(0.2))).caps == default.caps[Disposition.TRIAL]


def test_the_tighter_limit_of_a_rule_counts(load: Callable[[str], Policy], witness: Witness) -> None:
    """A hit adds its limits; of two limits on one thing the lower holds, over the longer window."""
    policy = load(
        """
name: capped
version: "1"
description: d
caps:
  trial: {units_per_sku: 3, window_days: 30, orders_per_day: 2}
rules:
  - id: r
    purpose: p
    when: list_watch
    at_least: trial
    caps: {units_per_sku: 2, window_days: 7, benefit_minor_per_month: 500}
"""
    )
    expected = Caps(units_per_sku=2, window_days=30, benefit_minor_per_month=500, orders_per_day=2)
    assert admit(policy, witness(list_watch=True)).caps == expected


@pytest.mark.parametrize(
    ("probability", "high", "expected"),
    [
        (0.001, 0.3, Disposition.TRIAL),
        (0.001, Absence.NOT_APPLICABLE, Disposition.TRIAL),
        (0.001, 0.02, Disposition.ADMIT_CAPPED),
        (0.03, 0.1, Disposition.TRIAL),
        (0.95, 0.99, Disposition.TRIAL),
    ],
)
def test_little_history_means_trial(
    default: Policy, applicant: Witness, probability: float, high: float | Absence, expected: Disposition
) -> None:
    """With two orders nobody is refused by a score; caps instead of trial need a score that is sure of itself."""
    evidence = applicant(
        evidence_mass=2, merchant_probability=probability, probability_low=0.0, probability_high=high, risk_score=0.1
    )
    verdict = admit(default, evidence)
    assert (verdict.disposition, verdict.reason_codes) == (expected, (Reason.LITTLE_HISTORY,))


def test_an_uncertain_probability_neither_refuses_nor_admits_in_full(default: Policy, applicant: Witness) -> None:
    """A refusal must be best at the lower end of the interval too; a full admission not absurd at the higher."""
    refused = applicant(**(likely(0.6) | {"probability_low": 0.2}))
    admitted = applicant(**(likely(0.005) | {"probability_high": 0.8}))
    for evidence in (refused, admitted):
        verdict = admit(default, evidence)
        assert verdict.disposition is Disposition.TRIAL
        assert verdict.reason_codes == (Reason.UNCERTAIN,)


def test_an_uncalibrated_model_never_refuses(default: Policy, applicant: Witness) -> None:
    """Without labels the score may ask for a person, not for a refusal."""
    evidence = applicant(
        merchant_probability=Absence.NOT_APPLICABLE,
        uncalibrated_probability=0.97,
        probability_low=Absence.NOT_APPLICABLE,
        probability_high=Absence.NOT_APPLICABLE,
        is_calibrated=False,
        risk_score=0.97,
    )
    assert admit(default, evidence).disposition is Disposition.REVIEW


def test_no_score_at_all_means_trial(default: Policy, applicant: Witness) -> None:
    """Where no model said anything, the applicant is tried."""
    evidence = applicant(merchant_probability=Absence.NOT_OBSERVED, uncalibrated_probability=Absence.NOT_OBSERVED)
    verdict = admit(default, evidence)
    assert (verdict.disposition, verdict.reason_codes) == (Disposition.TRIAL, (Reason.NO_SCORE,))
    assert verdict.expected_value_minor == {}


def test_a_failed_score_fails_open_to_trial(default: Policy, applicant: Witness) -> None:
    """With the model at fault the door stays open, but not fully, and says that it is degraded."""
    evidence = applicant(merchant_probability=Absence.SOURCE_FAILED, uncalibrated_probability=Absence.SOURCE_FAILED)
    verdict = admit(default, evidence)
    assert verdict.disposition is Disposition.TRIAL
    assert verdict.degraded
    assert Reason.WITNESS_FAILED in verdict.reason_codes
    assert verdict.caps == default.caps[Disposition.TRIAL]


def test_the_operator_cap_fails_closed(default: Policy, applicant: Witness) -> None:
    """Where nobody can say how many accounts of the operator hold membership, one more is not let in unseen."""
    verdict = admit(default, applicant(operator_holders=Absence.SOURCE_FAILED))
    assert verdict.disposition is Disposition.REVIEW
    assert verdict.propensity == 0.0
    assert admit(default, applicant(operator_holders=Absence.NOT_APPLICABLE)).disposition is Disposition.ADMIT


def test_a_value_of_the_wrong_kind_is_a_failed_witness(default: Policy, applicant: Witness) -> None:
    """Nonsense is treated as a fault of the source, not as a value."""
    for nonsense in ({"merchant_probability": 7.0}, {"history_days": "long"}, {"list_deny": 1.0}):
        verdict = admit(default, applicant(**nonsense))
        assert verdict.degraded
        assert verdict.disposition is Disposition.TRIAL


def test_outcomes_tell_unknown_from_failed(default: Policy, applicant: Witness) -> None:
    """A rule that could not be answered says whether its witness had nothing to say or was at fault."""
    unheard = admit(default, applicant(l2_linked_recent_applications=Absence.NOT_OBSERVED))
    at_fault = admit(default, applicant(l2_linked_recent_applications=Absence.SOURCE_FAILED))
    assert dict(unheard.rule_outcomes)["application-wave"] is RuleOutcome.UNKNOWN
    assert dict(at_fault.rule_outcomes)["application-wave"] is RuleOutcome.FAILED


def test_a_guard_must_be_witnessed_to_spare(load: Callable[[str], Policy], witness: Witness) -> None:
    """`unless` spares when it is definitely true; unknown does not spare."""
    policy = load(
        """
name: guarded
version: "1"
description: d
rules:
  - id: r
    purpose: p
    when: a2_excess_units_ratio > 0.5
    unless: company_invoice_ratio >= 0.5
    at_least: review
    reason: DEPTH
"""
    )
    spared = witness(a2_excess_units_ratio=0.9, company_invoice_ratio=0.9)
    unguarded = witness(a2_excess_units_ratio=0.9, company_invoice_ratio=Absence.NOT_OBSERVED)
    assert admit(policy, spared).disposition is Disposition.ADMIT
    assert admit(policy, unguarded).disposition is Disposition.REVIEW


def test_a_promotion_moves_the_loss_and_so_the_disposition(default: Policy, applicant: Witness) -> None:
    """The same probability is capped on an ordinary day and tried in the burst, where a merchant takes four times."""
    assert admit(default, applicant(**likely(0.03))).disposition is Disposition.ADMIT_CAPPED
    assert admit(default, applicant(regime="burst", **likely(0.03))).disposition is Disposition.TRIAL


def test_a_person_who_vouched_silences_the_score_but_not_the_cap(default: Policy, applicant: Witness) -> None:
    """The allow list answers for the person, not for a sixth account."""
    assert admit(default, applicant(list_allow=True, **likely(0.9))).disposition is Disposition.ADMIT
    capped = admit(default, applicant(list_allow=True, operator_holders=5))
    assert capped.disposition is Disposition.REVIEW


def test_a_list_match_alone_refuses_nobody(default: Policy, applicant: Witness) -> None:
    """A deny entry needs behaviour that agrees; alone it asks for a person, since a match can be wrong."""
    assert admit(default, applicant(list_deny=True)).disposition is Disposition.REVIEW
    assert admit(default, applicant(list_deny=True, a2_excess_units_ratio=0.6)).disposition is Disposition.DENY


def test_where_only_persons_refuse_a_refusal_becomes_a_review(default: Policy, applicant: Witness) -> None:
    """Under `by_a_person` the score asks for a review; a person's list entry still refuses."""
    policy = replace(default, refusal=Refusal.BY_A_PERSON)
    assert admit(policy, applicant(**likely(0.9))).disposition is Disposition.REVIEW
    assert admit(policy, applicant(list_deny=True, a2_excess_units_ratio=0.6)).disposition is Disposition.DENY


def test_the_exploration_lane_admits_on_trial_by_lottery(default: Policy, applicant: Witness) -> None:
    """Who would be refused is tried if the draw is below the stratum's propensity; both are on the verdict."""
    evidence = applicant(**likely(0.7))
    lucky, unlucky = admit(default, evidence, lottery=0.0499), admit(default, evidence, lottery=0.05)
    assert (lucky.disposition, lucky.explore, lucky.propensity) == (Disposition.TRIAL, True, 0.05)
    assert lucky.caps == default.caps[Disposition.TRIAL]
    assert "EXPLORED" in lucky.reason_codes
    assert (unlucky.disposition, unlucky.explore, unlucky.propensity) == (Disposition.DENY, False, 0.05)


def test_who_is_not_refused_has_no_propensity(default: Policy, applicant: Witness) -> None:
    """The lane is for those who would be reviewed or refused; others have none."""
    assert admit(default, applicant(), lottery=0.0).propensity is None


def test_what_is_proven_is_declared_outside_the_lane(default: Policy, applicant: Witness) -> None:
    """A confirmed list entry and the operator cap have propensity 0, whatever the draw."""
    for evidence in (applicant(list_deny=True, a2_excess_units_ratio=0.6), applicant(operator_holders=6)):
        verdict = admit(default, evidence, lottery=0.0)
        assert (verdict.propensity, verdict.explore) == (0.0, False)


def test_positive_propensities_are_raised_to_the_minimum(
    default_text: str, load: Callable[[str], Policy], applicant: Witness
) -> None:
    """A stratum below the minimum explores at the minimum, so that no weight exceeds its inverse; 0 stays 0."""
    text = default_text.replace("propensity: 0.05", "propensity: 0.001").replace("propensity: 0.10", "propensity: 0")
    policy = load(text)
    verdicts = [admit(policy, applicant(list_deny=True, risk_score=score)) for score in (0.3, 0.7)]
    assert [verdict.propensity for verdict in verdicts] == [0.0, 0.02]


def test_snoozed_rules_sleep_for_the_named_account_until_the_end(
    load: Callable[[str], Policy], applicant: Witness
) -> None:
    """A snooze is the policy's own list, account by account, and ends at its instant."""
    policy = load(
        """
name: snoozing
version: "1"
description: d
rules:
  - id: wave
    purpose: p
    when: l2_linked_recent_applications >= 3
    at_least: step_up
    snoozes:
      - {account: a-1, until: 2025-12-01}
"""
    )
    at = datetime(2025, 11, 1, tzinfo=UTC)
    assert policy.snoozed_for("a-1", at) == {"wave"}
    assert policy.snoozed_for("a-2", at) == set()
    assert policy.snoozed_for("a-1", at.replace(month=12)) == set()
    evidence = applicant(l2_linked_recent_applications=4)
    verdict = decide(policy, ADMISSION, evidence, lottery=0.9, snoozed=policy.snoozed_for("a-1", at))
    assert verdict.disposition is Disposition.ADMIT
    assert verdict.rule_outcomes == (("wave", RuleOutcome.SNOOZED),)


def test_reasons_come_strongest_first(default: Policy, applicant: Witness) -> None:
    """The reason of the strictest cause leads; each code stands once."""
    verdict = admit(default, applicant(operator_holders=5, list_watch=True, l2_linked_recent_applications=3))
    assert verdict.reason_codes == ("OPERATOR_CAP", "APPLICATION_WAVE", "ON_WATCH_LIST")


def test_the_verdict_tells_what_was_read_and_weighed(default: Policy, applicant: Witness) -> None:
    """Everything that the policy reads at the checkpoint is named, and every weighed disposition has its value."""
    verdict = admit(default, applicant())
    assert verdict.read == default.reads_at[ADMISSION]
    assert set(verdict.read) <= set(default.reads)
    assert Disposition.BUSINESS_LANE not in verdict.expected_value_minor
    assert verdict.expected_value_minor[Disposition.ADMIT] == max(verdict.expected_value_minor.values())
    offered = admit(default, applicant(declared_use="business"))
    assert Disposition.BUSINESS_LANE in offered.expected_value_minor
