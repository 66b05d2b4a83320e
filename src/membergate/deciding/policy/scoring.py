"""What the model's score asks for at admission: expected value, uncertainty, little history, and the operator cap."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from membergate.deciding.policy import witnesses
from membergate.deciding.policy.economics import Economics, Stakes, best, expected_values
from membergate.deciding.policy.operators import Facts
from membergate.deciding.policy.policy import Policy
from membergate.domain.disposition import FULL_ADMISSIONS, Disposition


class Reason(StrEnum):
    """Reason codes that the machinery gives by itself; a policy's rules have their own."""

    MERCHANT_PROBABILITY = "MERCHANT_PROBABILITY"
    """The expected value asks for less than full admission, or for caps."""
    BUSINESS_EVIDENCE = "BUSINESS_EVIDENCE"
    """A business account is worth more to both sides."""
    LITTLE_HISTORY = "LITTLE_HISTORY"
    """Too little is known to admit without caps, or to refuse."""
    UNCERTAIN = "UNCERTAIN"
    """The probability may yet settle where nobody is refused, or a member of the model would refuse whom it admits."""
    NO_SCORE = "NO_SCORE"
    """No model said anything."""
    OPERATOR_CAP = "OPERATOR_CAP"
    """As many accounts of this operator as may hold membership already do, or nobody can say how many."""
    CAP_REACHED = "CAP_REACHED"
    """At an order: the member's limits leave fewer units at the member's price than were asked for."""
    CAPS_UNAVAILABLE = "CAPS_UNAVAILABLE"
    """At an order: nobody can say what is left of the member's limits, so nothing is."""
    NOT_A_MEMBER = "NOT_A_MEMBER"
    """At an order: the account holds no membership."""
    BENEFIT_SUSPENDED = "BENEFIT_SUSPENDED"
    """At an order: the membership's benefits rest."""
    MEMBERSHIP_ENDED = "MEMBERSHIP_ENDED"
    """At an order: the membership was ended."""
    REINSTATED = "REINSTATED"
    """At a sweep: a person took a suspension, a termination or a cap back."""
    WITNESS_FAILED = "WITNESS_FAILED"
    """A source that should have answered did not."""
    EXPLORED = "EXPLORED"
    """Admitted on trial by the exploration lane."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that asks for a disposition.

    Parameters
    ----------
    asks
        The mildest disposition that it allows.
    reason
        Its code; empty where it gives none.
    reads
        The evidence whose change could make it ask for something else.
    is_explorable
        Whether the exploration lane may pass over it.
    is_backed_by_person
        Whether it rests on a person's decision.
    is_uncalibrated
        Whether it rests on a model that is not calibrated.
    """

    asks: Disposition
    reason: str
    reads: frozenset[str]
    is_explorable: bool = True
    is_backed_by_person: bool = False
    is_uncalibrated: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the score and the operator cap ask for, and the expected values that were weighed."""

    causes: tuple[Cause, ...]
    expected_value_minor: dict[Disposition, float]


def propose(policy: Policy, facts: Facts, failed: frozenset[str]) -> Proposal:
    """Weigh the dispositions for one applicant, and apply the operator cap."""
    caps = _operator_cap(policy, facts, failed)
    economics = policy.economics
    if economics is None:
        return Proposal(caps, {})
    if economics.waived_when is not None and economics.waived_when.ask(facts) is True:
        return Proposal(caps, {})
    cause, values = _weigh(policy, stakes_of(policy, economics, facts), facts)
    return Proposal((cause, *caps), values)


def stakes_of(policy: Policy, economics: Economics, facts: Facts) -> Stakes:
    """Apply the segments that definitely hold, and see whether the business lane is offered."""
    value_multiplier = loss_multiplier = 1.0
    for segment in policy.segments:
        if segment.when.ask(facts) is True:
            value_multiplier *= segment.value_multiplier
            loss_multiplier *= segment.loss_multiplier
    lane = economics.business_lane
    is_offered = lane is not None and lane.offered_when.ask(facts) is True
    key = value_multiplier, loss_multiplier, is_offered
    known = policy.stakes.get(key)
    if known is None:
        known = policy.stakes[key] = Stakes(economics, *key)
    return known


def is_heard(policy: Policy, name: str) -> bool:
    """Tell whether the proposal may depend on an evidence."""
    return name == witnesses.OPERATOR_HOLDERS or name in policy.score_reads


def _weigh(policy: Policy, stakes: Stakes, facts: Facts) -> tuple[Cause, dict[Disposition, float]]:
    reads = policy.score_reads
    probability, is_calibrated = _probability(facts)
    if probability is None:
        return Cause(Disposition.TRIAL, Reason.NO_SCORE, reads), {}
    values = expected_values(stakes, probability)
    asks = best(values)
    low = min(_number(facts, witnesses.PROBABILITY_LOW, probability), probability)
    said_high = _number(facts, witnesses.MEMBERS_PROBABILITY_HIGH, _number(facts, witnesses.PROBABILITY_HIGH, -1.0))
    high = max(said_high, probability)
    reason: str = Reason.MERCHANT_PROBABILITY
    if asks is Disposition.ADMIT:
        reason = ""
    if asks is Disposition.BUSINESS_LANE:
        reason = Reason.BUSINESS_EVIDENCE
    if _has_little_history(policy, facts):
        is_sure = said_high >= 0 and best(expected_values(stakes, high)) in FULL_ADMISSIONS
        asks, reason = Disposition.ADMIT_CAPPED if is_sure else Disposition.TRIAL, Reason.LITTLE_HISTORY
    elif _is_hasty(stakes, asks, low, high):
        asks, reason = Disposition.TRIAL, Reason.UNCERTAIN
    return Cause(asks, reason, reads, is_uncalibrated=not is_calibrated), values


def _is_hasty(stakes: Stakes, asks: Disposition, low: float, high: float) -> bool:
    """Whether what may come of a score contradicts its refusal, or one of its members its full admission."""
    if asks is Disposition.DENY:
        return best(expected_values(stakes, low)) is not Disposition.DENY
    return asks in FULL_ADMISSIONS and best(expected_values(stakes, high)) is Disposition.DENY


def _probability(facts: Facts) -> tuple[float | None, bool]:
    """Give the probability to weigh by, and whether it is calibrated."""
    calibrated = facts.get(witnesses.MERCHANT_PROBABILITY)
    if isinstance(calibrated, float):
        return calibrated, facts.get(witnesses.IS_CALIBRATED) is True
    uncalibrated = facts.get(witnesses.UNCALIBRATED_PROBABILITY)
    return (uncalibrated, False) if isinstance(uncalibrated, float) else (None, False)


def _has_little_history(policy: Policy, facts: Facts) -> bool:
    needed = policy.evidence_mass
    if needed is None:
        return False
    orders = _number(facts, witnesses.EVIDENCE_MASS, 0.0)
    days = _number(facts, witnesses.HISTORY_DAYS, 0.0)
    return orders < needed.minimum_orders or days < needed.minimum_history_days


def _operator_cap(policy: Policy, facts: Facts, failed: frozenset[str]) -> tuple[Cause, ...]:
    """Fail closed: with the witness at fault, the cap counts as reached."""
    cap = policy.operator_holder_cap
    if cap is None:
        return ()
    holders = _number(facts, witnesses.OPERATOR_HOLDERS, 0.0)
    if holders < cap.accounts and witnesses.OPERATOR_HOLDERS not in failed:
        return ()
    reads = frozenset({witnesses.OPERATOR_HOLDERS})
    return (Cause(cap.at_least, Reason.OPERATOR_CAP, reads, is_explorable=False),)


def _number(facts: Facts, name: str, otherwise: float) -> float:
    value = facts.get(name)
    return value if isinstance(value, float) else otherwise
