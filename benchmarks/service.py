"""What a decision over HTTP costs, beside bare echoes of JSON on the same server.

One process serves on loopback; another asks, with requests that begin at fixed instants whether or not the last was
answered (an open load), so that a slow answer is not hidden by the client waiting for it. Printed are answers a second
when as many clients as there are connections ask without pause, their share of the first echo's, percentiles of the
latency at half that load, CPU milliseconds of the server for an answer, and its peak memory.

Echoes: a raw ASGI application and a Litestar route that answer what they got, of the size of a question, and a Litestar
route that echoes a body of the size of a decision. Then admissions of accounts that come without an application, so
that every answer is a new decision on record; the same where one decision is answered again and again, so that only
HTTP is left; the same under an idempotency key; orders with caps by members; and
admissions of which nothing is kept, computed anew from the warehouse. The policy has thirty rules at admission, lists
and velocity counters are filled. Last comes the decision by itself, in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib import resources
from itertools import count, islice
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

import numpy as np
import yaml
from benchmarks.service_client import at_rate, flat_out, usage_of
from litestar import Litestar, get, post
from litestar.params import JSONBody

from membergate.deciding.policy import decide
from membergate.deciding.velocity import Activity, Happening, Meter, Scope
from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.instants import Clock, format_instant, utc
from membergate.domain.labels import LabelGrade
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType
from membergate.operations.admission import AdmissionDesk, AdmissionRequest
from membergate.operations.admit import live_desk
from membergate.operations.failing_open import FailOpenDesk
from membergate.operations.history import History
from membergate.operations.ingest import ingest
from membergate.operations.learn import learn
from membergate.operations.policies import read_policy, store_policy
from membergate.operations.simulate import simulate
from membergate.operations.workspace import Live, Workspace
from membergate.service import create_app, desks_of
from membergate.service.documents import AdmissionQuestion
from membergate.service.door import Desks, Door
from membergate.service.serving import make_server
from membergate.store import OperationalRecord, open_store


@dataclass(frozen=True)
class Load:
    """What is asked: the route, the bodies in turn, and of whom.

    In a body, ORDER becomes a new order, and INSTANT an instant that nobody asked about; `is_keyed` adds a new key.
    """

    name: str
    path: str
    bodies: list[bytes]
    kind: str = "service"
    is_keyed: bool = False


@post("/echo", status_code=200)
async def echo(data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
    """Answer with what came."""
    return data


def used() -> dict[str, float]:
    """Give the process's CPU seconds and peak memory."""
    return {"cpu_s": process_time(), "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


@get("/usage", sync_to_thread=False)
def usage() -> dict[str, float]:
    """Tell what the process used."""
    return used()


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """Answer what came, as bare as ASGI lets one."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"] == "/usage":
        body = json.dumps(used()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def moving_clock(start: datetime) -> Clock:
    """Give a clock that begins at an instant and goes on from there."""
    began = perf_counter()
    return lambda: start + timedelta(seconds=perf_counter() - began)


def warmed(place: Workspace, history: History, record: OperationalRecord, clock: Clock) -> tuple[Desks, AdmissionDesk]:
    """Set up the desks with everything looked up that is likely to come; and the admission desk by itself."""
    desks = desks_of(place, history, record, clock)
    if desks.warm is None or not isinstance(desks.admission, FailOpenDesk):
        raise TypeError("these are not the desks of a workspace")
    desks.warm(lambda: False)
    record.let_in.follow()
    return desks, desks.admission.desk


def repeat_first(door: Door) -> None:
    """Let a door decide and record once, and answer with that ever after: what is left of an answer is HTTP."""
    decided, first = door.decided, asyncio.Lock()
    known: list[Decision] = []

    async def again(question: AdmissionQuestion, key: str | None = None) -> Decision:
        async with first:
            if not known:
                known.append(await decided(question, key))
        return known[0]

    door.decided = again  # type: ignore[method-assign]  # all but deciding is to be measured, in the door as it is


def serve_here(root: str, port: int, kind: str) -> None:
    """Serve in a process of its own, with everything looked up that is likely to come."""
    if kind in {"raw", "echo"}:
        app: Any = raw if kind == "raw" else Litestar([echo, usage], openapi_config=None, logging_config=None)
    else:
        place = Workspace(Path(root))
        history = History(place.warehouse())
        clock = moving_clock(history.last_instant + timedelta(days=1))
        record = open_store(place.record)
        desks, _ = warmed(place, history, record, clock)
        app = create_app(replace(desks, warm=None), record, clock)
        app.register(usage)
        if kind == "repeating":
            repeat_first(app.state.door)
    make_server(app, port=port).run()


def requests(load: Load) -> Iterator[tuple[str, bytes, str, str]]:
    """Give requests without end."""
    for number in count():
        body = load.bodies[number % len(load.bodies)]
        body = body.replace(b"ORDER", f"o-{number}".encode())
        body = body.replace(b"INSTANT", format_instant(_EARLIER + timedelta(seconds=number)).encode())
        yield load.path, body, "POST", f"idempotency-key: k-{number}\r\n" if load.is_keyed else ""


_EARLIER = utc(2026, 1, 1)


@dataclass(frozen=True)
class Measured:
    """What a load gave: answers a second, latencies at half of it in ms, CPU ms an answer, and peak memory in MB."""

    rate: float
    latencies: np.ndarray[Any, Any]
    cpu_ms: float
    peak_mb: float


def measure(root: Path, load: Load, clients: int, seconds: float) -> Measured:
    """Start a server, warm it, and measure."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = multiprocessing.get_context("spawn").Process(target=serve_here, args=(str(root), port, load.kind))
    server.start()
    for _ in range(3000):
        try:
            asyncio.run(usage_of(port))
            break
        except OSError:
            sleep(0.1)
    try:
        asked = requests(load)
        asyncio.run(flat_out(port, asked, clients, min(2.0, seconds)))
        before = asyncio.run(usage_of(port))["cpu_s"]
        began = perf_counter()
        rate = asyncio.run(flat_out(port, asked, clients, seconds))
        answered = rate * (perf_counter() - began)
        after = asyncio.run(usage_of(port))
        latencies = asyncio.run(at_rate(port, asked, max(1.0, rate / 2), seconds))
    finally:
        server.terminate()
        server.join()
    return Measured(rate, latencies, (after["cpu_s"] - before) / answered * 1e3, after["peak_mb"])


def thirty_rules() -> str:
    """Give the shipped policy with rules of the library and of velocity, until thirty decide admissions."""
    policies = resources.files("membergate.deciding.policies")
    policy, library = (yaml.safe_load((policies / f"{name}.yaml").read_text()) for name in ("default", "library"))
    rules = policy["rules"]
    known = {rule["id"] for rule in rules}
    rules += [
        {"id": f"hurry-{window}", "purpose": "Hurries.", "when": f"velocity_account_applications_{window} > {most}",
         "at_least": "step_up", "reason": "HURRY"}
        for window, most in (("10m", 3), ("1h", 5), ("1d", 9))
    ]  # fmt: skip
    there = sum(rule.get("checkpoint", "admission") == "admission" for rule in rules)
    wanted = (r for r in library["rules"] if r.get("checkpoint", "admission") == "admission" and r["id"] not in known)
    rules += list(islice(wanted, 30 - there))
    return yaml.safe_dump({**policy, "rules": rules}, sort_keys=False, allow_unicode=True)


def prepare(folder: Path, preset: str) -> tuple[Workspace, list[Load]]:
    """Make a workspace with a model of a small market, and the questions."""
    simulate(folder / "market", preset=preset, seed=5)
    now = utc(2026, 6, 1)
    ingest(folder / "workspace", folder / "market" / "market", clock=lambda: now)
    place = Workspace(folder / "workspace")
    history = History(place.warehouse())
    version = learn(place, history=history, as_of=history.last_instant).model_version
    (folder / "policy.yaml").write_text(thirty_rules())
    place.set_live(Live(version, store_policy(place, read_policy(folder / "policy.yaml")), format_instant(now)))
    end = history.last_instant
    with open_store(place.record) as record:
        desk = live_desk(place, history, record=record)
        decisions = desk.decide_window(end - timedelta(days=60))
        record.record(decisions)
        watched = [entry_of(decision.account_id, end) for decision in decisions[::10]]
        record.lists.change(watched, at=end, by="benchmark")
        metered = [Meter(Activity.APPLICATIONS, Scope.ACCOUNT, decision.account_id) for decision in decisions]
        record.velocity.add([Happening(f"h-{n}", end, ((m, 1),)) for n, m in enumerate(metered)], end)
    roll = history.roll
    strangers = sorted(account_id for account_id in roll.account_ids if not roll.applications_of(account_id))
    members = [d.account_id for d in decisions if d.disposition in {Disposition.ADMIT, Disposition.TRIAL}]
    line = {"line_id": "1", "sku_id": "s", "units": 1, "benefit_minor": 10}
    orders = [json.dumps({"order_id": "ORDER", "account_id": name, "lines": [line]}).encode() for name in members]
    admissions = [json.dumps({"account_id": name}).encode() for name in strangers]
    earlier = [json.dumps({"account_id": name, "as_of": "INSTANT"}).encode() for name in strangers]
    answer = json.dumps({"answer": "x" * 6000}).encode()
    return place, [
        Load("raw ASGI echo", "/echo", admissions, "raw"),
        Load("Litestar echo", "/echo", admissions, "echo"),
        Load("Litestar echo, 6 kB", "/echo", [answer], "echo"),
        Load("admission", "/v1/decisions/admission", admissions),
        Load("admission, the first answer again", "/v1/decisions/admission", admissions, "repeating"),
        Load("admission, with a key", "/v1/decisions/admission", admissions, is_keyed=True),
        Load("order with caps", "/v1/decisions/order", orders),
        Load("admission, nothing kept", "/v1/decisions/admission", earlier),
    ]


def entry_of(account_id: str, at: datetime) -> ListEntry:
    """Give an entry of the watch list."""
    subject = Subject(SubjectType.ACCOUNT, account_id)
    return ListEntry(
        f"w-{account_id}", RiskList.WATCH, subject, "RESALE_BULK", LabelGrade.L2, "benchmark", is_manual=False,
        confidence=0.9, recorded_at=at, starts_at=at, expires_at=at + timedelta(days=90), source_version="1",
    )  # fmt: skip


def by_itself(place: Workspace, strangers: Sequence[str]) -> str:
    """Measure the decision by itself, on testimony that is kept: CPU microseconds, the least of seven rounds.

    Once about the first of all accounts, most of whom are plainly admitted; once about those who were served above, of
    whom most are not, so that a way out is looked for.
    """
    history = History(place.warehouse())
    now = history.last_instant + timedelta(days=1)
    with open_store(place.record) as record:
        _, desk = warmed(place, history, record, lambda: now)
        names = sorted(desk.kept.accounts())[:400]
        cases = [case for name in names for case in desk.witness([name], now)][:50]
        policy = desk.policy_at(now)
        rules = len(policy.rules_at[Checkpoint.ADMISSION])
        verdict = _least_us(lambda case: decide(policy, Checkpoint.ADMISSION, case.evidence, lottery=0.5), cases)
        first, served = (
            _least_us(lambda name: desk.decide_at_once(AdmissionRequest(name), now), some)
            for some in (names, strangers[:400])
        )
    return (
        f"{rules} rules on evidence: {verdict:.0f} µs CPU; with evidence, lists and counters looked up, the way out "
        f"and the decision's id: {first:.0f} µs, and {served:.0f} µs for those who were served above"
    )


def _least_us(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    least = float("inf")
    for _ in range(7):
        began = process_time()
        for item in items:
            work(item)
        least = min(least, process_time() - began)
    return least / len(items) * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--preset", default="tiny")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place, loads = prepare(Path(folder), given.preset)
        print(
            "| route | answers/s | of the raw echo | of Litestar's | p50 ms at half load | p99 ms | CPU ms | peak MB |"
        )
        print("|-|-|-|-|-|-|-|-|")
        rates: list[float] = []
        for load in loads:
            told = measure(place.root, load, given.clients, given.seconds)
            rates.append(told.rate)
            p50, p99 = np.percentile(told.latencies, [50, 99])
            shares = " | ".join(f"{told.rate / rate:.0%}" for rate in (rates[0], rates[min(1, len(rates) - 1)]))
            print(
                f"| {load.name} | {told.rate:,.0f} | {shares} | {p50:.1f} | {p99:.1f} | {told.cpu_ms:.2f} "
                f"| {told.peak_mb:,.0f} |",
                flush=True,
            )
        served = next(load for load in loads if load.name == "admission")
        print(by_itself(place, [json.loads(body)["account_id"] for body in served.bodies]))


if __name__ == "__main__":
    main()
