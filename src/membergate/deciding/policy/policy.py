"""A policy: versioned, immutable, typed. What it decides is a function of it and the evidence alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from membergate.deciding.policy import witnesses
from membergate.deciding.policy.condition import Condition
from membergate.deciding.policy.economics import Economics, Stakes
from membergate.domain.decision import Caps
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.evidence import Evidence, EvidenceKind
from membergate.domain.listing import SubjectType

_Limit = TypeVar("_Limit", int, float)

CARRYING_CAPS = frozenset(
    {Disposition.ADMIT_CAPPED, Disposition.TRIAL, Disposition.LIMIT_QUANTITY, Disposition.SUSPEND_BENEFIT}
)
"""Dispositions that carry benefit limits."""
_SCORE_READS = frozenset({*witnesses.SCORES, witnesses.IS_CALIBRATED, witnesses.EVIDENCE_MASS, witnesses.HISTORY_DAYS})


class Refusal(StrEnum):
    """Who may refuse or terminate."""

    AUTOMATIC = "automatic"
    """The policy may; reason, counterfactual and appeal go with it."""
    BY_A_PERSON = "by_a_person"
    """Only a person: unless one already stands behind it, a refusal becomes a review, a termination a suspension."""


class Direction(StrEnum):
    """Which way a counterfactual may move an evidence."""

    UP = "up"
    DOWN = "down"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Watch:
    """What a hit enters on the watch list: never more than watching, since a rule's hit must not confirm the rule.

    Parameters
    ----------
    subject_type
        Whom: the account, or its whole operator.
    days
        For how long, from the decision's instant.
    confidence
        How sure the rule is, in [0, 1].
    half_life_days
        After how many days that confidence has halved; None where it lasts until the end.
    """

    subject_type: SubjectType
    days: int
    confidence: float
    half_life_days: float | None


@dataclass(frozen=True, slots=True)
class Rule:
    """Condition -> effect. Rules only ever tighten; `unless` spares, and must be definitely true to do so.

    Parameters
    ----------
    rule_id
        Stable id within the policy.
    purpose
        What the rule is for, one sentence.
    false_positives
        Which genuine people it may hit, and what spares them; empty where the purpose says it.
    checkpoint
        Where it applies.
    when
        Its condition.
    unless
        Its guard; unknown does not spare.
    at_least
        The mildest disposition that a hit allows; None for a rule that only gives a reason or a tag.
    reason
        Stable reason code of a hit; empty where it gives none.
    tag
        A label for the record's reader; decides nothing.
    caps
        Limits that a hit adds to those of the disposition.
    watch
        What a hit enters on the watch list; None for nothing.
    is_explorable
        Whether the exploration lane may admit in spite of a hit.
    is_backed_by_person
        Whether a hit rests on a person's decision, so that it may refuse where only persons refuse.
    snoozes
        Accounts for which the rule sleeps, each with the instant until which it does.
    """

    rule_id: str
    purpose: str
    false_positives: str
    checkpoint: Checkpoint
    when: Condition
    unless: Condition | None
    at_least: Disposition | None
    reason: str
    tag: str
    caps: Caps | None
    watch: Watch | None
    is_explorable: bool
    is_backed_by_person: bool
    snoozes: tuple[tuple[str, datetime], ...]

    @property
    def reads(self) -> frozenset[str]:
        """Names of the evidence that the rule reads."""
        return frozenset(self.when.reads) | frozenset(self.unless.reads if self.unless else ())


@dataclass(frozen=True, slots=True)
class Segment:
    """A group or regime in which value or loss differ; several that hold multiply.

    Parameters
    ----------
    segment_id
        Stable id within the policy.
    when
        Who or what it is; unknown does not count.
    value_multiplier, loss_multiplier
        Factors on the genuine value and on the merchant loss, positive.
    """

    segment_id: str
    when: Condition
    value_multiplier: float
    loss_multiplier: float


@dataclass(frozen=True, slots=True)
class EvidenceMass:
    """How much history a score needs before it may admit in full or refuse; below it, trial."""

    minimum_orders: float
    minimum_history_days: float


@dataclass(frozen=True, slots=True)
class OperatorCap:
    """Most accounts of one operator that may hold membership, and the mildest disposition for one more."""

    accounts: int
    at_least: Disposition


@dataclass(frozen=True, slots=True)
class Stratum:
    """A band of risk scores with the probability of being explored in it; 0 is declared outside the estimand."""

    risk_score_at_most: float
    propensity: float


@dataclass(frozen=True, slots=True)
class Exploration:
    """The lane inside trial by which some who would be reviewed or refused come in, so that outcomes exist.

    Parameters
    ----------
    from_dispositions
        Who is explored.
    strata
        Bands by ascending risk score; the last one reaches 1.
    minimum_propensity
        Positive propensities are raised to it, so that no weight exceeds its inverse.
    """

    from_dispositions: frozenset[Disposition]
    strata: tuple[Stratum, ...]
    minimum_propensity: float


@dataclass(frozen=True, slots=True)
class Movable:
    """An evidence that a counterfactual may move.

    Parameters
    ----------
    evidence
        Its name.
    scale
        A change of this size counts as 1 when changes of different evidence are compared.
    step
        Values that are named to people are multiples of it.
    lowest, highest
        The range that makes sense.
    direction
        Which way it may move: nobody is told to have less history.
    """

    evidence: str
    scale: float
    step: float
    lowest: float
    highest: float
    direction: Direction


@dataclass(frozen=True, slots=True)
class Overlay:
    """What a promotion changes while it lasts: dated, agreed before, and only ever tighter.

    Parameters
    ----------
    segment
        Its id, and the factor on the merchant loss, at least 1, as a segment that always holds.
    purpose
        What it is for.
    starts_at, ends_at
        When it holds, aware and in UTC; the start counts, the end does not.
    operator_cap
        Most accounts of one operator; None leaves the policy's own.
    caps
        Limits that are added to those of the dispositions.
    """

    segment: Segment
    purpose: str
    starts_at: datetime
    ends_at: datetime
    operator_cap: int | None
    caps: Mapping[Disposition, Caps]

    def holds(self, as_of: datetime) -> bool:
        """Whether it holds at an instant."""
        return self.starts_at <= as_of < self.ends_at


@dataclass(frozen=True, slots=True)
class Example:
    """Evidence with the answer that the policy's author expects; it travels with the policy.

    Parameters
    ----------
    example_id
        Stable id within the policy.
    checkpoint
        Where it is asked.
    evidence
        What is witnessed; what is left out is not there.
    at
        As of when, for a policy whose overlays matter.
    expects
        The disposition, without luck in the exploration lane.
    reasons, hits
        Reason codes that must be among those given, and rules that must hit.
    """

    example_id: str
    checkpoint: Checkpoint
    evidence: Mapping[str, Evidence]
    at: datetime
    expects: Disposition
    reasons: tuple[str, ...]
    hits: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """A whole policy. Build it with `load_policy`.

    Parameters
    ----------
    name, version, description
        Who it is.
    effective_from, effective_until
        When it may decide, aware and in UTC; None is open.
    text, digest
        The YAML that it was loaded from, and the text's SHA-256.
    economics
        What is at stake; None for a policy of rules alone.
    operator_holder_cap, exploration, evidence_mass
        The corresponding parts; None where the policy has none.
    caps
        The limits that come with dispositions.
    movables
        What counterfactuals may move.
    overlays
        What promotions change while they last; `at` applies them.
    examples
        What the policy's author expects of it.
    kinds
        Every evidence name that it reads, with its kind.
    reads_at
        The names that it reads at each checkpoint, sorted.
    """

    name: str
    version: str
    description: str
    effective_from: datetime | None
    effective_until: datetime | None
    text: str
    digest: str
    refusal: Refusal
    economics: Economics | None
    segments: tuple[Segment, ...]
    evidence_mass: EvidenceMass | None
    operator_holder_cap: OperatorCap | None
    exploration: Exploration | None
    caps: Mapping[Disposition, Caps]
    movables: tuple[Movable, ...]
    rules: tuple[Rule, ...]
    overlays: tuple[Overlay, ...]
    examples: tuple[Example, ...]
    kinds: Mapping[str, EvidenceKind]
    reads_at: Mapping[Checkpoint, tuple[str, ...]]

    @cached_property
    def full_version(self) -> str:
        """Name, version and the first digits of the digest."""
        return f"{self.name}-{self.version}-{self.digest[:12]}"

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """Names of all evidence that the policy reads, at any checkpoint, sorted."""
        return tuple(sorted(self.kinds))

    @cached_property
    def rules_at(self) -> Mapping[Checkpoint, tuple[Rule, ...]]:
        """The rules of each checkpoint, in the policy's order."""
        return {place: tuple(rule for rule in self.rules if rule.checkpoint is place) for place in Checkpoint}

    @cached_property
    def rule_ids_at(self) -> Mapping[Checkpoint, tuple[str, ...]]:
        """The ids of the rules of each checkpoint, in the policy's order."""
        return {place: tuple(rule.rule_id for rule in rules) for place, rules in self.rules_at.items()}

    @cached_property
    def listeners_at(self) -> Mapping[Checkpoint, Mapping[str, tuple[int, ...]]]:
        """The places of the rules that read each name, at each checkpoint."""
        return {place: _listeners(rules) for place, rules in self.rules_at.items()}

    @cached_property
    def compared(self) -> Mapping[str, frozenset[float]]:
        """The numbers with which conditions compare each name."""
        numbers: dict[str, set[float]] = {}
        for condition in self.conditions():
            for name, number in condition.compared:
                numbers.setdefault(name, set()).add(number)
        return {name: frozenset(some) for name, some in numbers.items()}

    @cached_property
    def blended(self) -> frozenset[str]:
        """Names that conditions calculate with, so that they may turn on them anywhere."""
        return frozenset(name for condition in self.conditions() for name in condition.blended)

    @cached_property
    def score_reads(self) -> frozenset[str]:
        """Names of the evidence that weighing the score depends on, the operator cap aside."""
        lane = self.economics.business_lane.offered_when if self.economics and self.economics.business_lane else None
        waived = self.economics.waived_when if self.economics else None
        conditions = (*(segment.when for segment in self.segments), lane, waived)
        return _SCORE_READS.union(*(condition.reads for condition in conditions if condition is not None))

    @cached_property
    def turning(self) -> dict[tuple[str, float, float, bool], tuple[float, ...]]:
        """What was found of where it turns, by name and stakes, so that it is found once; `turning.points` fills it."""
        return {}

    @cached_property
    def stakes(self) -> dict[tuple[float, float, bool], Stakes]:
        """The economics as they apply to subjects, by what segments make of value and loss; `scoring` fills it."""
        return {}

    @cached_property
    def _under_overlays(self) -> dict[tuple[bool, ...], Policy]:
        return {}

    @cached_property
    def has_snoozes(self) -> bool:
        """Whether any rule sleeps for anybody."""
        return any(rule.snoozes for rule in self.rules)

    @property
    def operator_cap(self) -> int | None:
        """Most accounts of one operator that may hold membership; None is no cap."""
        return self.operator_holder_cap.accounts if self.operator_holder_cap else None

    def conditions(self) -> Iterator[Condition]:
        """Give every condition of the policy."""
        for rule in self.rules:
            yield from (rule.when,) if rule.unless is None else (rule.when, rule.unless)
        yield from (segment.when for segment in self.segments)
        if self.economics and self.economics.waived_when:
            yield self.economics.waived_when
        if self.economics and self.economics.business_lane:
            yield self.economics.business_lane.offered_when

    def is_effective(self, as_of: datetime) -> bool:
        """Whether the policy may decide at an instant; the start counts, the end does not."""
        has_begun = self.effective_from is None or self.effective_from <= as_of
        return has_begun and (self.effective_until is None or as_of < self.effective_until)

    def at(self, as_of: datetime) -> Policy:
        """Give the policy as it decides at an instant: with the overlays that hold, each of which only tightens."""
        if not self.overlays:
            return self
        holding = tuple(overlay.holds(as_of) for overlay in self.overlays)
        if not any(holding):
            return self
        if holding not in self._under_overlays:
            self._under_overlays[holding] = self._tightened(
                [o for o, holds in zip(self.overlays, holding, strict=True) if holds]
            )
        return self._under_overlays[holding]

    def _tightened(self, holding: Sequence[Overlay]) -> Policy:
        cap, caps = self.operator_holder_cap, dict(self.caps)
        for overlay in holding:
            if overlay.operator_cap is not None:
                at_least = cap.at_least if cap else Disposition.REVIEW
                cap = OperatorCap(min(overlay.operator_cap, cap.accounts if cap else overlay.operator_cap), at_least)
            for disposition, limits in overlay.caps.items():
                caps[disposition] = tighter(caps[disposition], limits) if disposition in caps else limits
        segments = (*self.segments, *(overlay.segment for overlay in holding))
        return replace(self, segments=segments, operator_holder_cap=cap, caps=caps, overlays=())

    def snoozed_for(self, account_id: str, as_of: datetime) -> frozenset[str]:
        """Give the ids of the rules that sleep for an account at an instant."""
        if not self.has_snoozes:
            return frozenset()
        return frozenset(
            rule.rule_id
            for rule in self.rules
            if any(account == account_id and as_of < until for account, until in rule.snoozes)
        )


def _listeners(rules: Sequence[Rule]) -> dict[str, tuple[int, ...]]:
    names = {name for rule in rules for name in rule.reads}
    return {name: tuple(place for place, rule in enumerate(rules) if name in rule.reads) for name in names}


def tighter(a: Caps, b: Caps) -> Caps:
    """Give limits that satisfy both: fewer units over the longer window, and the lower of the others."""
    return Caps(
        units_per_sku=_lowest(a.units_per_sku, b.units_per_sku),
        window_days=max((days for days in (a.window_days, b.window_days) if days is not None), default=None),
        benefit_minor_per_month=_lowest(a.benefit_minor_per_month, b.benefit_minor_per_month),
        orders_per_day=_lowest(a.orders_per_day, b.orders_per_day),
        promotion_stock_ratio=_lowest(a.promotion_stock_ratio, b.promotion_stock_ratio),
    )


def _lowest(a: _Limit | None, b: _Limit | None) -> _Limit | None:
    return min((limit for limit in (a, b) if limit is not None), default=None)
