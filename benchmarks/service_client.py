"""The client of the service's benchmarks: bare kept connections that ask flat out, or at fixed instants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np

_IDLE_S = 2.0
"""The server closes connections that are idle for five seconds; a client that knows does not use those again."""


class Connection:
    """One kept connection, as bare as can be."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._used_at: float | None = None

    async def ready(self) -> None:
        """Connect, or connect again where the server may have closed meanwhile."""
        if self._used_at is None or perf_counter() - self._used_at > _IDLE_S:
            await self.open()

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(self, path: str, body: bytes, method: str = "POST", more: str = "") -> tuple[int, bytes]:
        """Send a request, and read the whole answer."""
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{more}"
        self._writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        lines = answer.decode("latin-1").split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length"))
        told = await self._reader.readexactly(length)
        self._used_at = perf_counter()
        return int(lines[0].split()[1]), told


def _require(status: int, body: bytes) -> None:
    if status != 200:
        raise RuntimeError(f"status {status}: {body[:500]!r}")


async def flat_out(port: int, load: Iterator[tuple[str, bytes, str, str]], clients: int, seconds: float) -> float:
    """Ask without pause; gives answers a second."""
    answered, end = 0, perf_counter() + seconds

    async def client() -> None:
        nonlocal answered
        connection = Connection(port)
        await connection.open()
        while perf_counter() < end:
            status, body = await connection.ask(*next(load))
            _require(status, body)
            answered += 1

    began = perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return answered / (perf_counter() - began)


async def at_rate(
    port: int, load: Iterator[tuple[str, bytes, str, str]], rate: float, seconds: float
) -> np.ndarray[Any, Any]:
    """Ask at fixed instants; gives each latency from its instant, in milliseconds."""
    free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
    latencies: list[float] = []

    async def one(due: float) -> None:
        connection = Connection(port) if free.empty() else free.get_nowait()
        await connection.ready()
        status, body = await connection.ask(*next(load))
        _require(status, body)
        latencies.append((perf_counter() - due) * 1e3)
        free.put_nowait(connection)

    began, asked = perf_counter(), []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - perf_counter()))
        asked.append(asyncio.create_task(one(due)))
    await asyncio.gather(*asked)
    return np.array(latencies)


async def usage_of(port: int) -> dict[str, float]:
    """Ask the server what it used."""
    connection = Connection(port)
    await connection.open()
    _, body = await connection.ask("/usage", b"", "GET")
    found: dict[str, float] = json.loads(body)
    return found
