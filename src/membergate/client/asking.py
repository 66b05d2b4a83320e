"""Asking the service: every question carries what makes a repeat safe, so a lost answer is simply asked for again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from time import sleep
from typing import Any, Self, TypeVar
from urllib.parse import quote
from uuid import uuid4

import msgspec

from membergate.client.answers import Applied, EventResult, Events, Line, OrderResult, Outcome, Problem, Released
from membergate.client.errors import ConflictError, NotFoundError, RefusedByServiceError, ServiceError, UnavailableError
from membergate.client.transport import Answer, HttpTransport, Transport

_T = TypeVar("_T")
_AGAIN = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_KINDS: Mapping[int, type[ServiceError]] = {
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
}
_LONGEST_WAIT_S = 10.0


class Client:
    """A client of the service. Threads may share it. Close it, or use it as a context manager.

    Parameters
    ----------
    url
        Where the service is; read only where no transport is given.
    key
        The key that it asks with; empty on loopback without keys.
    attempts
        How often a question is asked before giving up.
    first_wait_s
        How long to wait before the second attempt; then twice as long each time, or as long as the service says.
    transport
        Another way to HTTP.
    wait
        Waits for some seconds.

    Raises
    ------
    BadInputError
        If the URL is not safe.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8420",
        key: str = "",
        *,
        attempts: int = 4,
        first_wait_s: float = 0.1,
        transport: Transport | None = None,
        wait: Callable[[float], object] = sleep,
    ) -> None:
        self._transport = transport or HttpTransport(url)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._attempts = max(1, attempts)
        self._first_wait_s = first_wait_s
        self._wait = wait

    def admission(
        self,
        account_id: str,
        application_id: str | None = None,
        *,
        as_of: str | None = None,
        idempotency_key: str | None = None,
    ) -> Applied:
        """Ask whether an account may join.

        Parameters
        ----------
        account_id, application_id
            Who asks, with which application; the latest where None.
        as_of
            ISO 8601 instant for an account that has not applied.
        idempotency_key
            Under one key a question is decided once. Made anew for each call where None, so that the attempts of one
            call are one question.

        Raises
        ------
        ServiceError
            If there is no decision; see its descendants.
        """
        body = {"account_id": account_id, "application_id": application_id, "as_of": as_of}
        key = {"Idempotency-Key": idempotency_key or uuid4().hex}
        return self._ask(Applied, "POST", "/v1/decisions/admission", body, key)

    def order(
        self,
        order_id: str,
        account_id: str,
        lines: Sequence[Line],
        *,
        ordered_at: str | None = None,
        promotion_id: str | None = None,
    ) -> OrderResult:
        """Ask whether an order may use a member's benefits, and how much of them.

        Parameters
        ----------
        order_id, account_id
            Which order, and whose; asking again gives the same answer.
        lines
            What it asks for.
        ordered_at
            ISO 8601 instant; the present where None.
        promotion_id
            The promotion that it belongs to.

        Raises
        ------
        ServiceError
            If there is no decision; see its descendants.
        """
        body: dict[str, object] = {"order_id": order_id, "account_id": account_id, "lines": list(lines)}
        body |= {"ordered_at": ordered_at, "promotion_id": promotion_id}
        return self._ask(OrderResult, "POST", "/v1/decisions/order", body)

    def release(self, order_id: str) -> int:
        """Give back what a cancelled order used of its limits; gives how many uses were given back.

        Raises
        ------
        NotFoundError
            If nobody asked about the order.
        """
        return self._ask(Released, "POST", f"/v1/orders/{_segment(order_id)}/release").released_uses

    def decision(self, decision_id: str) -> Applied:
        """Read a decision again.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        """
        return self._ask(Applied, "GET", f"/v1/decisions/{_segment(decision_id)}")

    def outcome(self, decision_id: str) -> Outcome:
        """Read what came of a question, as partners may.

        Raises
        ------
        NotFoundError
            If there is no decision with this id.
        """
        return self._ask(Outcome, "GET", f"/v1/decisions/{_segment(decision_id)}/outcome")

    def events(self, events: Sequence[Mapping[str, Any]]) -> tuple[EventResult, ...]:
        """Send CloudEvents, at most 1,000; gives what became of each, in order. Sending them again does no harm.

        Raises
        ------
        ServiceError
            If they were not taken; see its descendants.
        """
        kind = {"Content-Type": "application/cloudevents-batch+json"}
        return self._ask(Events, "POST", "/v1/events", list(events), kind).events

    def close(self) -> None:
        """Close the connections; whoever asks again gets a new one."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(
        self, kind: type[_T], method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> _T:
        content = None if body is None else msgspec.json.encode(body)
        declared = {"Content-Type": "application/json"} if content is not None else {}
        answer = self._insist(method, path, {**self._headers, **declared, **(headers or {})}, content)
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _error(answer)
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except msgspec.DecodeError as error:
            raise ServiceError(f"the answer cannot be read: {error}", status=answer.status) from error

    def _insist(self, method: str, path: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        failure: ServiceError | None = None
        for attempt in range(self._attempts):
            if attempt:
                self._wait(self._pause(attempt, failure))
            try:
                answer = self._transport.send(method, path, headers, content)
            except OSError as error:
                failure = UnavailableError(f"the service does not answer: {error}")
                continue
            if answer.status not in _AGAIN:
                return answer
            failure = _error(answer)
            failure.retry_after_s = _seconds(answer.headers.get("retry-after"))
        raise UnavailableError(
            f"given up after {self._attempts} attempts: {failure}",
            status=0 if failure is None else failure.status,
            code="" if failure is None else failure.code,
        ) from failure

    def _pause(self, attempt: int, failure: ServiceError | None) -> float:
        asked = 0.0 if failure is None else failure.retry_after_s
        return min(_LONGEST_WAIT_S, max(asked, self._first_wait_s * float(2 ** (attempt - 1))))


def _error(answer: Answer) -> ServiceError:
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
    except msgspec.DecodeError:
        problem = Problem(what=f"status {answer.status}")
    kind = _KINDS.get(answer.status, RefusedByServiceError)
    what = problem.what or problem.detail
    return kind(what, status=answer.status, code=problem.code, where=problem.where, allowed=problem.allowed)


def _segment(text: str) -> str:
    return quote(text, safe="")


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isascii() and text.isdigit() else 0.0
