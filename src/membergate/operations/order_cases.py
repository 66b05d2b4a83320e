"""An order with all that is witnessed about it: judged once the record says how its member stands and what is left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from membergate.deciding import velocity
from membergate.deciding.policy import Hearing, Policy, hear, way_out
from membergate.deciding.policy.allowances import (
    Order,
    OrderLine,
    asks_of,
    combined,
    is_refused,
    settle,
    under_standing,
    unused,
    without_ledger,
)
from membergate.domain.decision import Caps, Counterfactual, Decision, Verdict
from membergate.domain.disposition import Checkpoint
from membergate.domain.errors import BadInputError
from membergate.domain.evidence import Evidence
from membergate.domain.instants import format_instant, parse_instant
from membergate.domain.limits import Ask
from membergate.domain.membership import MemberStanding
from membergate.operations.admission import AdmissionDesk, draw, version_of
from membergate.operations.members import Member, Members
from membergate.store import Question

GRANTED = "granted_units"
"""The evidence that says how many units of each line the ledger and the verdict leave at the member's price."""
MOST_LINES = 200
_STANDING = "member_standing"


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
        lines = [{name: getattr(line, name) for name in OrderLine.__slots__} for line in self.lines]
        told = {"order_id": self.order_id, "account_id": self.account_id, "lines": lines, "ordered_at": at}
        return json.dumps(
            told | {"promotion_id": self.promotion_id}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )

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
class OrderCase:
    """An order that waits to be judged; `Recorder.settle` and `OrderRecord.settle` take it.

    Parameters
    ----------
    members
        Who was asked about the member, and knows how to tell a standing.
    request, question
        The order, and how it stands on record as a question.
    member
        Whose it is.
    evidence
        What is witnessed about the account and the order, but for the member's standing.
    has_ledger
        Whether the ledger of limits answers; where it does not, limits fail closed.
    """

    members: Members
    request: OrderRequest
    member: Member
    question: Question
    evidence: dict[str, Evidence]
    has_ledger: bool = True

    @classmethod
    def of(cls, members: Members, request: OrderRequest, member: Member, question: Question) -> Self:
        """Gather what counters and the order itself say, beside what is witnessed about the account.

        Raises
        ------
        PolicyError
            If no policy is in effect.
        """
        at = request.ordered_at or question.asked_at
        lately = _lately(members.desk, request, members.desk.policy_at(at), at)
        return cls(members, request, member, question, member.evidence | _about_order(request, at) | lately)

    @property
    def account_id(self) -> str:
        """Whose order it is."""
        return self.request.account_id

    @property
    def at(self) -> datetime:
        """When it was ordered."""
        return self.request.ordered_at or self.question.asked_at

    def judged(self, decisions: Sequence[Decision]) -> OrderVerdict:
        """Judge the order, given what was decided about its account at admission and at sweeps.

        Raises
        ------
        PolicyError
            If no policy is in effect.
        """
        at, policy = self.at, self.members.desk.policy_at(self.at)
        standing = self.members.standing_by(decisions, self.account_id, at)
        told = f"decision:{standing.decision_id or 'market'}"
        evidence = self.evidence | {_STANDING: Evidence(_STANDING, standing.standing.value, told, at)}
        lottery = draw(self.member.operator_id, policy)
        hearing = hear(policy, Checkpoint.ORDER, evidence, policy.snoozed_for(self.account_id, at))
        said = hearing.judged(lottery).verdict
        verdict = under_standing(said, standing.standing)
        is_limited = not is_refused(verdict)
        if is_limited and not self.has_ledger:
            verdict = without_ledger(verdict)
        caps = _caps_of(policy, standing, verdict) if is_limited and self.has_ledger else None
        return OrderVerdict(self, hearing, lottery, evidence, said, verdict, caps, is_limited and self.has_ledger)


@dataclass(frozen=True, slots=True)
class OrderVerdict:
    """What rules and standing say of an order, before its limits are asked.

    Parameters
    ----------
    case
        The order.
    hearing, lottery, evidence, said
        What the rules heard and said.
    verdict
        What is left of it for a member who stands so.
    caps
        The limits that it comes under; None for none.
    is_limited
        Whether limits have a say.
    """

    case: OrderCase
    hearing: Hearing
    lottery: float
    evidence: dict[str, Evidence]
    said: Verdict
    verdict: Verdict
    caps: Caps | None
    is_limited: bool

    @property
    def at(self) -> datetime:
        """When the order uses up what it is granted."""
        return self.case.at

    @property
    def asks(self) -> tuple[Ask, ...]:
        """What the order asks of its limits."""
        return asks_of(self._order, self.caps) if self.is_limited else ()

    def unused(self, granted: Mapping[str, int]) -> tuple[str, ...]:
        """Name the uses that nothing came of, given what was granted."""
        return unused(self._order, granted)

    def decision(self, granted: Mapping[str, int]) -> Decision:
        """Give the decision, given what was granted; its id and when it was decided are the question's."""
        case, verdict = self.case, self.verdict
        units = {line.line_id: 0 for line in case.request.lines}
        if self.is_limited:
            settled, units = settle(verdict, self._order, granted)
            verdict = replace(settled, caps=self.caps)
        is_by_rule = verdict.disposition is self.said.disposition
        names = sorted({*verdict.read, _STANDING})
        left = Evidence(GRANTED, json.dumps(units, sort_keys=True, ensure_ascii=False), "caps", self.at)
        return Decision(
            decision_id=case.question.decision_id,
            checkpoint=Checkpoint.ORDER,
            application_id=None,
            order_id=case.request.order_id,
            account_id=case.account_id,
            operator_id=case.member.operator_id,
            decided_at=case.question.asked_at,
            as_of=self.at,
            disposition=verdict.disposition,
            merchant_probability=case.member.number("merchant_probability"),
            risk_score=case.member.number("risk_score"),
            reason_codes=verdict.reason_codes,
            evidence=(*(self.evidence[name] for name in names if name in self.evidence), left),
            counterfactual=self._way_out() if is_by_rule else None,
            caps=verdict.caps,
            policy_version=version_of(self.hearing.policy),
            model_version=case.members.desk.model_version,
            promotion_id=case.request.promotion_id or None,
            degraded=verdict.degraded,
            explore=False,
            propensity=None,
            contributions=case.member.contributions,
        )

    @property
    def _order(self) -> Order:
        return self.case.request.order(self.case.member.operator_id, self.at)

    def _way_out(self) -> Counterfactual | None:
        return way_out(self.hearing, self.evidence, self.said.disposition, lottery=self.lottery)


def _about_order(request: OrderRequest, at: datetime) -> dict[str, Evidence]:
    by_sku: dict[str, int] = {}
    for line in request.lines:
        by_sku[line.sku_id] = by_sku.get(line.sku_id, 0) + line.units
    said = {
        "order_units": float(sum(by_sku.values())),
        "order_units_of_one_sku": float(max(by_sku.values())),
        "order_benefit_minor": float(sum(line.units * line.benefit_minor for line in request.lines)),
    }
    return {name: Evidence(name, value, "order", at) for name, value in said.items()}


def _lately(desk: AdmissionDesk, request: OrderRequest, policy: Policy, at: datetime) -> dict[str, Evidence]:
    """Ask the counters about account, operator and SKUs, where the policy reads any of them."""
    if policy.kinds.keys().isdisjoint(velocity.NAMES):
        return {}
    operator = desk.history.links.operator_of(request.account_id, at)
    skus = tuple(line.sku_id for line in request.lines)
    scope = velocity.Scope
    touched = {scope.ACCOUNT: (request.account_id,), scope.OPERATOR: operator.account_ids, scope.SKU: skus}
    return dict(desk.velocity.about(touched, at, policy.kinds))


def _caps_of(policy: Policy, standing: MemberStanding, verdict: Verdict) -> Caps | None:
    """Give the limits of an order: its own, those the member was let in with, and what the policy says of them now."""
    of_disposition = None if standing.disposition is None else policy.caps.get(standing.disposition)
    return combined((verdict.caps, standing.caps, of_disposition))
