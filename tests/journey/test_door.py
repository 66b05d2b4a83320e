"""The door, as a platform engineer meets it.

My batch has decided a window. Now the service stands at the door, with the same workspace. I ask it over real HTTP
about the same applications and want the same decisions: same id, same disposition, same evidence to the last digit.
What it answers is on record before I have the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Thread
from time import monotonic, sleep

import httpx

from membergate.domain.decision import Decision
from membergate.operations.admit import admit, live_desk
from membergate.operations.history import History, aware
from membergate.operations.publish import publish
from membergate.operations.verify import verify
from membergate.operations.workspace import Workspace
from membergate.service import create_app
from membergate.service.serving import make_server
from membergate.store import open_store

Clock = Callable[[], datetime]


@contextmanager
def door(workspace: Workspace, clock: Clock) -> Iterator[httpx.Client]:
    """Serve what is live on a free port of loopback."""
    history = History(workspace.warehouse())
    record = open_store(workspace.record)
    server = make_server(create_app(live_desk(workspace, history, record=record), record, clock), port=0)
    thread = Thread(target=server.run)
    thread.start()
    deadline = monotonic() + 60
    while not server.started and monotonic() < deadline:
        sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(60)


def test_the_service_decides_as_the_batch_does(workspace: Workspace, still_clock: Clock) -> None:
    """Asked in any order, every application gets over HTTP the decision that the batch has put on record."""
    history = History(workspace.warehouse())
    verify(workspace, clock=still_clock, history=history)
    publish(workspace, clock=still_clock)
    since = aware(history.applications().submitted_at[-30])
    batch = admit(workspace, clock=still_clock, since=since, history=history)
    assert len(batch.decisions) >= 30
    with door(workspace, still_clock) as client:
        assert client.get("/ready").status_code == 200
        for decision in sorted(batch.decisions, key=lambda decision: decision.decision_id):
            question = {"account_id": decision.account_id, "application_id": decision.application_id}
            answer = client.post("/v1/decisions/admission", json=question).json()
            assert answer["decision_id"] == decision.decision_id
            assert answer["disposition"] == decision.disposition
            assert answer["merchant_probability"] == decision.merchant_probability
            assert [witnessed["name"] for witnessed in answer["evidence"]] == [e.name for e in decision.evidence]
            again = client.get(f"/v1/decisions/{decision.decision_id}").json()
            assert again == answer
        unknown = client.post("/v1/decisions/admission", json={"account_id": "nobody"})
        assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
    with open_store(workspace.record) as record:
        for decision in batch.decisions:
            stored = record.decision(decision.decision_id)
            assert _timeless(stored) == _timeless(decision)


def _timeless(decision: Decision) -> tuple[object, ...]:
    """Give all of a decision but the instant at which it was taken."""
    return (decision.disposition, decision.evidence, decision.reason_codes, decision.counterfactual, decision.caps)
