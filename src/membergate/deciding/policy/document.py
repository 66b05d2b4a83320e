"""What a policy file may say: its keys, types and ranges. Units end the names.

Loading turns this form into a `Policy`; conditions are still texts here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from membergate.deciding.policy.policy import Direction, Refusal
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.evidence import Absence

Ratio = Annotated[float, Meta(ge=0, le=1)]
Money = Annotated[float, Meta(ge=0, le=1e12)]
Positive = Annotated[float, Meta(gt=0, le=1e12)]
Multiplier = Annotated[float, Meta(gt=0, le=1e3)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Identifier = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_.-]{0,79}\Z")]
Code = Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]{0,79}\Z")]
Line = Annotated[str, Meta(min_length=1, max_length=600)]


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unknown keys are errors: a misspelt limit must not be a missing one."""


class CapsPart(_Part, frozen=True):
    """Benefit limits; what is left out has no limit."""

    units_per_sku: Count | None = None
    window_days: Count | None = None
    benefit_minor_per_month: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    orders_per_day: Count | None = None
    promotion_stock_ratio: Annotated[float, Meta(gt=0, le=1)] | None = None


class CapsTable(_Part, frozen=True):
    """The limits that come with each disposition that carries any."""

    admit_capped: CapsPart | None = None
    trial: CapsPart | None = None
    limit_quantity: CapsPart | None = None
    suspend_benefit: CapsPart | None = None


class KeepingPart(_Part, frozen=True):
    """See `economics.Keeping`."""

    value_kept_ratio: Ratio
    loss_kept_ratio: Ratio
    cost_minor: Money = 0.0


class StepUpPart(_Part, frozen=True):
    """See `economics.StepUp`."""

    genuine_abandon_ratio: Ratio
    merchant_pass_ratio: Ratio
    cost_minor: Money = 0.0


class ReviewPart(_Part, frozen=True):
    """See `economics.Review`."""

    sensitivity: Ratio
    specificity: Ratio
    cost_minor: Money = 0.0
    queue_price_minor: Money = 0.0
    minutes: Positive | None = None
    capacity_minutes_per_day: Money | None = None


class BusinessLanePart(_Part, frozen=True):
    """See `economics.BusinessLane`."""

    genuine_return_ratio: Ratio
    merchant_accept_ratio: Ratio
    business_margin_minor: Money
    offered_when: str
    cost_minor: Money = 0.0


class EconomicsPart(_Part, frozen=True):
    """See `economics.Economics`."""

    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
    genuine_value_minor: Positive
    merchant_loss_minor: Positive
    wrong_denial_harm_ratio: Ratio
    admit_capped: KeepingPart
    trial: KeepingPart
    step_up: StepUpPart
    review: ReviewPart
    business_lane: BusinessLanePart | None = None
    waived_when: str | None = None


class SegmentPart(_Part, frozen=True):
    """See `policy.Segment`."""

    id: Identifier
    when: str
    value_multiplier: Multiplier = 1.0
    loss_multiplier: Multiplier = 1.0


class EvidenceMassPart(_Part, frozen=True):
    """See `policy.EvidenceMass`."""

    minimum_orders: Annotated[float, Meta(ge=0, le=1e6)]
    minimum_history_days: Annotated[float, Meta(ge=0, le=1e5)] = 0.0


class OperatorCapPart(_Part, frozen=True):
    """See `policy.OperatorCap`."""

    accounts: Count
    at_least: Disposition


class StratumPart(_Part, frozen=True):
    """See `policy.Stratum`."""

    risk_score_at_most: Ratio
    propensity: Ratio


class ExplorationPart(_Part, frozen=True):
    """See `policy.Exploration`."""

    explored: Annotated[list[Disposition], Meta(min_length=1, max_length=4)]
    minimum_propensity: Annotated[float, Meta(gt=0, le=1)]
    strata: Annotated[list[StratumPart], Meta(min_length=1, max_length=50)]


class CounterfactualPart(_Part, frozen=True):
    """See `policy.Movable`."""

    evidence: Identifier
    scale: Positive
    step: Positive
    lowest: Annotated[float, Meta(ge=-1e12, le=1e12)]
    highest: Annotated[float, Meta(ge=-1e12, le=1e12)]
    direction: Direction = Direction.EITHER


class SnoozePart(_Part, frozen=True):
    """For whom a rule sleeps, and until when (UTC)."""

    account: Annotated[str, Meta(min_length=1, max_length=200)]
    until: datetime


class WatchPart(_Part, frozen=True):
    """See `policy.Watch`."""

    days: Annotated[int, Meta(ge=1, le=3650)]
    subject: Literal["account", "operator"] = "operator"
    confidence: Ratio = 0.8
    half_life_days: Annotated[float, Meta(gt=0, le=36_500)] | None = None


class RulePart(_Part, frozen=True):
    """See `policy.Rule`."""

    id: Identifier
    purpose: Line
    when: str
    false_positives: Line | None = None
    checkpoint: Checkpoint = Checkpoint.ADMISSION
    unless: str | None = None
    at_least: Disposition | None = None
    reason: Code | None = None
    tag: Identifier | None = None
    caps: CapsPart | None = None
    watch: WatchPart | None = None
    explorable: bool = True
    backed_by_person: bool = False
    snoozes: Annotated[list[SnoozePart], Meta(max_length=1000)] = []


class OverlayPart(_Part, frozen=True):
    """See `policy.Overlay`."""

    id: Identifier
    purpose: Line
    starts_at: datetime
    ends_at: datetime
    loss_multiplier: Annotated[float, Meta(ge=1, le=1e3)] = 1.0
    operator_cap: Count | None = None
    caps: CapsTable = CapsTable()


class ExamplePart(_Part, frozen=True):
    """See `examples.Example`."""

    id: Identifier
    expect: Disposition
    checkpoint: Checkpoint = Checkpoint.ADMISSION
    evidence: Annotated[dict[str, bool | float | str], Meta(max_length=200)] = {}
    absent: Annotated[dict[str, Absence], Meta(max_length=200)] = {}
    reasons: Annotated[list[Code], Meta(max_length=50)] = []
    hits: Annotated[list[Identifier], Meta(max_length=50)] = []
    at: datetime | None = None


class PolicyDocument(_Part, frozen=True):
    """See `policy.Policy`."""

    name: Identifier
    version: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,39}\Z")]
    description: Annotated[str, Meta(min_length=1, max_length=4000)]
    effective_from: datetime | None = None
    effective_until: datetime | None = None
    refusal: Refusal = Refusal.AUTOMATIC
    economics: EconomicsPart | None = None
    segments: Annotated[list[SegmentPart], Meta(max_length=100)] = []
    evidence_mass: EvidenceMassPart | None = None
    operator_cap: OperatorCapPart | None = None
    exploration: ExplorationPart | None = None
    caps: CapsTable = CapsTable()
    counterfactuals: Annotated[list[CounterfactualPart], Meta(max_length=200)] = []
    rules: Annotated[list[RulePart], Meta(max_length=500)] = []
    overlays: Annotated[list[OverlayPart], Meta(max_length=50)] = []
    examples: Annotated[list[ExamplePart], Meta(max_length=500)] = []
