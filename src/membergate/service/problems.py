"""Every refusal as a problem document (RFC 9457): what, where, what is allowed, the next step; never a traceback."""

from __future__ import annotations

from http import HTTPStatus
from traceback import format_exception
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.enums import ParamType
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct

from membergate.domain.errors import (
    BadInputError,
    MembergateError,
    ModelError,
    NotEnoughDataError,
    PolicyError,
    RefusedError,
    UnknownSubjectError,
    WorkspaceError,
)
from membergate.store import KeyReusedError, RecordConflictError

MEDIA_TYPE = "application/problem+json"


class NotReadyError(MembergateError):
    """The service cannot decide now; the same question may be asked again later."""

    code = "not_ready"


class NotHereError(MembergateError):
    """The service was started without what was asked for."""

    code = "not_here"


_STATUSES: dict[type[MembergateError], HTTPStatus] = {
    BadInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownSubjectError: HTTPStatus.NOT_FOUND,
    RecordConflictError: HTTPStatus.CONFLICT,
    KeyReusedError: HTTPStatus.CONFLICT,
    NotHereError: HTTPStatus.NOT_FOUND,
    RefusedError: HTTPStatus.CONFLICT,
    NotReadyError: HTTPStatus.SERVICE_UNAVAILABLE,
    NotEnoughDataError: HTTPStatus.SERVICE_UNAVAILABLE,
    WorkspaceError: HTTPStatus.SERVICE_UNAVAILABLE,
    ModelError: HTTPStatus.SERVICE_UNAVAILABLE,
    PolicyError: HTTPStatus.SERVICE_UNAVAILABLE,
}
_BODY, _FRAMEWORK_BODY = "body", "data"
_log = structlog.get_logger("membergate.service")


class Problem(Struct, frozen=True, omit_defaults=True):
    """A problem document with the fields of a membergate error.

    `type`, `title`, `status` and `detail` are RFC 9457's; `code`, `what`, `where`, `allowed` and `next` are those that
    the command line prints, left out where they are empty.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    what: str
    where: str = ""
    allowed: str = ""
    next: str = ""


def answer_membergate_error(_request: Request[Any, Any, Any], error: MembergateError) -> Response[Problem]:
    """Answer an error that was raised on purpose."""
    return _response(*membergate_problem(error))


def membergate_problem(error: MembergateError) -> tuple[HTTPStatus, Problem]:
    """Give the status and the problem document of an error that was raised on purpose; the log learns of our own."""
    status = next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), HTTPStatus.BAD_REQUEST)
    record = error.as_record()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("cannot_answer", **record)
    return status, _document(status, record.pop("code"), record.pop("what"), record)


def answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """Answer what the framework refuses: no such route, no such method, a body that is no JSON or too long."""
    if isinstance(error, ValidationException):
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, code=BadInputError.code, **_pointed(request, error))
    status = HTTPStatus(error.status_code)
    code = status.name.lower()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error(code, traceback=_traceback(error))
        return problem(status, code=code, what=status.phrase)
    details = error.extra if isinstance(error.extra, dict) else {}
    return problem(status, dict(error.headers or {}), code=code, what=error.detail or status.phrase, **details)


def answer_unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Answer an error that nobody foresaw."""
    return _response(*unforeseen_problem(error, request.method, request.url.path))


def unforeseen_problem(error: Exception, method: str, path: str) -> tuple[HTTPStatus, Problem]:
    """Give the problem document of an error that nobody foresaw: the log learns all of it, the client nothing."""
    _log.error("unforeseen", method=method, path=path, traceback=_traceback(error))
    status, what = HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed, and no decision was given"
    return status, _document(status, "unforeseen", what, {"next": "see the service's log"})


def problem(
    status: HTTPStatus, headers: dict[str, str] | None = None, /, *, code: str, what: str, **details: str
) -> Response[Problem]:
    """Build a response with a problem document."""
    return _response(status, _document(status, code, what, details), headers)


def problem_document(status: HTTPStatus, *, code: str, what: str, **details: str) -> bytes:
    """Write a problem document for those who answer without the framework."""
    return msgspec.json.encode(_document(status, code, what, details))


def _response(status: HTTPStatus, document: Problem, headers: dict[str, str] | None = None) -> Response[Problem]:
    return Response(document, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _document(status: HTTPStatus, code: str, what: str, details: dict[str, str]) -> Problem:
    return Problem(f"urn:membergate:problem:{code}", status.phrase, status, what, code, what, **details)


def _traceback(error: Exception) -> str:
    """Write a traceback without local variables: they may hold what no log should."""
    return "".join(format_exception(error))


def _pointed(request: Request[Any, Any, Any], error: ValidationException) -> dict[str, str]:
    """Name the fields that were refused, and what each should have been."""
    complaints = [part for part in error.extra or [] if isinstance(part, dict)] if isinstance(error.extra, list) else []
    where = [_place(request, part) for part in complaints]
    what = [str(part["message"]) for part in complaints if part.get("message") != f"'{_FRAMEWORK_BODY}'"]
    return {"what": "; ".join(what) or "the body is empty", "where": ", ".join(where) or _BODY}


def _place(request: Request[Any, Any, Any], complaint: dict[str, Any]) -> str:
    """Name where a refused value stands: in the body, or as which header or parameter."""
    key, source = complaint.get("key"), complaint.get("source", _BODY)
    if source == ParamType.HEADER:
        return f"header {str(key).replace('_', '-').title()}"
    if source in {ParamType.QUERY, ParamType.PATH}:
        is_known = key in request.query_params or key in request.path_params
        return f"{ParamType(source).value} parameter {key}" if is_known else f"{ParamType(source).value} parameters"
    return _BODY if key in {None, _FRAMEWORK_BODY} else f"{_BODY}.{key}"
