"""What goes over the wire: the question, and the decision record with its explanation."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.instants import format_instant
from membergate.operations.orders import OrderAnswer
from membergate.service.explaining import explain
from membergate.store.codec import (
    LONGEST_ID,
    CapsDocument,
    CounterfactualDocument,
    EvidenceDocument,
    caps_document,
    counterfactual_document,
    evidence_documents,
)

Identifier = Annotated[str, Meta(min_length=1, max_length=LONGEST_ID)]
Share = Annotated[float, Meta(ge=0, le=1)]


class AdmissionQuestion(Struct, frozen=True, forbid_unknown_fields=True):
    """A question at the door: may this account join."""

    account_id: Annotated[Identifier, Meta(description="Who asks.")]
    application_id: Annotated[Identifier, Meta(description="Which application; the latest where left out.")] | None = (
        None
    )
    as_of: (
        Annotated[
            str,
            Meta(
                max_length=64,
                description="ISO 8601 instant beyond which nothing is visible, not in the future; without an offset it "
                "is taken as UTC. For an account that has not applied; the present where left out.",
            ),
        ]
        | None
    ) = None


class OrderLineQuestion(Struct, frozen=True, forbid_unknown_fields=True):
    """A line of an order that would use a member's benefit."""

    line_id: Identifier
    sku_id: Identifier
    units: Annotated[int, Meta(ge=1, le=1_000_000)]
    benefit_minor: Annotated[int, Meta(ge=0, le=10**9, description="The benefit of one unit, in minor units.")] = 0
    promotion_stock: (
        Annotated[int, Meta(ge=1, le=10**9, description="Units of the SKU that the promotion has.")] | None
    ) = None


class OrderQuestion(Struct, frozen=True, forbid_unknown_fields=True):
    """A question at the till: may this order use a member's benefits, and how much of them."""

    order_id: Annotated[
        Identifier, Meta(description="Which order; an order is asked about once, a repeat is answered.")
    ]
    account_id: Annotated[Identifier, Meta(description="Whose.")]
    lines: Annotated[list[OrderLineQuestion], Meta(min_length=1, max_length=200)]
    ordered_at: (
        Annotated[str, Meta(max_length=64, description="ISO 8601 instant, not in the future; the present if left out.")]
        | None
    ) = None
    promotion_id: Annotated[Identifier, Meta(description="The promotion that it belongs to.")] | None = None


class LineAnswer(Struct, frozen=True):
    """A line, and how many of its units keep the member's price."""

    line_id: str
    sku_id: str
    units: int
    granted_units: int


class Released(Struct, frozen=True):
    """How many uses of limits a cancelled order gave back."""

    released_uses: int


class Contribution(Struct, frozen=True):
    """How much one column moved the score; the sign is the direction of risk."""

    name: str
    amount: float


class DecisionAnswer(Struct, frozen=True):
    """The full decision record, and the same in words."""

    decision_id: str
    checkpoint: Checkpoint
    application_id: str | None
    order_id: str | None
    account_id: str
    operator_id: str
    decided_at: str
    as_of: str
    disposition: Disposition
    merchant_probability: Share | None
    risk_score: Share | None
    reason_codes: tuple[str, ...]
    evidence: list[EvidenceDocument]
    counterfactual: CounterfactualDocument | None
    caps: CapsDocument | None
    policy_version: str
    model_version: str
    promotion_id: str | None
    degraded: bool
    explore: bool
    propensity: Share | None
    contributions: list[Contribution]
    explanation: tuple[str, ...]


class OrderDecisionAnswer(DecisionAnswer, frozen=True, kw_only=True):
    """The decision record of an order, and what it leaves of each line."""

    lines: list[LineAnswer]


class Outcome(Struct, frozen=True):
    """What came of a question, without the evidence."""

    decision_id: str
    checkpoint: Checkpoint
    disposition: Disposition
    reason_codes: tuple[str, ...]


class Alive(Struct, frozen=True):
    """The process answers."""

    status: str


class Ready(Struct, frozen=True):
    """The service can decide, with these versions."""

    status: str
    model_version: str
    policy_version: str


def answer(decision: Decision) -> DecisionAnswer:
    """Write a decision as the service answers it."""
    counterfactual, caps = decision.counterfactual, decision.caps
    return DecisionAnswer(
        decision_id=decision.decision_id,
        checkpoint=decision.checkpoint,
        application_id=decision.application_id,
        order_id=decision.order_id,
        account_id=decision.account_id,
        operator_id=decision.operator_id,
        decided_at=format_instant(decision.decided_at),
        as_of=format_instant(decision.as_of),
        disposition=decision.disposition,
        merchant_probability=decision.merchant_probability,
        risk_score=decision.risk_score,
        reason_codes=decision.reason_codes,
        evidence=evidence_documents(decision),
        counterfactual=None if counterfactual is None else counterfactual_document(counterfactual),
        caps=None if caps is None else caps_document(caps),
        policy_version=decision.policy_version,
        model_version=decision.model_version,
        promotion_id=decision.promotion_id,
        degraded=decision.degraded,
        explore=decision.explore,
        propensity=decision.propensity,
        contributions=[Contribution(name, amount) for name, amount in decision.contributions],
        explanation=explain(decision),
    )


def order_answer(answered: OrderAnswer) -> OrderDecisionAnswer:
    """Write an order's decision as the service answers it."""
    lines = [LineAnswer(line.line_id, line.sku_id, line.units, line.granted_units) for line in answered.lines]
    told = answer(answered.decision)
    sentences = (*told.explanation, *(_granted(line) for line in lines))
    values = {name: getattr(told, name) for name in told.__struct_fields__} | {"explanation": sentences}
    return OrderDecisionAnswer(**values, lines=lines)


def _granted(line: LineAnswer) -> str:
    return f"{line.granted_units} of {line.units} units of {line.sku_id} keep the member's price."
