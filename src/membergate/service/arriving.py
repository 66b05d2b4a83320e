"""Connections on which a request must arrive in time: whoever sends half a head, or nothing, keeps no place."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""How long the head of a request may take to come, from the connection or its own first byte on."""


class ArrivingProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection on which no whole head comes in time.

    The server's own timer ends connections that are idle between two requests; it stops with the first byte, and does
    not run before the first request.
    """

    _arrival: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait no longer once it makes a head."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._end_waiting()
        elif self._arrival is None and self.conn.trailing_data[0]:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._end_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._arrival = self.loop.call_later(HEAD_S, self._give_up)

    def _end_waiting(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _give_up(self, *_: Any) -> None:
        self._arrival = None
        if not self.transport.is_closing():
            self.transport.close()
