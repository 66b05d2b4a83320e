"""order: may an order use a member's benefits, and how much of them. Limits hold exactly, whoever asks at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

import structlog

from membergate.deciding.policy.allowances import use_ids_of
from membergate.domain.decision import Decision
from membergate.domain.errors import UnknownSubjectError, WorkspaceError
from membergate.domain.instants import Clock
from membergate.operations.admit import live_desk
from membergate.operations.history import History
from membergate.operations.members import Members
from membergate.operations.opening import open_record
from membergate.operations.order_cases import GRANTED, OrderCase, OrderRequest
from membergate.operations.workspace import Workspace
from membergate.store import OperationalRecord, Question, Settled

SCOPE = "order"
"""Among questions, those whose key is the order's id."""
_log = structlog.get_logger("membergate.orders")


@dataclass(frozen=True, slots=True)
class GrantedLine:
    """A line, and how many of its units keep the member's price."""

    line_id: str
    sku_id: str
    units: int
    granted_units: int


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """The decision about an order, and what it leaves of each line."""

    decision: Decision
    lines: tuple[GrantedLine, ...]


class OrderDesk:
    """Decides orders. Any thread may ask.

    Parameters
    ----------
    members
        Looks members up; its record keeps questions, decisions and what was used of limits.
    """

    def __init__(self, members: Members) -> None:
        self.members = members

    def decide(self, request: OrderRequest, clock: Clock) -> OrderAnswer:
        """Decide an order, with its use of limits and its decision on record before the answer.

        Asked again, the same order gets the same answer, also after a crash between the steps.

        Raises
        ------
        KeyReusedError
            If the order's id was asked about with other content.
        UnknownSubjectError
            If nobody knows the account.
        PolicyError
            If no policy is in effect.
        WorkspaceError
            If the record does not answer. No decision was given.
        """
        question = self._question(request, clock())
        known = self.members.record.questions.find(SCOPE, request.order_id, question.digest)
        if known is not None:
            try:
                return self._answer(request, self.members.record.decision(known.decision_id))
            except UnknownSubjectError:  # the question is on record, its answer is not
                question = known
        while True:
            at = request.ordered_at or question.asked_at
            case = OrderCase.of(self.members, request, self.members.about(request.account_id, at), question)
            settled = self._settled(case)
            if settled is not None:
                return self._answer(request, settled.decision)
            # somebody asked at this very moment, and was not answered
            question = self.members.record.questions.find(SCOPE, request.order_id, question.digest) or question

    def at_hand(self, request: OrderRequest, now: datetime) -> OrderCase | None:
        """Take an order on with what is known by heart, for `record.soon`; None where something must be looked up.

        Any thread may ask at any time: nothing is waited for, and nothing but memory is read.

        Raises
        ------
        PolicyError
            If no policy is in effect.
        """
        if not self.members.desk.velocity.is_local:
            return None
        question = self._question(request, now)
        member = self.members.at_hand(request.account_id, request.ordered_at or now)
        return None if member is None else OrderCase.of(self.members, request, member, question)

    def release(self, order_id: str, clock: Clock) -> int:
        """Give back what a cancelled order used of its limits; gives how many uses were given back.

        Raises
        ------
        UnknownSubjectError
            If nobody asked about the order.
        WorkspaceError
            If the record does not answer. Nothing was given back.
        """
        return release(self.members.record, order_id, at=clock())

    def _settled(self, case: OrderCase) -> Settled | None:
        try:
            return self.members.record.orders.settle(case)
        except WorkspaceError as error:
            _log.error("caps_unavailable", **error.as_record())
            return self.members.record.orders.settle(replace(case, has_ledger=False))

    @staticmethod
    def _question(request: OrderRequest, now: datetime) -> Question:
        body = request.body()
        decision_id = "d-" + sha256(f"order|{request.order_id}|{request.account_id}".encode()).hexdigest()[:24]
        return Question(SCOPE, request.order_id, sha256(body.encode()).hexdigest(), body, decision_id, now)

    @staticmethod
    def _answer(request: OrderRequest, decision: Decision) -> OrderAnswer:
        return OrderAnswer(decision, granted_lines(request, decision))

    def answer_of(self, decision: Decision) -> OrderAnswer:
        """Give the answer of which an order's decision is part."""
        question = self.members.record.questions.of_decision(decision.decision_id)
        lines = () if question is None else granted_lines(OrderRequest.of_body(question.body), decision)
        return OrderAnswer(decision, lines)


def release_order(workspace: Workspace, order_id: str, clock: Clock) -> int:
    """Give back what a cancelled order used of its limits; gives how many uses were given back.

    Raises
    ------
    UnknownSubjectError
        If nobody asked about the order.
    """
    with open_record(workspace) as record:
        return release(record, order_id, at=clock())


@contextmanager
def members_of(workspace: Workspace) -> Iterator[Members]:
    """Look members of a workspace up with its live model and policy.

    Raises
    ------
    WorkspaceError
        If nothing is live.
    """
    history = History(workspace.warehouse())
    workspace.required_live()
    with open_record(workspace) as record:
        yield Members(live_desk(workspace, history, record=record), record)


def release(record: OperationalRecord, order_id: str, *, at: datetime) -> int:
    """Give back what an order used, in a record that is open; gives how many uses were given back.

    Raises
    ------
    UnknownSubjectError
        If nobody asked about the order.
    """
    question = record.questions.of_key(SCOPE, order_id)
    if question is None:
        raise UnknownSubjectError("nobody asked about this order", where=f"order {order_id[:80]!r}")
    order = OrderRequest.of_body(question.body).order("", question.asked_at)
    return record.caps.release(use_ids_of(order), at=at)


def granted_lines(request: OrderRequest, decision: Decision) -> tuple[GrantedLine, ...]:
    """Read from a decision how many units of each line keep the member's price."""
    text = next((str(witnessed.value) for witnessed in decision.evidence if witnessed.name == GRANTED), "{}")
    units = json.loads(text)
    return tuple(
        GrantedLine(line.line_id, line.sku_id, line.units, int(units.get(line.line_id, 0))) for line in request.lines
    )
