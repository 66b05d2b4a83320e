"""The routes: parse a request, ask the door in a thread of its own, write down what it says."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody

from membergate.domain.errors import MembergateError
from membergate.service.documents import (
    AdmissionQuestion,
    Alive,
    DecisionAnswer,
    OrderDecisionAnswer,
    OrderQuestion,
    Ready,
    Released,
    answer,
    order_answer,
)
from membergate.service.door import Door
from membergate.service.guarding import only_json
from membergate.service.problems import MEDIA_TYPE, NotReadyError, Problem
from membergate.store.codec import LONGEST_ID

LARGEST_ORDER_BYTES = 131_072
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        min_length=1,
        max_length=LONGEST_ID,
        description="Under one key a question is decided once; another question under it is refused.",
    ),
]


def _refusals(*statuses: HTTPStatus) -> dict[int, ResponseSpec]:
    return {
        int(status): ResponseSpec(Problem, generate_examples=False, description=status.phrase, media_type=MEDIA_TYPE)
        for status in (HTTPStatus.BAD_REQUEST, HTTPStatus.MISDIRECTED_REQUEST, *statuses)
    }


@post(
    "/v1/decisions/admission",
    guards=[only_json],
    status_code=HTTPStatus.OK,
    sync_to_thread=True,
    tags=["decisions"],
    summary="May this account join?",
    responses=_refusals(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def decide_admission(
    data: JSONBody[AdmissionQuestion], door: NamedDependency[Door], idempotency_key: IdempotencyKey = None
) -> DecisionAnswer:
    """Decide an application. The decision is on record when the answer leaves; asking again gives the same answer."""
    return answer(door.decide(data, idempotency_key))


@post(
    "/v1/decisions/order",
    guards=[only_json],
    request_max_body_size=LARGEST_ORDER_BYTES,
    status_code=HTTPStatus.OK,
    sync_to_thread=True,
    tags=["decisions"],
    summary="May this order use a member's benefits, and how much of them?",
    responses=_refusals(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def decide_order(data: JSONBody[OrderQuestion], door: NamedDependency[Door]) -> OrderDecisionAnswer:
    """Decide an order. Its id is its idempotency key: a repeat gives the same answer, other content is refused."""
    return order_answer(door.order(data))


@post(
    "/v1/orders/{order_id:str}/release",
    status_code=HTTPStatus.OK,
    sync_to_thread=True,
    tags=["decisions"],
    summary="A cancelled order gives back what it used of its limits",
    responses=_refusals(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
def release_order(order_id: FromPath[str], door: NamedDependency[Door]) -> Released:
    """Give back what an order used. Repeating it does no harm; an order that was given back stays without benefits."""
    return Released(door.release(order_id))


@get(
    "/v1/decisions/{decision_id:str}",
    sync_to_thread=True,
    tags=["decisions"],
    summary="A decision, again",
    responses=_refusals(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
def read_decision(decision_id: FromPath[str], door: NamedDependency[Door]) -> DecisionAnswer:
    """Read a decision that is on record, with its evidence and its explanation."""
    return answer(door.decision(decision_id))


@get("/health", sync_to_thread=False, tags=["operation"], summary="Is the process alive?", responses=_refusals())
def health() -> Alive:
    """Tell that the process answers; it asks nothing else."""
    return Alive("alive")


@get(
    "/ready",
    sync_to_thread=True,
    tags=["operation"],
    summary="Can it decide?",
    responses=_refusals(HTTPStatus.SERVICE_UNAVAILABLE),
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


ROUTES = [decide_admission, decide_order, release_order, read_decision, health, ready]
"""Every route of the service."""
