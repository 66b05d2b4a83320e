"""Sending what waits in the outbox, signed, until it is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Event, Thread, Timer
from urllib.parse import urlsplit

import structlog

from membergate.domain.errors import MembergateError, WorkspaceError
from membergate.domain.instants import Clock
from membergate.operations.webhooks import SIGNATURE, signature
from membergate.service.kafka import KafkaOutlet
from membergate.store import Message, Outbox, Webhook

_log = structlog.get_logger("membergate.webhooks")
_TIMEOUT_S = 5
"""How long a receiver may say nothing."""
_ANSWER_S = 10
"""How long a receiver may take, however steadily it drips."""
_LOOKS_EVERY_S = 0.5


class Sender:
    """Delivers messages one after the other, in a thread of its own. Several processes may each have one.

    Parameters
    ----------
    outbox
        What waits.
    clock
        Gives the present.
    every_s
        How often to look, in seconds.
    outlet
        Takes what is for Kafka's topics; where None, that waits.
    """

    def __init__(
        self, outbox: Outbox, clock: Clock, *, every_s: float = _LOOKS_EVERY_S, outlet: KafkaOutlet | None = None
    ) -> None:
        self._outlet = outlet
        self._outbox = outbox
        self._clock = clock
        self._every_s = every_s
        self._ended = Event()
        self._thread = Thread(target=self._work, name="membergate-webhooks", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; waits for the message that is under way. What is not delivered waits for the next start."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def send_due(self) -> int:
        """Try every message that is due; gives how many were taken.

        Whoever cannot be reached is not tried again this time: the others must not wait for it. What it misses is due
        again in a minute.
        """
        messages = self._outbox.due(self._clock())
        hooks = {hook.webhook_id: hook for hook in self._outbox.webhooks()} if messages else {}
        taken, unreached = 0, set[str]()
        for message in messages:
            if self._ended.is_set():
                break
            if message.webhook_id in unreached:
                continue
            error, is_reached = self._try(hooks[message.webhook_id], message)
            if not is_reached:
                unreached.add(message.webhook_id)
            if error is None:
                self._outbox.delivered(message, at=self._clock())
                taken += 1
            else:
                self._outbox.failed(message, at=self._clock(), error=error)
                _log.warning("not_delivered", webhook=message.webhook_id, attempts=message.attempts + 1, error=error)
        return taken

    def _try(self, hook: Webhook, message: Message) -> tuple[str | None, bool]:
        """Post a message; gives what went wrong, None for nothing, and whether anybody answered.

        A redirect is not followed: it is no receipt.
        """
        parts, body = urlsplit(hook.url), message.body.encode()
        headers = {
            "Content-Type": "application/cloudevents+json",
            "User-Agent": "membergate",
            "Membergate-Delivery": message.delivery_id,
            SIGNATURE: signature(hook.secret, body, int(self._clock().timestamp())),
        }
        if parts.scheme == "kafka":
            error = self._try_kafka(parts.path, message.delivery_id, body, headers)
            return error, error is None
        target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        try:
            kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
            connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
            with _closed_in_time(connection):
                connection.request("POST", target, body, headers)
                status = connection.getresponse().status
        except (OSError, HTTPException, ValueError) as error:  # a URL from before URLs were checked may be none
            return f"{type(error).__name__}: {error}", False
        return (None if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES else f"status {status}"), True

    def _try_kafka(self, topic: str, key: str, body: bytes, headers: dict[str, str]) -> str | None:
        if self._outlet is None:
            return "no Kafka: membergate serve --kafka SERVERS"
        try:
            self._outlet.send(topic, key, body, headers)
        except WorkspaceError as error:
            return error.what
        return None

    def _work(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                while self.send_due() and not self._ended.is_set():
                    pass
            except MembergateError as error:
                _log.error("cannot_send", **error.as_record())
            except Exception as error:  # noqa: BLE001  # one message must never silence all the others for good
                _log.error("cannot_send", error=f"{type(error).__name__}: {error}")


@contextmanager
def _closed_in_time(connection: HTTPConnection) -> Iterator[None]:
    """Close a connection at the end, and cut it off before where its receiver takes too long."""

    def cut() -> None:
        with suppress(OSError, AttributeError):  # it has ended, or has not begun
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = Timer(_ANSWER_S, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()
