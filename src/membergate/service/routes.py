"""The routes: parse a request, ask the door, write down what it says."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody

from membergate.domain.access import Scope
from membergate.domain.errors import MembergateError
from membergate.service.answers import WITH_BODY, asks_for, open_to_all, refusals
from membergate.service.documents import (
    AdmissionQuestion,
    Alive,
    DecisionAnswer,
    OrderDecisionAnswer,
    OrderQuestion,
    Outcome,
    Ready,
    Released,
    answer,
    order_answer,
)
from membergate.service.door import Door
from membergate.service.guarding import only_json
from membergate.service.problems import NotReadyError
from membergate.store.codec import LONGEST_ID

LARGEST_ORDER_BYTES = 131_072
LONGEST_KEY = LONGEST_ID
"""Characters that an idempotency key may have."""
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        min_length=1,
        max_length=LONGEST_KEY,
        description="Under one key a question is decided once; another question under it is refused.",
    ),
]


@post(
    "/v1/decisions/admission",
    **asks_for(Scope.DECIDE),
    guards=[only_json],
    status_code=HTTPStatus.OK,
    tags=["decisions"],
    summary="May this account join?",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *WITH_BODY),
)
async def decide_admission(
    data: JSONBody[AdmissionQuestion], door: NamedDependency[Door], idempotency_key: IdempotencyKey = None
) -> DecisionAnswer:
    """Decide an application. The decision is on record when the answer leaves; asking again gives the same answer."""
    return answer(await door.decided(data, idempotency_key))


@post(
    "/v1/decisions/order",
    **asks_for(Scope.ORDER),
    guards=[only_json],
    request_max_body_size=LARGEST_ORDER_BYTES,
    status_code=HTTPStatus.OK,
    tags=["decisions"],
    summary="May this order use a member's benefits, and how much of them?",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *WITH_BODY),
)
async def decide_order(data: JSONBody[OrderQuestion], door: NamedDependency[Door]) -> OrderDecisionAnswer:
    """Decide an order. Its id is its idempotency key: a repeat gives the same answer, other content is refused."""
    return order_answer(await door.ordered(data))


@post(
    "/v1/orders/{order_id:str}/release",
    **asks_for(Scope.ORDER),
    status_code=HTTPStatus.OK,
    sync_to_thread=True,
    tags=["decisions"],
    summary="A cancelled order gives back what it used of its limits",
    responses=refusals(HTTPStatus.NOT_FOUND),
)
def release_order(order_id: FromPath[str], door: NamedDependency[Door]) -> Released:
    """Give back what an order used. Repeating it does no harm; an order that was given back stays without benefits."""
    return Released(door.release(order_id))


@get(
    "/v1/decisions/{decision_id:str}",
    **asks_for(Scope.READ),
    sync_to_thread=True,
    tags=["decisions"],
    summary="A decision, again",
    responses=refusals(HTTPStatus.NOT_FOUND),
)
def read_decision(decision_id: FromPath[str], door: NamedDependency[Door]) -> DecisionAnswer:
    """Read a decision that is on record, with its evidence and its explanation."""
    return answer(door.decision(decision_id))


@get(
    "/v1/decisions/{decision_id:str}/outcome",
    **asks_for(Scope.OUTCOME),
    sync_to_thread=True,
    tags=["decisions"],
    summary="What came of it, without the evidence",
    responses=refusals(HTTPStatus.NOT_FOUND),
)
def read_outcome(decision_id: FromPath[str], door: NamedDependency[Door]) -> Outcome:
    """Read a decision as partners and store owners may see it: the disposition and its reason codes."""
    decision = door.decision(decision_id)
    return Outcome(decision.decision_id, decision.checkpoint, decision.disposition, decision.reason_codes)


@get("/health", sync_to_thread=False, tags=["operation"], summary="Is the process alive?", responses=open_to_all())
def health() -> Alive:
    """Tell that the process answers; it asks nothing else."""
    return Alive("alive")


@get(
    "/ready",
    sync_to_thread=True,
    tags=["operation"],
    summary="Can it decide?",
    responses=open_to_all(HTTPStatus.SERVICE_UNAVAILABLE),
)
def ready(door: NamedDependency[Door]) -> Ready:
    """Tell with which model and policy the service decides.

    Raises
    ------
    NotReadyError
        If it cannot, with the reason.
    """
    try:
        model_version, policy_version = door.readiness()
    except MembergateError as error:
        raise NotReadyError(error.what, where=error.where, allowed=error.allowed, next_step=error.next_step) from error
    return Ready("ready", model_version, policy_version)


DECISION_ROUTES = [decide_admission, decide_order, release_order, read_decision, read_outcome, health, ready]
"""The routes about decisions, and about the service itself."""
