"""A promotion, rehearsed: applicants at thirty times the usual rate for five minutes, against the real service.

Applicants come at random instants (a Poisson stream) whether or not others were answered: a minute at the usual rate,
the burst, and a minute after. Printed are, for each minute, answers, errors, percentiles of the latency from when
each came, and the server's resident memory; then whether every answer is on record, and the chain whole.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
from benchmarks.service import Load, prepare, requests, serve_here
from benchmarks.service_client import Connection, usage_of

from membergate.domain.disposition import Checkpoint
from membergate.store import open_store


@dataclass
class Minute:
    """What one minute gave: latencies in ms, and errors."""

    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def burst(port: int, load: Load, rate: float, seconds: float, seed: int, into: list[str]) -> Minute:
    """Ask at random instants; notes the ids of the decisions."""
    generator, minute, asked = np.random.default_rng(seed), Minute(), []
    free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
    questions = requests(load)

    async def one(due: float) -> None:
        connection = Connection(port) if free.empty() else free.get_nowait()
        try:
            await connection.ready()
            status, body = await connection.ask(*next(questions))
        except (OSError, asyncio.IncompleteReadError) as error:
            minute.errors.append(f"{type(error).__name__}: {error}")
            return
        minute.latencies.append((perf_counter() - due) * 1e3)
        if status == 200:
            into.append(json.loads(body)["decision_id"])
        else:
            minute.errors.append(f"{status}: {body[:200]!r}")
        free.put_nowait(connection)

    due = began = perf_counter()
    while (due := due + generator.exponential(1 / rate)) < began + seconds:
        await asyncio.sleep(max(0.0, due - perf_counter()))
        asked.append(asyncio.create_task(one(due)))
    await asyncio.gather(*asked)
    return minute


def resident_mb(pid: int) -> float:
    """Read a process's resident memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


def wait_for(port: int) -> None:
    """Wait until the server answers."""
    while True:
        try:
            asyncio.run(usage_of(port))
        except OSError:
            sleep(0.2)
        else:
            return


def main() -> None:
    """Rehearse and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--usual", type=float, default=4.0, help="Applicants a second on a usual day.")
    parser.add_argument("--times", type=float, default=30.0)
    parser.add_argument("--minutes", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place, loads = prepare(Path(folder), "tiny")
        load = next(one for one in loads if one.name == "admission")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        context = multiprocessing.get_context("spawn")
        server = context.Process(target=serve_here, args=(str(place.root), port, "service"))
        server.start()
        wait_for(port)
        told: list[str] = []
        print(
            "| minute | a second | answers | errors | p50 ms | p99 ms | longest ms | resident MB |\n|-|-|-|-|-|-|-|-|"
        )
        rates = [given.usual, *[given.usual * given.times] * given.minutes, given.usual]
        for number, rate in enumerate(rates):
            minute = asyncio.run(burst(port, load, rate, 60, number, told))
            p50, p99, most = np.percentile(minute.latencies, [50, 99, 100])
            print(
                f"| {number + 1} | {rate:g} | {len(minute.latencies):,} | {len(minute.errors)} | {p50:.1f} | {p99:.1f} "
                f"| {most:.1f} | {resident_mb(server.pid or 0):,.0f} |",
                flush=True,
            )
            for error in sorted(set(minute.errors))[:3]:
                print(f"error: {error}", flush=True)
        server.terminate()
        server.join()
        with open_store(place.record) as record:
            there = {row["decision_id"] for rows in record.scan(Checkpoint.ADMISSION) for row in rows}
            fault = record.audit.verify().fault
        print(f"\n{len(told):,} answers, {len(set(told) - there)} of them not on record; chain: {fault or 'whole'}")


if __name__ == "__main__":
    main()
