"""A decision in sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from membergate.domain.decision import Caps, Counterfactual, Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.evidence import Absence, Evidence
from membergate.domain.instants import utc
from membergate.service.explaining import explain

PLAIN = Decision(
    decision_id="d-1",
    checkpoint=Checkpoint.ADMISSION,
    application_id=None,
    order_id=None,
    account_id="account",
    operator_id="operator",
    decided_at=utc(2025, 1, 2),
    as_of=utc(2025, 1, 1),
    disposition=Disposition.TRIAL,
    merchant_probability=None,
    risk_score=None,
    reason_codes=(),
    evidence=(),
    counterfactual=None,
    caps=None,
    policy_version="default-1",
    model_version="m-1",
    promotion_id=None,
    degraded=False,
    explore=False,
    propensity=None,
)


def test_the_outcome_comes_first() -> None:
    """With the instant and the versions; what there is not, is not told."""
    assert explain(PLAIN) == (
        "Decided as of 2025-01-01T00:00:00.000000Z: trial, by policy default-1 on the testimony of model m-1.",
        "There is neither a calibrated probability nor a risk score.",
    )


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        (replace(PLAIN, merchant_probability=0.12345), "The calibrated probability of a merchant is 0.123."),
        (replace(PLAIN, risk_score=0.5), "There is no calibrated probability; the risk score is 0.5 of 1."),
        (replace(PLAIN, reason_codes=("A", "B")), "Reasons, strongest first: A, B."),
        (
            replace(PLAIN, caps=Caps(2, 30, None, 1)),
            "Benefits are limited to 2 units of one SKU in 30 days, 1 orders a day.",
        ),
        (
            replace(PLAIN, explore=True, propensity=0.02),
            "Let in by the exploration lane, which lets in such applications with probability 0.02.",
        ),
        (
            replace(PLAIN, counterfactual=Counterfactual("a2_excess_units_ratio", 0.9, 0.5, Disposition.ADMIT)),
            "With a2_excess_units_ratio at 0.5 instead of 0.9 it would have been admit.",
        ),
        (
            replace(
                PLAIN,
                degraded=True,
                evidence=(Evidence("list_deny", Absence.SOURCE_FAILED, "list:deny", utc(2025, 1, 1)),),
            ),
            "Degraded: list_deny could not be heard because of a fault.",
        ),
        (replace(PLAIN, degraded=True), "Degraded: a witness could not be heard because of a fault."),
    ],
)
def test_what_there_is_has_its_sentence(decision: Decision, sentence: str) -> None:
    """One sentence for each part of the record."""
    assert sentence in explain(decision)


def test_caps_without_a_limit_say_nothing() -> None:
    """Empty caps are no sentence."""
    assert len(explain(replace(PLAIN, caps=Caps()))) == len(explain(PLAIN))
