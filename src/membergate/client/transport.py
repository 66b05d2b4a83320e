"""The way to the service over HTTP: one connection a thread, kept open between questions."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import local
from typing import Protocol
from urllib.parse import urlsplit
from weakref import WeakSet

from membergate.domain.urls import require_safe_url


@dataclass(frozen=True, slots=True)
class Answer:
    """A response.

    Parameters
    ----------
    status, headers, body
        As they came; the headers' names in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Sends one request; a shop that has its own way to HTTP gives its own."""

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send a request and give the response, whatever its status.

        Raises
        ------
        OSError
            If there was none.
        """

    def close(self) -> None:
        """Close what is open."""


class HttpTransport:
    """HTTP over the standard library. Threads may share it: each has a connection of its own.

    Parameters
    ----------
    url
        Where the service is: https, or http on loopback.
    timeout_s
        How long a connection or an answer may take.
    context
        How https is trusted; the system's way where None.

    Raises
    ------
    BadInputError
        If the URL is not safe.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0, context: ssl.SSLContext | None = None) -> None:
        require_safe_url(url)
        self._parts = urlsplit(url)
        self._timeout_s = timeout_s
        self._context = context
        self._own = local()
        self._open: WeakSet[HTTPConnection] = WeakSet()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send a request; on a kept connection that the service has closed meanwhile, once more on a new one.

        Raises
        ------
        OSError
            If there was no response.
        """
        kept: HTTPConnection | None = getattr(self._own, "connection", None)
        if kept is not None:
            try:
                return self._on(kept, method, path, headers, body)
            except (OSError, HTTPException):
                self._drop()  # an idle connection may have been closed; every question here may be asked twice
        self._own.connection = connection = self._connect()
        self._open.add(connection)
        try:
            return self._on(connection, method, path, headers, body)
        except HTTPException as error:
            self._drop()
            raise OSError(f"no answer: {type(error).__name__}") from error
        except OSError:
            self._drop()
            raise

    def close(self) -> None:
        """Close every thread's connection; whoever asks again gets a new one."""
        for connection in list(self._open):
            connection.close()

    def _drop(self) -> None:
        self._own.connection.close()
        self._own.connection = None

    def _connect(self) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return HTTPSConnection(host, port, timeout=self._timeout_s, context=self._context)
        return HTTPConnection(host, port, timeout=self._timeout_s)

    def _on(
        self, connection: HTTPConnection, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        connection.request(method, f"{self._parts.path.rstrip('/')}{path}", body, dict(headers))
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
