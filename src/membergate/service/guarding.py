"""What every request must satisfy before anything looks at it, and what every response carries."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection, Request
from litestar.exceptions import HTTPException, InternalServerException, SerializationException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import Guard, Message, Scope

SECURITY_HEADERS = (
    # nothing that we answer is a page: no browser may run, frame, sniff, cache or refer from it
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""What every response carries."""

JSON = "application/json"
MEDIA_TYPES = "media_types"
"""The handler's option that names the content types that its body may be declared as."""
Connection = ASGIConnection[Any, Any, Any, Any]


async def add_security_headers(message: Message, _scope: Scope) -> None:
    """Add the headers that every response carries, whatever it is."""
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], *SECURITY_HEADERS]


class Hosts:
    """The host names under which the service may be addressed.

    Parameters
    ----------
    allowed
        Host names without port; `*` allows all.
    """

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = frozenset(allowed)
        self._last = ("", False)

    def allow(self, host: str) -> bool:
        """Tell whether a Host header names one of them; most name the one that the last did."""
        last, is_allowed = self._last
        if host != last:
            is_allowed = "*" in self._allowed or _name_in(host) in self._allowed
            self._last = host, is_allowed
        return is_allowed


def only_hosts(hosts: Hosts) -> Guard:
    """Make a guard that refuses requests addressed to a host name that is not ours."""

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:  # else it would run in a thread
        if not hosts.allow(connection.headers.get("host", "")):
            raise HTTPException(
                status_code=HTTPStatus.MISDIRECTED_REQUEST,
                detail="this service is not addressed by that host name",
                extra={"where": "header Host", "next": "membergate serve --allowed-host NAME"},
            )

    return guard


async def only_one_length(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Refuse a body whose end is told twice, and end the connection: a proxy may go by the other (RFC 9112, 6.1)."""
    if "transfer-encoding" in connection.headers and "content-length" in connection.headers:
        raise HTTPException(
            status_code=HTTPStatus.BAD_REQUEST,
            detail="the end of the body is told twice",
            headers={"connection": "close"},
            extra={"where": "headers Content-Length and Transfer-Encoding", "allowed": "one of the two"},
        )


def in_turn(*guards: Guard) -> Guard:
    """Make one guard of several; the framework copies a handler for each guard that it asks."""

    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        for each in guards:
            asked = each(connection, handler)
            if asked is not None:
                await asked

    return guard


async def only_json(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuse bodies that are not declared as JSON, are none, or are nested deeper than anybody could read.

    A foreign web page may send any other content type to a service on loopback without asking first.
    """
    allowed = handler.opt.get(MEDIA_TYPES, (JSON,))
    if declared_type(connection.headers.get("content-type", "")) not in allowed:
        raise HTTPException(
            status_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            detail=f"the body must be declared as {' or '.join(allowed)}",
            extra={"where": "header Content-Type", "allowed": ", ".join(allowed)},
        )
    try:
        await Request[Any, Any, Any](connection.scope, connection.receive).json()  # read once, then kept in the scope
    except RequestEntityTooLarge as error:
        most = handler.resolve_request_max_body_size() if isinstance(handler, HTTPRouteHandler) else None
        raise HTTPException(
            status_code=error.status_code,
            detail="the body is too long",
            extra={"where": "body", "allowed": f"at most {most} bytes", "next": "send less at a time"},
        ) from None
    except InternalServerException:  # the framework's word for a client that has gone away
        raise HTTPException(
            status_code=HTTPStatus.BAD_REQUEST, detail="the client went away before the whole body had come"
        ) from None
    except SerializationException as error:
        raise HTTPException(status_code=HTTPStatus.BAD_REQUEST, detail=f"the body is no JSON: {error}") from None
    except UnicodeDecodeError:
        raise HTTPException(status_code=HTTPStatus.BAD_REQUEST, detail="the body is not UTF-8") from None
    except RecursionError:
        raise HTTPException(status_code=HTTPStatus.BAD_REQUEST, detail="the body is nested too deeply") from None


def declared_type(content_type: str) -> str:
    """Give the media type of a Content-Type header, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def _name_in(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
