"""The routes: parse a request, ask the door in a thread of its own, write down what it says."""

from __future__ import annotations

from http import HTTPStatus

from litestar import get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from membergate.domain.errors import MembergateError
from membergate.service.documents import AdmissionQuestion, Alive, DecisionAnswer, Ready, answer
from membergate.service.door import Door
from membergate.service.guarding import only_json
from membergate.service.problems import MEDIA_TYPE, NotReadyError, Problem


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
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def decide_admission(data: JSONBody[AdmissionQuestion], door: NamedDependency[Door]) -> DecisionAnswer:
    """Decide an application. The decision is on record when the answer leaves; asking again gives the same answer."""
    return answer(door.decide(data))


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


ROUTES = [decide_admission, read_decision, health, ready]
"""Every route of the service."""
