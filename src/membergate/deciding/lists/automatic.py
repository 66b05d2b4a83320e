"""Automatic entries: what the rules that hit in a decision enter on the watch list."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256

from membergate.deciding.policy import Policy, decide
from membergate.domain.decision import Decision, RuleOutcome
from membergate.domain.labels import LabelGrade
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType


def entries_from(policy: Policy, decision: Decision, recorded_at: datetime) -> tuple[ListEntry, ...]:
    """Give the entries that a decision's rules make, by deciding its recorded evidence again.

    Parameters
    ----------
    policy
        The policy that decided.
    decision
        Its decision.
    recorded_at
        The present: the entries are in force from now on, for applications that come after, until their days since the
        decision's own instant are over. What would be over already is not entered.

    Returns
    -------
    tuple of ListEntry
        One a rule; the same decision gives the same ids.
    """
    if not any(rule.watch for rule in policy.rules):
        return ()
    return tuple(_entries(policy, decision, recorded_at))


def _entries(policy: Policy, decision: Decision, recorded_at: datetime) -> Iterator[ListEntry]:
    verdict = decide(
        policy.at(decision.as_of),
        decision.checkpoint,
        {witnessed.name: witnessed for witnessed in decision.evidence},
        lottery=0.0,
        snoozed=policy.snoozed_for(decision.account_id, decision.as_of),
    )
    outcomes = dict(verdict.rule_outcomes)
    for rule in policy.rules:
        watch = rule.watch
        if watch is None or outcomes.get(rule.rule_id) is not RuleOutcome.HIT:
            continue
        expires_at = decision.as_of + timedelta(days=watch.days)
        is_account = watch.subject_type is SubjectType.ACCOUNT
        subject = Subject(watch.subject_type, decision.account_id if is_account else decision.operator_id)
        if recorded_at < expires_at:
            yield ListEntry(
                entry_id=_entry_id(rule.rule_id, subject, decision),
                risk_list=RiskList.WATCH,
                subject=subject,
                reason_code=rule.reason,
                grade=LabelGrade.L1,
                source=f"rule:{rule.rule_id}",
                is_manual=False,
                confidence=watch.confidence,
                recorded_at=recorded_at,
                starts_at=decision.as_of,
                expires_at=expires_at,
                source_version=decision.policy_version,
                half_life_days=watch.half_life_days,
                decision_id=decision.decision_id,
            )


def _entry_id(rule_id: str, subject: Subject, decision: Decision) -> str:
    named = f"{rule_id}|{subject.subject_type}|{subject.key}|{decision.decision_id}"
    return "a-" + sha256(named.encode()).hexdigest()[:24]
