"""The short way: a well-formed question by somebody who may ask is answered without the framework around it.

Where anything is to be refused before the door is asked (a host name, a key, a rate, a body), the request goes the
framework's way from the beginning, with what was read of it. So everything that is refused is refused in one place, the
OpenAPI document describes both ways, and what the framework costs is paid by those who need it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any

import msgspec
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Send, WebSocketReceiveMessage
from litestar.types import Scope as Connection

from membergate.domain.access import Principal, Scope
from membergate.domain.errors import MembergateError
from membergate.service.access import Gatekeeper
from membergate.service.documents import AdmissionQuestion, OrderQuestion, answer, order_answer
from membergate.service.door import Door
from membergate.service.guarding import JSON, SECURITY_HEADERS, Hosts, declared_type
from membergate.service.metrics import Metrics
from membergate.service.problems import MEDIA_TYPE, membergate_problem, unforeseen_problem
from membergate.service.routes import LARGEST_ORDER_BYTES, LONGEST_KEY
from membergate.service.settings import ServiceSettings

_ENCODE = msgspec.json.Encoder().encode
_ONCE = frozenset({b"host", b"authorization", b"content-type", b"idempotency-key"})
"""Headers that are looked at here; one that comes twice is the framework's to make sense of."""
_CHUNKED = b"transfer-encoding"
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Question:
    """A route that has a short way.

    Parameters
    ----------
    path
        Where it is.
    scope
        What it asks of its caller.
    decode
        Reads the question; raises where the framework should say what is wrong.
    largest_bytes
        How long its body may be.
    is_keyed
        Whether it may come under an idempotency key.
    ask
        Asks the door, with the key, and gives the answer's document.
    """

    path: str
    scope: Scope
    decode: Callable[[bytes], Any]
    largest_bytes: int
    is_keyed: bool
    ask: Callable[[Any, str | None], Awaitable[msgspec.Struct]]


def short_questions(door: Door, settings: ServiceSettings) -> tuple[Question, ...]:
    """Give the questions that have a short way to a door: may somebody join, and may an order use benefits."""

    async def admission(question: AdmissionQuestion, key: str | None) -> msgspec.Struct:
        return answer(await door.decided(question, key))

    async def order(question: OrderQuestion, _key: str | None) -> msgspec.Struct:
        return order_answer(await door.ordered(question))

    decode_admission = msgspec.json.Decoder(AdmissionQuestion).decode
    decode_order = msgspec.json.Decoder(OrderQuestion).decode
    largest = settings.max_body_bytes
    return (
        Question("/v1/decisions/admission", Scope.DECIDE, decode_admission, largest, is_keyed=True, ask=admission),
        Question("/v1/decisions/order", Scope.ORDER, decode_order, LARGEST_ORDER_BYTES, is_keyed=False, ask=order),
    )


class ShortWay:
    """An ASGI application that answers some questions itself, and leaves everything else to another.

    Parameters
    ----------
    questions
        What it answers.
    hosts, gatekeeper
        Who may be addressed, and who may ask.
    metrics
        Counts what is answered here; the other application counts its own.
    otherwise
        Answers everything else.
    """

    def __init__(
        self, questions: Iterable[Question], hosts: Hosts, gatekeeper: Gatekeeper, metrics: Metrics, otherwise: ASGIApp
    ) -> None:
        self._questions = {question.path: question for question in questions}
        self._hosts = hosts
        self._gatekeeper = gatekeeper
        self._metrics = metrics
        self._otherwise = otherwise

    def has(self, scope: Any) -> bool:
        """Tell whether a request may go this way."""
        return scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in self._questions

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer a request."""
        began, question = perf_counter(), self._questions[scope["path"]]
        headers = _looked_at(scope["headers"])
        principal = None if headers is None else self._let_in(headers, question)
        if headers is None or principal is None:
            await self._otherwise(scope, receive, send)
            return
        read: list[HTTPReceiveMessage | WebSocketReceiveMessage] = []
        asked, key = None, headers.get(b"idempotency-key")
        body = await _body(receive, read, question.largest_bytes)
        if body is not None and (key is None or not question.is_keyed or 1 <= len(key) <= LONGEST_KEY):
            try:
                asked = question.decode(body)
            except _UNREADABLE:
                asked = None
        if asked is None or self._gatekeeper.take(principal) > 0:
            await self._otherwise(scope, _again(read, receive), send)
            return
        status = HTTPStatus.SERVICE_UNAVAILABLE  # what the limits on time say, should they cut in
        try:
            given, media_type, told = await _told(question, asked, None if key is None else key.decode("latin-1"))
            start = [(b"content-type", media_type), (b"content-length", b"%d" % len(told)), *SECURITY_HEADERS]
            await send({"type": "http.response.start", "status": int(given), "headers": start})
            await send({"type": "http.response.body", "body": told, "more_body": False})
            status = given
        finally:
            self._metrics.answered("POST", question.path, int(status), perf_counter() - began)

    def _let_in(self, headers: dict[bytes, bytes], question: Question) -> Principal | None:
        """Tell who asks; None where somebody is to be refused, or looked up first."""
        if declared_type(headers.get(b"content-type", b"").decode("latin-1")) != JSON:
            return None
        if not self._hosts.allow(headers.get(b"host", b"").decode("latin-1")):
            return None
        authorization = headers.get(b"authorization")
        principal = self._gatekeeper.known(None if authorization is None else authorization.decode("latin-1"))
        return principal if principal is not None and question.scope in principal.scopes else None


async def _told(question: Question, asked: Any, key: str | None) -> tuple[HTTPStatus, bytes, bytes]:
    """Ask the door; gives the status, the media type and the answer or the problem."""
    try:
        return HTTPStatus.OK, b"application/json", _ENCODE(await question.ask(asked, key))
    except MembergateError as error:
        status, document = membergate_problem(error)
    except Exception as error:  # noqa: BLE001  # the log learns all of it, the client nothing
        status, document = unforeseen_problem(error, "POST", question.path)
    return status, MEDIA_TYPE.encode(), _ENCODE(document)


def _looked_at(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes] | None:
    """Pick out the headers that are looked at here; None where one comes twice, or the body in chunks."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _ONCE:
            if name in found:
                return None
            found[name] = value
        elif name == _CHUNKED:
            return None
    return found


async def _body(
    receive: Receive, read: list[HTTPReceiveMessage | WebSocketReceiveMessage], largest_bytes: int
) -> bytes | None:
    """Read a body, noting what came; None where it is too long, too slow, or its sender has gone."""
    parts, size, has_more = [], 0, True
    while has_more:
        try:
            message = await receive()
        except HTTPException:  # too slow: asked again, it will say so again
            return None
        read.append(message)
        if message["type"] != "http.request":
            return None
        parts.append(message["body"])
        size += len(message["body"])
        has_more = message.get("more_body", False)
        if size > largest_bytes:
            return None
    return b"".join(parts)


def _again(read: list[HTTPReceiveMessage | WebSocketReceiveMessage], receive: Receive) -> Receive:
    """Give what was read once more, and then what comes."""
    rest = iter(read)

    async def receive_again() -> HTTPReceiveMessage | WebSocketReceiveMessage:
        message = next(rest, None)
        return await receive() if message is None else message

    return receive_again
