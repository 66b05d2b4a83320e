"""What the service's tests share: a small desk under a real policy, a record, a clock, and a server on a real port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock, Thread
from time import monotonic, sleep

import httpx
import pytest
from litestar.testing import TestClient

from membergate.deciding.policy import counterfactual, decide, load_policy
from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint
from membergate.domain.errors import ModelError, UnknownSubjectError
from membergate.domain.evidence import Absence, Evidence, EvidenceKind, EvidenceValue
from membergate.domain.instants import Clock, format_instant, utc
from membergate.operations.admission import AdmissionRequest
from membergate.service import ServiceSettings, create_app
from membergate.service.serving import make_server
from membergate.store import OperationalRecord, open_store

NOW = utc(2025, 6, 1)
HOST = "testserver.local"
POLICY = """
name: door
version: "1.0"
description: Two rules, enough to let in, to refuse, and not to know.
rules:
  - id: beyond-household-use
    purpose: Units beyond household norms.
    when: a2_excess_units_ratio >= 0.5
    at_least: deny
    reason: EXCESS_UNITS
  - id: narrow-basket
    purpose: Few categories bought deep.
    when: b3_depth_over_breadth >= 2
    at_least: review
    reason: DEPTH_OVER_BREADTH
"""
VOCABULARY = {"a2_excess_units_ratio": EvidenceKind.NUMBER, "b3_depth_over_breadth": EvidenceKind.NUMBER}
ACCOUNTS: dict[str, tuple[EvidenceValue | Absence, EvidenceValue | Absence]] = {
    "genuine": (0.01, 0.7),
    "reseller": (0.9, 3.5),
    "silent": (Absence.NOT_OBSERVED, Absence.SOURCE_FAILED),
    "Ünïcode ☃ 会员": (0.1, 0.1),
}


@dataclass
class SmallDesk:
    """Decides a handful of accounts by a real policy on evidence that is written down above."""

    model_version: str = "m-small"
    has_model: bool = True
    takes_s: float = 0.0
    asked: list[AdmissionRequest] = field(default_factory=list)
    _inside: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._policy = load_policy(POLICY, origin="door.yaml", vocabulary=VOCABULARY)

    @property
    def policy_version(self) -> str:
        """The policy's version, where there is a model to go with it."""
        if not self.has_model:
            raise ModelError("no model is live", next_step="membergate publish")
        return f"door-{self._policy.version}"

    def decide(self, request: AdmissionRequest, clock: Clock) -> Decision:
        """Decide; two threads at once are one too many, as with the real desk."""
        if not self._inside.acquire(blocking=False):
            raise RuntimeError("two threads are at the desk")
        try:
            self.asked.append(request)
            sleep(self.takes_s)
            return self._decide(request, clock)
        finally:
            self._inside.release()

    def _decide(self, request: AdmissionRequest, clock: Clock) -> Decision:
        if request.account_id == "broken":
            raise RuntimeError("the secret of the house")
        if request.account_id not in ACCOUNTS:
            raise UnknownSubjectError("no such account was loaded", where=f"account {request.account_id!r}")
        as_of = request.as_of or utc(2025, 5, 1)
        stated = zip(VOCABULARY, ACCOUNTS[request.account_id], strict=True)
        evidence = {name: Evidence(name, value, f"feature:{name[:2].upper()}", as_of) for name, value in stated}
        verdict = decide(self._policy, Checkpoint.ADMISSION, evidence, lottery=0.5)
        return Decision(
            decision_id=f"d-{request.account_id}-{format_instant(as_of)}",
            checkpoint=Checkpoint.ADMISSION,
            application_id=request.application_id,
            order_id=None,
            account_id=request.account_id,
            operator_id=f"operator of {request.account_id}",
            decided_at=clock(),
            as_of=as_of,
            disposition=verdict.disposition,
            merchant_probability=None,
            risk_score=0.25,
            reason_codes=verdict.reason_codes,
            evidence=tuple(evidence.values()),
            counterfactual=counterfactual(self._policy, Checkpoint.ADMISSION, evidence, verdict, lottery=0.5),
            caps=verdict.caps,
            policy_version=self.policy_version,
            model_version=self.model_version,
            promotion_id=None,
            degraded=verdict.degraded,
            explore=verdict.explore,
            propensity=verdict.propensity,
            contributions=(("a2_excess_units_ratio", 0.5),),
        )


class SteppingClock:
    """A clock that moves a second with every look at it."""

    def __init__(self) -> None:
        self._now = NOW

    def __call__(self) -> datetime:
        """Give the next second."""
        self._now += timedelta(seconds=1)
        return self._now


@pytest.fixture
def desk() -> SmallDesk:
    """Give a desk."""
    return SmallDesk()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OperationalRecord]:
    """Give an empty record."""
    with open_store(tmp_path / "record.sqlite") as record:
        yield record


@pytest.fixture
def client(desk: SmallDesk, store: OperationalRecord) -> Iterator[httpx.Client]:
    """Give a client of the application, without a network between."""
    app = create_app(desk, store, SteppingClock(), settings=ServiceSettings(allowed_hosts=(HOST,)))
    with TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False) as test_client:
        yield test_client


@contextmanager
def serving(desk: SmallDesk, store: OperationalRecord) -> Iterator[tuple[httpx.Client, Thread, object]]:
    """Serve on a free port of loopback, in a thread; give a client, the thread and the server."""
    server = make_server(create_app(desk, store, SteppingClock()), port=0)
    thread = Thread(target=server.run)
    thread.start()
    deadline = monotonic() + 30
    while not server.started and monotonic() < deadline:
        sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=30) as real_client:
            yield real_client, thread, server
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture
def server(desk: SmallDesk, store: OperationalRecord) -> Iterator[tuple[httpx.Client, Thread, object]]:
    """Give a client of a real server on a real port."""
    with serving(desk, store) as running:
        yield running
