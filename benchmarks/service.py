"""What a decision over HTTP costs, beside a bare Litestar route that echoes JSON of the same size on the same server.

One process serves on loopback; another asks, with requests that begin at fixed instants whether or not the last was
answered (an open load), so that a slow answer is not hidden by the client waiting for it. Printed are answers a second
when as many clients as there are connections ask without pause, percentiles of the latency at half that load, CPU
seconds of the server for 1,000 answers, and its peak memory. Three routes answer: the echo; an order with caps by a
member whose testimony is kept; and an admission decision, computed anew from the warehouse each time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

import numpy as np
from litestar import Litestar, get, post
from litestar.params import JSONBody

from membergate.domain.disposition import Disposition
from membergate.domain.instants import format_instant, utc
from membergate.operations.history import History
from membergate.operations.ingest import ingest
from membergate.operations.learn import learn
from membergate.operations.policies import read_policy, store_policy
from membergate.operations.simulate import simulate
from membergate.operations.workspace import Live, Workspace
from membergate.service import create_app, desks_of
from membergate.service.serving import make_server
from membergate.store import open_store


@dataclass(frozen=True)
class Load:
    """What is asked: the route, and the bodies in turn."""

    name: str
    path: str
    bodies: list[bytes]
    fresh: bool = False


@post("/echo", status_code=200)
async def echo(data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
    """Answer with what came."""
    return data


@get("/usage", sync_to_thread=False)
def usage() -> dict[str, float]:
    """Tell the process's CPU seconds and peak memory."""
    return {"cpu_s": process_time(), "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def serve_here(root: str, port: int, *, is_echo: bool) -> None:
    """Serve in a process of its own."""
    if is_echo:
        app = Litestar([echo, usage], openapi_config=None, logging_config=None)
    else:
        place = Workspace(Path(root))
        history = History(place.warehouse())
        now = history.last_instant + timedelta(days=1)
        record = open_store(place.record)
        app = create_app(desks_of(place, history, record, lambda: now), record, lambda: now)
        app.register(usage)
    make_server(app, port=port).run()


class Connection:
    """One kept connection, as bare as can be."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(self, path: str, body: bytes, method: str = "POST") -> tuple[int, bytes]:
        """Send a request, and read the whole answer."""
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        self._writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        lines = answer.decode("latin-1").split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length"))
        return int(lines[0].split()[1]), await self._reader.readexactly(length)


def _require(status: int, body: bytes) -> None:
    if status != 200:
        raise RuntimeError(f"status {status}: {body[:500]!r}")


async def flat_out(port: int, load: Iterator[tuple[str, bytes]], clients: int, seconds: float) -> float:
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


async def at_rate(port: int, load: Iterator[tuple[str, bytes]], rate: float, seconds: float) -> np.ndarray[Any, Any]:
    """Ask at fixed instants; gives each latency from its instant, in milliseconds."""
    free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
    latencies: list[float] = []

    async def one(due: float) -> None:
        connection = Connection(port) if free.empty() else free.get_nowait()
        if not hasattr(connection, "_reader"):
            await connection.open()
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


def requests(load: Load) -> Iterator[tuple[str, bytes]]:
    """Give requests without end; each with an order of its own where a repeat would be cheaper."""
    for number in count():
        body = load.bodies[number % len(load.bodies)]
        yield load.path, body.replace(b"ORDER", f"o-{number}".encode()) if load.fresh else body


def measure(root: Path, load: Load, clients: int, seconds: float) -> tuple[float, np.ndarray[Any, Any], float, float]:
    """Start a server, warm it, and measure."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=serve_here, args=(str(root), port), kwargs={"is_echo": load.path == "/echo"})
    server.start()
    for _ in range(1200):
        try:
            asyncio.run(usage_of(port))
            break
        except OSError:
            sleep(0.1)
    asked = requests(load)
    asyncio.run(flat_out(port, asked, clients, min(2.0, seconds)))
    before = asyncio.run(usage_of(port))["cpu_s"]
    began = perf_counter()
    rate = asyncio.run(flat_out(port, asked, clients, seconds))
    answered = rate * (perf_counter() - began)
    after = asyncio.run(usage_of(port))
    latencies = asyncio.run(at_rate(port, asked, max(1.0, rate / 2), seconds))
    server.terminate()
    server.join()
    return rate, latencies, (after["cpu_s"] - before) / answered * 1e3, after["peak_mb"]


def prepare(folder: Path) -> tuple[Workspace, list[Load]]:
    """Make a workspace with a model of a small market, and the questions."""
    simulate(folder / "market", preset="tiny", seed=5)
    now = utc(2026, 6, 1)
    ingest(folder / "workspace", folder / "market" / "market", clock=lambda: now)
    place = Workspace(folder / "workspace")
    history = History(place.warehouse())
    version = learn(place, history=history, as_of=history.last_instant).model_version
    place.set_live(Live(version, store_policy(place, read_policy(None)), format_instant(now)))
    applications = history.applications()
    names = zip(applications.account_ids[-200:], applications.application_ids[-200:], strict=True)
    admissions = [json.dumps({"account_id": str(a), "application_id": str(i)}).encode() for a, i in names]
    with open_store(place.record) as record:
        desk = desks_of(place, history, record, lambda: now).admission.desk  # type: ignore[attr-defined]  # the desks' protocol does not name it
        decisions = desk.decide_window(history.last_instant - timedelta(days=60))
        record.record(decisions)
    members = [d.account_id for d in decisions if d.disposition in {Disposition.ADMIT, Disposition.TRIAL}][:50]
    line = {"line_id": "1", "sku_id": "s", "units": 1, "benefit_minor": 10}
    orders = [json.dumps({"order_id": "ORDER", "account_id": name, "lines": [line]}).encode() for name in members]
    return place, [
        Load("bare echo", "/echo", orders),
        Load("order with caps", "/v1/decisions/order", orders, fresh=True),
        Load("admission", "/v1/decisions/admission", admissions),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place, loads = prepare(Path(folder))
        print("| route | answers/s | of the echo | p50 ms | p99 ms at half load | CPU s per 1,000 | peak MB |")
        print("|-|-|-|-|-|-|-|")
        echoed = 0.0
        for load in loads:
            rate, latencies, cpu_s, peak_mb = measure(place.root, load, given.clients, given.seconds)
            echoed = echoed or rate
            p50, p99 = np.percentile(latencies, [50, 99])
            print(
                f"| {load.name} | {rate:,.0f} | {rate / echoed:.1%} | {p50:.1f} | {p99:.1f} | {cpu_s:.2f} "
                f"| {peak_mb:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
