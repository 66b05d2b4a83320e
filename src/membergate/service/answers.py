"""Refusals that a route may answer with, for the OpenAPI document."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from litestar.openapi.datastructures import ResponseSpec

from membergate.domain.access import Scope
from membergate.service.access import SCOPE
from membergate.service.problems import MEDIA_TYPE, Problem

WITH_BODY = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
"""What a route with a body may refuse it for."""
_ALWAYS = (HTTPStatus.BAD_REQUEST, HTTPStatus.MISDIRECTED_REQUEST)
_GUARDED = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def open_to_all(*statuses: HTTPStatus) -> dict[int, ResponseSpec]:
    """Describe the refusals of a route that asks for no key."""
    return {
        int(status): ResponseSpec(Problem, generate_examples=False, description=status.phrase, media_type=MEDIA_TYPE)
        for status in (*_ALWAYS, *statuses)
    }


def refusals(*statuses: HTTPStatus) -> dict[int, ResponseSpec]:
    """Describe the refusals of a route that asks for a key."""
    return open_to_all(*_GUARDED, *statuses)


def asks_for(scope: Scope) -> dict[str, Any]:
    """Say what a route asks of its caller, as the handler's option."""
    return {SCOPE: scope}
