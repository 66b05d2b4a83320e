"""Verdict: what a policy says. Decision: the full record of what the door did and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.evidence import Evidence


class RuleOutcome(StrEnum):
    """What became of one rule. SQL's three-valued logic rules: unknown is not a hit."""

    HIT = "hit"
    MISS = "miss"
    UNKNOWN = "unknown"
    SNOOZED = "snoozed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Caps:
    """Benefit limits that come with a disposition; None is no limit.

    Parameters
    ----------
    units_per_sku
        Units of one SKU in a window, at least 1.
    window_days
        Length of that window, in days.
    benefit_minor_per_month
        Benefit value in a calendar month, in the currency's minor unit.
    orders_per_day
        Member-price orders a day.
    promotion_stock_ratio
        Share of a promotion's stock of one SKU, in (0, 1].
    """

    units_per_sku: int | None = None
    window_days: int | None = None
    benefit_minor_per_month: int | None = None
    orders_per_day: int | None = None
    promotion_stock_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A policy's answer, with the audit that falls out of its evaluation.

    Parameters
    ----------
    disposition
        The strictest of what the rules and the expected value ask for.
    caps
        The limits that come with it.
    reason_codes
        Stable codes, strongest first, without repeats.
    rule_outcomes
        Every rule's id and outcome, in the policy's order.
    expected_value_minor
        Expected value of each disposition that was weighed, in minor units.
    read
        Names of the evidence that the policy read.
    degraded
        Whether any witness that was read had failed.
    explore, propensity
        Whether the exploration lane admitted the subject, and with what probability it does so; None where it had none.
    """

    disposition: Disposition
    caps: Caps | None
    reason_codes: tuple[str, ...]
    rule_outcomes: tuple[tuple[str, RuleOutcome], ...]
    expected_value_minor: dict[Disposition, float]
    read: tuple[str, ...]
    degraded: bool
    explore: bool = False
    propensity: float | None = None


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """The smallest change of evidence that would have changed the disposition.

    Parameters
    ----------
    evidence
        The name of the evidence.
    actual, needed
        Its value, and the nearest value that changes the outcome.
    disposition
        What the decision would then have been.
    """

    evidence: str
    actual: float
    needed: float
    disposition: Disposition


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of the contract's `decisions` table, whatever made it: batch, service or replay.

    `decision_id` is a digest of checkpoint, subject, instant and versions, so the same question under the same versions
    has the same id.
    """

    decision_id: str
    checkpoint: Checkpoint
    application_id: str | None
    order_id: str | None
    account_id: str
    operator_id: str
    decided_at: datetime
    as_of: datetime
    disposition: Disposition
    merchant_probability: float | None
    risk_score: float | None
    reason_codes: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    counterfactual: Counterfactual | None
    caps: Caps | None
    policy_version: str
    model_version: str
    promotion_id: str | None
    degraded: bool
    explore: bool
    propensity: float | None
    contributions: tuple[tuple[str, float], ...] = field(default=())
