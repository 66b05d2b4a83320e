"""The evidence that the machinery of a policy reads by name, beyond what its conditions say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from membergate.domain.evidence import EvidenceKind

if TYPE_CHECKING:  # documents speak of policies, which know these names
    from membergate.deciding.policy.document import PolicyDocument

MERCHANT_PROBABILITY = "merchant_probability"
UNCALIBRATED_PROBABILITY = "uncalibrated_probability"
PROBABILITY_LOW = "probability_low"
PROBABILITY_HIGH = "probability_high"
MEMBERS_PROBABILITY_HIGH = "members_probability_high"
"""Decisions from before there was such evidence stand on the interval's higher end instead."""
IS_CALIBRATED = "is_calibrated"
EVIDENCE_MASS = "evidence_mass"
HISTORY_DAYS = "history_days"
OPERATOR_HOLDERS = "operator_holders"
RISK_SCORE = "risk_score"

SCORES = (
    MERCHANT_PROBABILITY, UNCALIBRATED_PROBABILITY, PROBABILITY_LOW, PROBABILITY_HIGH, MEMBERS_PROBABILITY_HIGH,
)  # fmt: skip
IN_UNIT_INTERVAL = frozenset({*SCORES, RISK_SCORE})
"""A value outside [0, 1] from one of these is a failed witness."""


def read_by(document: PolicyDocument) -> list[tuple[str, str, EvidenceKind]]:
    """Give what each section of the document needs: (section, evidence name, kind)."""
    number = EvidenceKind.NUMBER
    needs = []
    if document.economics:
        needs += [("economics", name, number) for name in SCORES]
        needs.append(("economics", IS_CALIBRATED, EvidenceKind.BOOLEAN))
    if document.evidence_mass:
        needs += [("evidence_mass", name, number) for name in (EVIDENCE_MASS, HISTORY_DAYS)]
    if document.operator_cap:
        needs.append(("operator_cap", OPERATOR_HOLDERS, number))
    if document.exploration:
        needs.append(("exploration", RISK_SCORE, number))
    return needs
