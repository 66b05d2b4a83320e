"""sweep: members judged again. Keep, cap, suspend or terminate; every change is told, and can be taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from membergate.deciding.policy import Policy, Reason, counterfactual, decide
from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint, Disposition, severity
from membergate.domain.errors import BadInputError, RefusedError
from membergate.domain.evidence import Evidence
from membergate.domain.instants import Clock, format_instant
from membergate.domain.labels import LabelGrade
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType
from membergate.domain.membership import MemberStanding, Notice, Standing
from membergate.operations.admission import draw, version_of
from membergate.operations.lists import entry_id_of
from membergate.operations.members import Member, Members
from membergate.operations.notices import notice_of
from membergate.operations.opening import open_record
from membergate.operations.orders import members_of
from membergate.operations.workspace import Workspace
from membergate.store import OperationalRecord

SPARED_DAYS = 30
"""For how long who was reinstated stands on the allow list."""
_DECISIONS_AT_ONCE = 1_000
_OF_STANDING = {Standing.SUSPENDED: Disposition.SUSPEND_BENEFIT, Standing.TERMINATED: Disposition.TERMINATE}


@dataclass(frozen=True)
class Swept:
    """What a sweep found.

    Parameters
    ----------
    as_of
        The instant of judgement.
    judged
        Members that were judged, by the disposition that the policy gives them.
    changes
        Decisions that change how a member stands, in the order of accounts.
    is_trial_run
        Whether nothing was put on record.
    """

    as_of: datetime
    judged: dict[str, int]
    changes: tuple[Decision, ...]
    is_trial_run: bool


def sweep(workspace: Workspace, *, clock: Clock, as_of: datetime | None = None, is_trial_run: bool = False) -> Swept:
    """Judge every member again, put what changes on record, and write the notices.

    A member whom the policy keeps stays as it is; caps that a sweep set are lifted when the policy keeps again. A
    suspension is lifted by a person only, and a terminated member is none.

    Parameters
    ----------
    workspace
        Holds the market, what is live, and the record.
    clock
        Gives the present.
    as_of
        The instant of judgement; the present where None.
    is_trial_run
        Only tell what would change.

    Raises
    ------
    WorkspaceError
        If nothing is live, or nothing was ingested.
    BadInputError
        If the instant lies in the future.
    """
    now = clock()
    at = as_of or now
    if at > now:
        raise BadInputError("nobody can be judged as of the future", where=format_instant(at), allowed="the past")
    judged: Counter[str] = Counter()
    changes: list[Decision] = []
    with members_of(workspace) as members:
        accounts = _accounts(members, at)
        policy = members.desk.policy_at(at)
        for member in members.all(accounts, at, policy.reads_at[Checkpoint.SWEEP]):
            standing = members.standing(member.account_id, at)
            if standing.standing in {Standing.NONE, Standing.TERMINATED}:
                continue
            decision = _judge(members, policy, member, at, now)
            judged[decision.disposition.value] += 1
            if _is_change(decision.disposition, standing):
                changes.append(decision)
        if not is_trial_run:
            for some in _portions(changes):
                members.record.record(some)
                members.record.memberships.tell([notice_of(decision, "sweep", now) for decision in some])
    return Swept(at, dict(judged.most_common()), tuple(changes), is_trial_run)


def reinstate(workspace: Workspace, account_id: str, *, by: str, note: str, clock: Clock) -> Decision:
    """Take back what a sweep did to a member: it stands as before, whatever the sweep said.

    Parameters
    ----------
    workspace
        Holds the record.
    account_id
        Whom.
    by, note
        Who does it, and why.
    clock
        Gives the present.

    Raises
    ------
    RefusedError
        If no sweep took anything from the account.
    BadInputError
        If nobody is named.
    """
    with open_record(workspace) as record:
        return reinstate_in(record, account_id, by=by, note=note, clock=clock)


def reinstate_in(record: OperationalRecord, account_id: str, *, by: str, note: str, clock: Clock) -> Decision:
    """Take back what a sweep did to a member, in a record that is open.

    Parameters
    ----------
    record
        The record.
    account_id
        Whom.
    by, note
        Who does it, and why.
    clock
        Gives the present.

    Raises
    ------
    RefusedError
        If no sweep took anything from the account.
    BadInputError
        If nobody is named.
    """
    if not by.strip():
        raise BadInputError("nobody is named", where="by", allowed="who takes it back")
    now = clock()
    last = record.latest_of(account_id, Checkpoint.SWEEP)
    if last is None or last.disposition is Disposition.KEEP:
        raise RefusedError(
            "no sweep took anything from this account",
            where=f"account {account_id[:80]!r}",
            next_step="membergate sweep notices",
        )
    decision = reversal(last, Disposition.KEEP, Reason.REINSTATED, by=by, note=note, at=now)
    record.lists.change([clearance(decision, Reason.REINSTATED, by=by, at=now, days=SPARED_DAYS)], at=now, by=by)
    record.record([decision])
    record.memberships.tell([notice_of(decision, "reinstated", now)])
    return decision


def reversal(
    reversed_one: Decision, disposition: Disposition, reason: str, *, by: str, note: str, at: datetime
) -> Decision:
    """Give the decision by which a person takes another one back; the other stays on record as it was.

    Parameters
    ----------
    reversed_one
        The decision that is taken back.
    disposition
        What holds from now on.
    reason
        Its reason code.
    by, note
        Who decided, and why.
    at
        From when it holds.
    """
    named = f"reversal|{reversed_one.decision_id}|{disposition}|{reason}"
    said = {"reversed_decision": reversed_one.decision_id, "decided_by": by, "note": note}
    return replace(
        reversed_one,
        decision_id="d-" + sha256(named.encode()).hexdigest()[:24],
        decided_at=at,
        as_of=at,
        disposition=disposition,
        reason_codes=(reason,),
        evidence=tuple(Evidence(name, text, f"person:{by}", at) for name, text in said.items() if text),
        counterfactual=None,
        caps=None,
        degraded=False,
        explore=False,
        propensity=None,
        contributions=(),
    )


def clearance(decision: Decision, reason: str, *, by: str, at: datetime, days: int) -> ListEntry:
    """Give the entry on the allow list that keeps rules from taking at once what a person gave back.

    Parameters
    ----------
    decision
        The decision, which names the account.
    reason
        Its reason code.
    by
        Who gave it back.
    at, days
        From when, and for how long.
    """
    return ListEntry(
        entry_id=entry_id_of("m", "clearance", decision.decision_id, reason),
        risk_list=RiskList.ALLOW,
        subject=Subject(SubjectType.ACCOUNT, decision.account_id),
        reason_code=reason,
        grade=LabelGrade.L0,
        source=by,
        is_manual=True,
        confidence=1.0,
        recorded_at=at,
        starts_at=at,
        expires_at=at + timedelta(days=days),
        decision_id=decision.decision_id,
    )


def notices(workspace: Workspace, account_id: str | None = None, since: datetime | None = None) -> tuple[Notice, ...]:
    """Give the notices that wait to be delivered by the shop: of one account or of all, oldest first."""
    with open_record(workspace) as record:
        return record.memberships.notices(account_id, since)


def _accounts(members: Members, at: datetime) -> list[str]:
    """Name everybody who may hold a membership: by the market's record, or by our own decisions."""
    return sorted({*members.desk.ledger.accounts(at), *members.record.accounts_let_in(at)})


def _judge(members: Members, policy: Policy, member: Member, at: datetime, now: datetime) -> Decision:
    desk, evidence = members.desk, member.evidence
    lottery, snoozed = draw(member.operator_id, policy), policy.snoozed_for(member.account_id, at)
    verdict = decide(policy, Checkpoint.SWEEP, evidence, lottery=lottery, snoozed=snoozed)
    named = ("sweep", member.account_id, format_instant(at), version_of(policy), desk.model_version)
    return Decision(
        decision_id="d-" + sha256("|".join(named).encode()).hexdigest()[:24],
        checkpoint=Checkpoint.SWEEP,
        application_id=None,
        order_id=None,
        account_id=member.account_id,
        operator_id=member.operator_id,
        decided_at=now,
        as_of=at,
        disposition=verdict.disposition,
        merchant_probability=member.number("merchant_probability"),
        risk_score=member.number("risk_score"),
        reason_codes=verdict.reason_codes,
        evidence=tuple(evidence[name] for name in sorted(verdict.read) if name in evidence),
        counterfactual=counterfactual(policy, Checkpoint.SWEEP, evidence, verdict, lottery=lottery, snoozed=snoozed),
        caps=verdict.caps,
        policy_version=version_of(policy),
        model_version=desk.model_version,
        promotion_id=None,
        degraded=verdict.degraded,
        explore=False,
        propensity=None,
        contributions=member.contributions,
    )


def _is_change(disposition: Disposition, standing: MemberStanding) -> bool:
    """Tell whether a verdict changes how a member stands; what a person must lift, a sweep only makes stricter."""
    resting = _OF_STANDING.get(standing.standing)
    if resting is not None:
        return severity(disposition, Checkpoint.SWEEP) > severity(resting, Checkpoint.SWEEP)
    if disposition is Disposition.KEEP:
        return standing.is_capped_by_sweep
    if disposition is Disposition.ADMIT_CAPPED:
        return standing.disposition not in {Disposition.ADMIT_CAPPED, Disposition.TRIAL}
    return True


def _portions(decisions: list[Decision]) -> Iterator[list[Decision]]:
    for start in range(0, len(decisions), _DECISIONS_AT_ONCE):
        yield decisions[start : start + _DECISIONS_AT_ONCE]
