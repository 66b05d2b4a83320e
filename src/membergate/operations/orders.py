"""order: may an order use a member's benefits, and how much of them. Limits hold exactly, whoever asks at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from hashlib import sha256

import structlog

from membergate.deciding import velocity
from membergate.deciding.policy import Policy, counterfactual, decide
from membergate.deciding.policy.allowances import (
    Order,
    OrderLine,
    asks_of,
    combined,
    is_refused,
    settle,
    under_standing,
    unused,
    use_ids_of,
    without_ledger,
)
from membergate.domain.decision import Caps, Decision, Verdict
from membergate.domain.disposition import Checkpoint
from membergate.domain.errors import BadInputError, UnknownSubjectError, WorkspaceError
from membergate.domain.evidence import Evidence
from membergate.domain.instants import Clock, format_instant, parse_instant
from membergate.domain.membership import MemberStanding
from membergate.operations.admission import draw, version_of
from membergate.operations.admit import live_desk
from membergate.operations.history import History
from membergate.operations.lists import open_record
from membergate.operations.members import Member, Members
from membergate.operations.workspace import Workspace
from membergate.store import OperationalRecord, Question, RecordConflictError

SCOPE = "order"
"""Among questions, those whose key is the order's id."""
GRANTED = "granted_units"
"""The evidence that says how many units of each line the ledger and the verdict leave at the member's price."""
MOST_LINES = 200
_log = structlog.get_logger("membergate.orders")


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order by a member, as it asks for benefits.

    Parameters
    ----------
    order_id, account_id
        Which order, and whose. An order is asked about once: its id is its idempotency key.
    lines
        What it asks for, each line once.
    ordered_at
        When; the present where None.
    promotion_id
        The promotion that it belongs to; empty for none.

    Raises
    ------
    BadInputError
        If there is no line, there are too many, or two have one id.
    """

    order_id: str
    account_id: str
    lines: tuple[OrderLine, ...]
    ordered_at: datetime | None = None
    promotion_id: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.lines) <= MOST_LINES:
            raise BadInputError(f"an order of {len(self.lines)} lines", where="lines", allowed=f"1 to {MOST_LINES}")
        if len({line.line_id for line in self.lines}) != len(self.lines):
            raise BadInputError("two lines have one id", where="lines", allowed="each line_id once")

    def body(self) -> str:
        """Write the question so that equal questions give equal texts."""
        at = None if self.ordered_at is None else format_instant(self.ordered_at)
        return json.dumps(asdict(self) | {"ordered_at": at}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @staticmethod
    def of_body(body: str) -> OrderRequest:
        """Read a question again."""
        found = json.loads(body)
        lines = tuple(OrderLine(**line) for line in found["lines"])
        at = None if found["ordered_at"] is None else parse_instant(found["ordered_at"])
        return OrderRequest(found["order_id"], found["account_id"], lines, at, found["promotion_id"])

    def order(self, operator_id: str, at: datetime) -> Order:
        """Give the order as the limits see it."""
        return Order(self.order_id, operator_id, at, self.lines, self.promotion_id)


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
        record, body = self.members.record, request.body()
        digest = sha256(body.encode()).hexdigest()
        question = record.questions.find(SCOPE, request.order_id, digest)
        if question is not None and (known := self._known(question)) is not None:
            return known
        now = clock() if question is None else question.asked_at
        at = request.ordered_at or now
        member = self.members.about(request.account_id, at)
        if question is None:
            decision_id = "d-" + sha256(f"order|{request.order_id}|{request.account_id}".encode()).hexdigest()[:24]
            question = record.questions.keep(Question(SCOPE, request.order_id, digest, body, decision_id, now))
        decision = replace(self._decide(request, member, at), decision_id=question.decision_id, decided_at=now)
        try:
            record.record([decision])
        except RecordConflictError:  # another thread answered the same order first
            decision = record.decision(question.decision_id)
        return OrderAnswer(decision, granted_lines(request, decision))

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

    def answer_of(self, decision: Decision) -> OrderAnswer:
        """Give the answer of which an order's decision is part."""
        question = self.members.record.questions.of_decision(decision.decision_id)
        lines = () if question is None else granted_lines(OrderRequest.of_body(question.body), decision)
        return OrderAnswer(decision, lines)

    def _known(self, question: Question) -> OrderAnswer | None:
        try:
            decision = self.members.record.decision(question.decision_id)
        except UnknownSubjectError:  # the question is on record, its answer never was: a crash came between
            return None
        return OrderAnswer(decision, granted_lines(OrderRequest.of_body(question.body), decision))

    def _decide(self, request: OrderRequest, member: Member, at: datetime) -> Decision:
        desk = self.members.desk
        policy = desk.policy_at(at)
        standing = self.members.standing(request.account_id, at)
        evidence = member.evidence | _about_order(request, standing, at) | self._lately(request, policy, at)
        lottery, snoozed = draw(member.operator_id, policy), policy.snoozed_for(request.account_id, at)
        said = decide(policy, Checkpoint.ORDER, evidence, lottery=lottery, snoozed=snoozed)
        verdict = under_standing(said, standing.standing)
        order = request.order(member.operator_id, at)
        verdict, units = self._under_caps(verdict, order, _caps_of(policy, standing, verdict))
        way_out = None
        if verdict.disposition is said.disposition:
            way_out = counterfactual(policy, Checkpoint.ORDER, evidence, said, lottery=lottery, snoozed=snoozed)
        read = tuple(evidence[name] for name in sorted({*verdict.read, "member_standing"}) if name in evidence)
        granted = Evidence(GRANTED, json.dumps(units, sort_keys=True, ensure_ascii=False), "caps", at)
        return Decision(
            decision_id="",
            checkpoint=Checkpoint.ORDER,
            application_id=None,
            order_id=request.order_id,
            account_id=request.account_id,
            operator_id=member.operator_id,
            decided_at=at,
            as_of=at,
            disposition=verdict.disposition,
            merchant_probability=member.number("merchant_probability"),
            risk_score=member.number("risk_score"),
            reason_codes=verdict.reason_codes,
            evidence=(*read, granted),
            counterfactual=way_out,
            caps=verdict.caps,
            policy_version=version_of(policy),
            model_version=desk.model_version,
            promotion_id=request.promotion_id or None,
            degraded=verdict.degraded,
            explore=False,
            propensity=None,
            contributions=member.contributions,
        )

    def _lately(self, request: OrderRequest, policy: Policy, at: datetime) -> dict[str, Evidence]:
        """Ask the counters about account, operator and SKUs, where the policy reads any of them."""
        if policy.kinds.keys().isdisjoint(velocity.NAMES):
            return {}
        desk, scope = self.members.desk, velocity.Scope
        operator = desk.history.links.operator_of(request.account_id, at)
        skus = tuple(line.sku_id for line in request.lines)
        touched = {scope.ACCOUNT: (request.account_id,), scope.OPERATOR: operator.account_ids, scope.SKU: skus}
        return dict(desk.velocity.about(touched, at, policy.kinds))

    def _under_caps(self, verdict: Verdict, order: Order, caps: Caps | None) -> tuple[Verdict, dict[str, int]]:
        if is_refused(verdict):
            return verdict, {line.line_id: 0 for line in order.lines}
        ledger = self.members.record.caps
        try:
            granted = ledger.draw(asks_of(order, caps), at=order.ordered_at)
            ledger.release(unused(order, granted), at=order.ordered_at)
        except WorkspaceError as error:
            _log.error("caps_unavailable", **error.as_record())
            return without_ledger(verdict), {line.line_id: 0 for line in order.lines}
        settled, units = settle(verdict, order, granted)
        return replace(settled, caps=caps), units


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


def _about_order(request: OrderRequest, standing: MemberStanding, at: datetime) -> dict[str, Evidence]:
    by_sku: dict[str, int] = {}
    for line in request.lines:
        by_sku[line.sku_id] = by_sku.get(line.sku_id, 0) + line.units
    said: dict[str, tuple[float | str, str]] = {
        "order_units": (float(sum(by_sku.values())), "order"),
        "order_units_of_one_sku": (float(max(by_sku.values())), "order"),
        "order_benefit_minor": (float(sum(line.units * line.benefit_minor for line in request.lines)), "order"),
        "member_standing": (standing.standing.value, f"decision:{standing.decision_id or 'market'}"),
    }
    return {name: Evidence(name, value, origin, at) for name, (value, origin) in said.items()}


def _caps_of(policy: Policy, standing: MemberStanding, verdict: Verdict) -> Caps | None:
    """Give the limits of an order: its own, those the member was let in with, and what the policy says of them now."""
    of_disposition = None if standing.disposition is None else policy.caps.get(standing.disposition)
    return combined((verdict.caps, standing.caps, of_disposition))
