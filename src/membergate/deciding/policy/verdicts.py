"""Deciding: evidence in, verdict out. A function of policy, checkpoint, evidence and lottery, and of nothing else.

Everything that asks for a disposition is a *cause*: the expected value, a rule, the operator cap, a failed witness. The
verdict is the strictest of what the causes ask for; only the exploration lane may then make it milder, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import reduce

from membergate.deciding.policy import scoring, witnesses
from membergate.deciding.policy.operators import Fact, Facts
from membergate.deciding.policy.policy import CARRYING_CAPS, Exploration, Policy, Refusal, Rule, tighter
from membergate.deciding.policy.scoring import Cause, Reason
from membergate.domain.decision import Caps, RuleOutcome, Verdict
from membergate.domain.disposition import LADDERS, Checkpoint, Disposition, severity, strictest
from membergate.domain.evidence import Absence, Evidence, EvidenceKind

FAIL_SAFE = {
    Checkpoint.ADMISSION: Disposition.TRIAL,
    Checkpoint.ORDER: Disposition.LIMIT_QUANTITY,
    Checkpoint.SWEEP: Disposition.KEEP,
}
"""With a witness at fault: nobody is admitted in full, orders keep their limits, and no member is punished."""
_WITHOUT_A_PERSON = {
    Disposition.DENY: Disposition.REVIEW,
    Disposition.TERMINATE: Disposition.SUSPEND_BENEFIT,
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with the causes behind it, for counterfactuals."""

    verdict: Verdict
    causes: tuple[Cause, ...]


def decide(
    policy: Policy,
    checkpoint: Checkpoint,
    evidence: Mapping[str, Evidence],
    *,
    lottery: float,
    snoozed: Collection[str] = (),
) -> Verdict:
    """Decide one subject.

    Parameters
    ----------
    policy
        What decides.
    checkpoint
        Where it is asked.
    evidence
        What is witnessed, by name. A name that the policy reads and that is missing counts as absent.
    lottery
        The operator's draw for the exploration lane, in [0, 1).
    snoozed
        Ids of rules that sleep for this subject: `policy.snoozed_for(account_id, as_of)`.

    Returns
    -------
    Verdict
        Always on the checkpoint's ladder. Never raises, whatever the evidence says: a value of the wrong kind or out of
        its range is a failed witness.
    """
    return judge(policy, checkpoint, evidence, lottery=lottery, snoozed=snoozed).verdict


def judge(
    policy: Policy,
    checkpoint: Checkpoint,
    evidence: Mapping[str, Evidence],
    *,
    lottery: float,
    snoozed: Collection[str] = (),
) -> Judgement:
    """Decide one subject and keep the causes."""
    names = policy.reads_at[checkpoint]
    facts, failed = read_facts(names, policy.kinds, evidence)
    rules = [rule for rule in policy.rules if rule.checkpoint is checkpoint]
    outcomes = [(rule, _outcome(rule, facts, failed, snoozed)) for rule in rules]
    hits = [rule for rule, outcome in outcomes if outcome is RuleOutcome.HIT]

    proposal = scoring.Proposal((), {})
    if checkpoint is Checkpoint.ADMISSION:
        proposal = scoring.propose(policy, facts, failed)
    causes = [*proposal.causes, *(_rule_cause(rule, checkpoint) for rule in hits)]
    if failed:
        causes.append(Cause(FAIL_SAFE[checkpoint], Reason.WITNESS_FAILED, frozenset()))
    causes = [_leave_to_a_person(policy, cause) for cause in causes]

    disposition = strictest((cause.asks for cause in causes), checkpoint)
    propensity = None
    if policy.exploration and disposition in policy.exploration.from_dispositions:
        propensity = _propensity(policy.exploration, causes, disposition, facts)
    is_explored = propensity is not None and lottery < propensity
    if is_explored:
        causes.append(Cause(Disposition.TRIAL, Reason.EXPLORED, frozenset()))
        disposition = Disposition.TRIAL
    verdict = Verdict(
        disposition=disposition,
        caps=_caps(policy, disposition, hits),
        reason_codes=_reason_codes(causes, checkpoint),
        rule_outcomes=tuple((rule.rule_id, outcome) for rule, outcome in outcomes),
        expected_value_minor=proposal.expected_value_minor,
        read=names,
        degraded=bool(failed),
        explore=is_explored,
        propensity=propensity,
    )
    return Judgement(verdict, tuple(causes))


def read_facts(
    names: Collection[str], kinds: Mapping[str, EvidenceKind], evidence: Mapping[str, Evidence]
) -> tuple[dict[str, Fact], frozenset[str]]:
    """Give what the witnesses say, and the names of those that failed."""
    facts: dict[str, Fact] = {}
    failed = set()
    for name in names:
        witnessed = evidence.get(name)
        if witnessed is None:
            continue
        value = witnessed.value
        if isinstance(value, Absence):
            if value is Absence.SOURCE_FAILED:
                failed.add(name)
            continue
        fact = _fact(value, kinds[name])
        if fact is None or (name in witnesses.IN_UNIT_INTERVAL and not 0.0 <= float(fact) <= 1.0):
            failed.add(name)
        else:
            facts[name] = fact
    return facts, frozenset(failed)


def _fact(value: object, kind: EvidenceKind) -> Fact:
    """Give the value as its kind; None where it is of another kind, or not finite."""
    if kind is EvidenceKind.BOOLEAN:
        return value if isinstance(value, bool) else None
    if kind is EvidenceKind.TEXT:
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _outcome(rule: Rule, facts: Facts, failed: frozenset[str], snoozed: Collection[str]) -> RuleOutcome:
    if rule.rule_id in snoozed:
        return RuleOutcome.SNOOZED
    answer = rule.when.ask(facts)
    if answer is None:
        return RuleOutcome.UNKNOWN if failed.isdisjoint(rule.when.reads) else RuleOutcome.FAILED
    is_spared = answer and rule.unless is not None and rule.unless.ask(facts) is True
    return RuleOutcome.HIT if answer and not is_spared else RuleOutcome.MISS


def _rule_cause(rule: Rule, checkpoint: Checkpoint) -> Cause:
    return Cause(
        asks=rule.at_least or LADDERS[checkpoint][0],
        reason=rule.reason,
        reads=rule.reads,
        is_explorable=rule.is_explorable,
        is_backed_by_person=rule.is_backed_by_person,
    )


def _leave_to_a_person(policy: Policy, cause: Cause) -> Cause:
    """Turn a refusal into a review where a person must stand behind it, or the model cannot."""
    if cause.asks not in _WITHOUT_A_PERSON or cause.is_backed_by_person:
        return cause
    if policy.refusal is Refusal.BY_A_PERSON or cause.is_uncalibrated:
        return replace(cause, asks=_WITHOUT_A_PERSON[cause.asks])
    return cause


def _propensity(exploration: Exploration, causes: Collection[Cause], disposition: Disposition, facts: Facts) -> float:
    """Give the probability of being explored; 0 where a cause is declared outside the estimand."""
    rung = severity(disposition, Checkpoint.ADMISSION)
    trial = severity(Disposition.TRIAL, Checkpoint.ADMISSION)
    if any(not cause.is_explorable and trial < severity(cause.asks, Checkpoint.ADMISSION) <= rung for cause in causes):
        return 0.0
    score = facts.get(witnesses.RISK_SCORE)
    if isinstance(score, float):
        propensity = next(band.propensity for band in exploration.strata if score <= band.risk_score_at_most)
    else:  # the lowest of all, so that a missing score is no way into the lane
        propensity = min(band.propensity for band in exploration.strata)
    return max(propensity, exploration.minimum_propensity) if propensity > 0 else 0.0


def _caps(policy: Policy, disposition: Disposition, hits: Collection[Rule]) -> Caps | None:
    own = policy.caps.get(disposition)
    from_rules = [rule.caps for rule in hits if rule.caps is not None]
    listed = [own, *from_rules] if own else from_rules
    return reduce(tighter, listed) if listed and disposition in CARRYING_CAPS else None


def _reason_codes(causes: Collection[Cause], checkpoint: Checkpoint) -> tuple[str, ...]:
    """Give each code once, the strictest cause first; equal ones by name, so that rule order does not matter."""
    rungs: dict[str, int] = {}
    for cause in causes:
        if cause.reason:
            rung = severity(cause.asks, checkpoint)
            rungs[cause.reason] = max(rungs.get(cause.reason, 0), rung)
    return tuple(str(code) for code in sorted(rungs, key=lambda code: (-rungs[code], code)))
