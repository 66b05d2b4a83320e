"""Deciding: evidence in, verdict out. A function of policy, checkpoint, evidence and lottery, and of nothing else.

Everything that asks for a disposition is a *cause*: the expected value, a rule, the operator cap, a failed witness. The
verdict is the strictest of what the causes ask for; only the exploration lane may then make it milder, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from membergate.deciding.policy import scoring, witnesses
from membergate.deciding.policy.economics import realised_values
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
_NUMBER = EvidenceKind.NUMBER
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
    return hear(policy, checkpoint, evidence, snoozed).judged(lottery)


@dataclass(frozen=True, slots=True)
class Hearing:
    """What the witnesses said about one subject, and what each rule and the score make of it.

    Parameters
    ----------
    policy, checkpoint, snoozed
        Who asks, where, and which rules sleep.
    facts, failed
        What the witnesses say, and the names of those that failed.
    outcomes
        What became of each rule of the checkpoint.
    asking
        What the rules that hit ask for.
    proposal
        What the score and the operator cap ask for.
    """

    policy: Policy
    checkpoint: Checkpoint
    snoozed: Collection[str]
    facts: dict[str, Fact]
    failed: frozenset[str]
    outcomes: tuple[RuleOutcome, ...]
    asking: tuple[Cause, ...]
    proposal: scoring.Proposal

    def moved(self, name: str, value: float) -> Hearing:
        """Hear again with one witness saying something else: only what listens to it is asked again."""
        policy = self.policy
        facts, fact = dict(self.facts), admissible(name, value, policy.kinds[name])
        if fact is None:
            facts.pop(name, None)
            failed = self.failed | {name}
        else:
            facts[name] = fact
            failed = self.failed - {name} if name in self.failed else self.failed
        rules, before = policy.rules_at[self.checkpoint], self.outcomes
        changed = {
            place: outcome
            for place in policy.listeners_at[self.checkpoint].get(name, ())
            if (outcome := _outcome(rules[place], facts, failed, self.snoozed)) is not before[place]
        }
        outcomes, asking = before, self.asking
        if changed:
            outcomes = tuple([changed.get(place, outcome) for place, outcome in enumerate(before)])
            asking = _asking(policy, self.checkpoint, outcomes)
        proposal = self.proposal
        if self.checkpoint is Checkpoint.ADMISSION and scoring.is_heard(policy, name):
            proposal = scoring.propose(policy, facts, failed)
        return Hearing(policy, self.checkpoint, self.snoozed, facts, failed, outcomes, asking, proposal)

    def settled(self, lottery: float) -> Settlement:
        """Take the strictest of what everything asks for, and draw for the exploration lane."""
        policy, checkpoint = self.policy, self.checkpoint
        causes = [*(_leave_to_a_person(policy, cause) for cause in self.proposal.causes), *self.asking]
        if self.failed:
            causes.append(Cause(FAIL_SAFE[checkpoint], Reason.WITNESS_FAILED, frozenset()))
        disposition = strictest((cause.asks for cause in causes), checkpoint)
        propensity = None
        if policy.exploration and disposition in policy.exploration.from_dispositions:
            propensity = _propensity(policy.exploration, causes, disposition, self.facts)
        is_explored = propensity is not None and lottery < propensity
        if is_explored:
            causes.append(Cause(Disposition.TRIAL, Reason.EXPLORED, frozenset()))
            disposition = Disposition.TRIAL
        return Settlement(disposition, tuple(causes), propensity, is_explored)

    def judged(self, lottery: float) -> Judgement:
        """Give the verdict with its causes."""
        policy, checkpoint, hits = self.policy, self.checkpoint, self.hits
        settlement = self.settled(lottery)
        verdict = Verdict(
            disposition=settlement.disposition,
            caps=_caps(policy, settlement.disposition, hits),
            reason_codes=_reason_codes(settlement.causes, checkpoint),
            rule_outcomes=tuple(zip(policy.rule_ids_at[checkpoint], self.outcomes, strict=True)),
            expected_value_minor=self.proposal.expected_value_minor,
            read=policy.reads_at[checkpoint],
            degraded=bool(self.failed),
            explore=settlement.is_explored,
            propensity=settlement.propensity,
        )
        return Judgement(verdict, settlement.causes)

    def realised_values(self, *, is_merchant: bool) -> dict[Disposition, float]:
        """Give what each admission disposition was worth once it is known who came; empty without economics."""
        economics = self.policy.economics
        if economics is None:
            return {}
        return realised_values(scoring.stakes_of(self.policy, economics, self.facts), is_merchant=is_merchant)

    @property
    def hits(self) -> list[Rule]:
        """The rules that hit."""
        return _hits(self.policy.rules_at[self.checkpoint], self.outcomes)


@dataclass(frozen=True, slots=True)
class Settlement:
    """The disposition, the causes behind it, and what the exploration lane did."""

    disposition: Disposition
    causes: tuple[Cause, ...]
    propensity: float | None
    is_explored: bool


def hear(
    policy: Policy, checkpoint: Checkpoint, evidence: Mapping[str, Evidence], snoozed: Collection[str] = ()
) -> Hearing:
    """Ask every rule of a checkpoint, and the score."""
    facts, failed = read_facts(policy.reads_at[checkpoint], policy.kinds, evidence)
    outcomes = tuple([_outcome(rule, facts, failed, snoozed) for rule in policy.rules_at[checkpoint]])
    asking = _asking(policy, checkpoint, outcomes)
    proposal = scoring.Proposal((), {})
    if checkpoint is Checkpoint.ADMISSION:
        proposal = scoring.propose(policy, facts, failed)
    return Hearing(policy, checkpoint, snoozed, facts, failed, outcomes, asking, proposal)


def read_facts(
    names: Collection[str], kinds: Mapping[str, EvidenceKind], evidence: Mapping[str, Evidence]
) -> tuple[dict[str, Fact], frozenset[str]]:
    """Give what the witnesses say, and the names of those that failed."""
    facts: dict[str, Fact] = {}
    failed: frozenset[str] = frozenset()
    for name in names:
        witnessed = evidence.get(name)
        if witnessed is None:
            continue
        value = witnessed.value
        # most of what is said, in the door's hottest lines
        if type(value) is float and kinds[name] is _NUMBER and 0.0 <= value <= 1.0:
            facts[name] = value
        elif value is Absence.SOURCE_FAILED:
            failed |= {name}
        elif not isinstance(value, Absence):
            fact = admissible(name, value, kinds[name])
            if fact is None:
                failed |= {name}
            else:
                facts[name] = fact
    return facts, failed


def admissible(name: str, value: object, kind: EvidenceKind) -> Fact:
    """Give what a witness says as a fact; None where it is of another kind, or out of its range."""
    fact = _fact(value, kind)
    if fact is not None and name in witnesses.IN_UNIT_INTERVAL and not 0.0 <= float(fact) <= 1.0:
        return None
    return fact


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


def _hits(rules: Sequence[Rule], outcomes: Sequence[RuleOutcome]) -> list[Rule]:
    hit = RuleOutcome.HIT
    return [rule for rule, outcome in zip(rules, outcomes, strict=True) if outcome is hit]


def _asking(policy: Policy, checkpoint: Checkpoint, outcomes: Sequence[RuleOutcome]) -> tuple[Cause, ...]:
    """Give what the rules that hit ask for."""
    hit = RuleOutcome.HIT
    if hit not in outcomes:
        return ()
    hits = _hits(policy.rules_at[checkpoint], outcomes)
    return tuple([_leave_to_a_person(policy, _rule_cause(rule)) for rule in hits])


def _rule_cause(rule: Rule) -> Cause:
    return Cause(
        asks=rule.at_least or LADDERS[rule.checkpoint][0],
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
