"""Limits on time: a client that sends slowly, and an answer that does not come."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send, WebSocketReceiveMessage

from membergate.service.guarding import SECURITY_HEADERS
from membergate.service.problems import MEDIA_TYPE, problem_document
from membergate.service.settings import ServiceSettings


class TimeLimits:
    """Middleware that gives up on slow clients (408) and slow answers (503).

    What is being decided when the limit comes is decided nevertheless and goes on record: asked again, it is answered.

    Parameters
    ----------
    app
        What is inside.
    settings
        The limits.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        self._body_s = settings.body_time_limit.total_seconds()
        self._answer_s = settings.answer_time_limit.total_seconds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on within the limits."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._body_s
        is_whole, is_answered = False, False

        async def receive_in_time() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            nonlocal is_whole
            if is_whole:
                return await receive()  # waits for the client to go away
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    status_code=HTTPStatus.REQUEST_TIMEOUT, detail="the body did not come in time"
                ) from None
            is_whole = not (message["type"] == "http.request" and message["more_body"])
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        try:
            async with asyncio.timeout(self._answer_s):
                await self._app(scope, receive_in_time, send_and_note)
        except TimeoutError:
            if is_answered:
                raise
            await _give_up(send)


async def _give_up(send: Send) -> None:
    status = HTTPStatus.SERVICE_UNAVAILABLE
    body = problem_document(status, code="too_slow", what="the answer did not come in time", next="ask again")
    headers = [(b"content-type", MEDIA_TYPE.encode()), *SECURITY_HEADERS]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
