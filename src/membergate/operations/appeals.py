"""appeals: what is held against a decision, and what a person makes of it. Upheld, it is reversed and remembered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from membergate.domain.decision import Decision
from membergate.domain.disposition import HOLDERS, Checkpoint, Disposition
from membergate.domain.errors import BadInputError, RefusedError
from membergate.domain.instants import Clock, format_instant
from membergate.domain.labels import LabelGrade
from membergate.domain.membership import Appeal, AppealState
from membergate.operations.notices import notice_of
from membergate.operations.opening import open_record, standing_record
from membergate.operations.sweep import clearance, reversal
from membergate.operations.workspace import Workspace
from membergate.store import InboxEvent, OperationalRecord

UPHELD = "APPEAL_UPHELD"
CLEARED = "CLEARED_ON_APPEAL"
CLEARED_DAYS = 180
"""For how long who was cleared stands on the allow list."""
LABELS = "membergate.labels.v1"
LONGEST_STATEMENT = 4_000
_MILD = HOLDERS | {Disposition.FULL_BENEFIT, Disposition.KEEP}
_REVERSED = {Checkpoint.ADMISSION: Disposition.ADMIT, Checkpoint.SWEEP: Disposition.KEEP}


@dataclass(frozen=True)
class Ruling:
    """An appeal that was decided.

    Parameters
    ----------
    appeal
        The appeal.
    decision
        The decision that holds from now on; None where the old one stands, or an order was long over.
    """

    appeal: Appeal
    decision: Decision | None


def open_appeal(workspace: Workspace, decision_id: str, statement: str, *, clock: Clock) -> Appeal:
    """Open an appeal against a decision.

    Raises
    ------
    UnknownSubjectError
        If there is no such decision.
    BadInputError
        If nothing is said, or too much.
    RefusedError
        If the decision took nothing from anybody.
    """
    with open_record(workspace) as record:
        return appeal_against(record, decision_id, statement, clock=clock)


def appeal_against(record: OperationalRecord, decision_id: str, statement: str, *, clock: Clock) -> Appeal:
    """Open an appeal in a record that is open; a decision has one, and the same again gives it.

    Raises
    ------
    UnknownSubjectError
        If there is no such decision.
    BadInputError
        If nothing is said, or too much.
    RefusedError
        If the decision took nothing from anybody.
    """
    if not 0 < len(statement.strip()) <= LONGEST_STATEMENT or "\x00" in statement:
        raise BadInputError("an appeal says why", where="statement", allowed=f"1 to {LONGEST_STATEMENT} characters")
    decision = record.decision(decision_id)
    is_full = decision.disposition in _MILD and decision.caps is None
    if is_full or decision.reason_codes == (UPHELD,):
        raise RefusedError(
            "this decision took nothing from anybody",
            where=f"decision {decision_id}: {decision.disposition.value}",
            allowed="decisions that refuse, limit, suspend or terminate",
        )
    appeal_id = "p-" + sha256(f"appeal|{decision_id}".encode()).hexdigest()[:24]
    appeal = Appeal(appeal_id, decision_id, decision.account_id, clock(), statement.strip())
    return record.memberships.open_appeal(appeal)


def appeals(workspace: Workspace, state: AppealState | None = None) -> tuple[Appeal, ...]:
    """Give the appeals of a state, or all, oldest first."""
    with standing_record(workspace) as record:
        return record.memberships.appeals(state)


def decide_appeal(
    workspace: Workspace, appeal_id: str, state: AppealState, *, by: str, note: str, clock: Clock
) -> Ruling:
    """Decide an appeal, as a person.

    Parameters
    ----------
    workspace
        Holds the record.
    appeal_id
        Which.
    state
        Upheld or rejected.
    by, note
        Who decides, and why.
    clock
        Gives the present.

    Raises
    ------
    UnknownSubjectError
        If there is no such appeal.
    BadInputError
        If nobody is named, or no reason given.
    RefusedError
        If it was decided otherwise before.
    """
    with standing_record(workspace) as record:
        return rule_on(record, appeal_id, state, by=by, note=note, clock=clock)


def rule_on(
    record: OperationalRecord, appeal_id: str, state: AppealState, *, by: str, note: str, clock: Clock
) -> Ruling:
    """Decide an appeal in a record that is open.

    Upheld: the decision is reversed, the account stands on the allow list for half a year, and the next ingest of
    events brings a label, genuine, grade L0. Rejected: the decision stands, and the label says so with grade L2. The
    same again does no harm, and completes what a crash left undone.

    Parameters
    ----------
    record
        The record.
    appeal_id
        Which.
    state
        Upheld or rejected.
    by, note
        Who decides, and why.
    clock
        Gives the present.

    Raises
    ------
    UnknownSubjectError
        If there is no such appeal.
    BadInputError
        If nobody is named, or no reason given.
    RefusedError
        If it was decided otherwise before.
    """
    if state is AppealState.OPEN or not by.strip() or not note.strip():
        raise BadInputError("an appeal is upheld or rejected by somebody, for a reason", allowed="state, by, note")
    appeal = record.memberships.decide_appeal(appeal_id, state, at=clock(), by=by, note=note)
    at = appeal.decided_at or clock()
    decision = record.decision(appeal.decision_id)
    new = None
    if state is AppealState.UPHELD:
        new = _reverse(record, decision, appeal, at)
    record.inbox.add([_label(decision, appeal, at)])
    return Ruling(appeal, new)


def _reverse(record: OperationalRecord, decision: Decision, appeal: Appeal, at: datetime) -> Decision | None:
    entry = clearance(decision, CLEARED, by=appeal.decided_by, at=at, days=CLEARED_DAYS)
    record.lists.change([entry], at=at, by=appeal.decided_by)
    disposition = _REVERSED.get(decision.checkpoint)
    if disposition is None:
        return None
    new = reversal(decision, disposition, UPHELD, by=appeal.decided_by, note=appeal.note, at=at)
    record.record([new])
    record.memberships.tell([notice_of(new, "appeal", at)])
    return new


def _label(decision: Decision, appeal: Appeal, at: datetime) -> InboxEvent:
    """Write the label that an appeal gives, as an event that the next ingest takes."""
    is_upheld = appeal.state is AppealState.UPHELD
    row = {
        "subject_type": "account",
        "subject_id": decision.account_id,
        "label": "genuine" if is_upheld else "merchant",
        "grade": (LabelGrade.L0 if is_upheld else LabelGrade.L2).value,
        "source": "appeal",
        "decided_at": format_instant(at),
        "ingested_at": format_instant(at),
    }
    return InboxEvent("membergate:appeals", appeal.appeal_id, LABELS, json.dumps(row), at)
