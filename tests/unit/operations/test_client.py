"""The client against the real service on a real port: typed answers, safe repeats, readable errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from threading import Thread
from time import sleep
from typing import Any

import pytest
from tests.unit.operations.conftest import clock, make_live, members, record, shop

from membergate.client import (
    Answer,
    Client,
    ConflictError,
    HttpTransport,
    Line,
    NotFoundError,
    RefusedByServiceError,
    UnavailableError,
)
from membergate.domain.errors import BadInputError
from membergate.operations.failing_open import FailOpenDesk
from membergate.operations.members import Members
from membergate.operations.orders import OrderDesk
from membergate.service import Desks, create_app
from membergate.service.serving import make_server

__all__ = ["clock", "make_live", "members", "record", "shop"]


@pytest.fixture
def url(members: Members, shop: Any) -> Iterator[str]:
    """Serve real desks on a free port."""
    desks = Desks(FailOpenDesk(shop.desk), OrderDesk(members))
    server = make_server(create_app(desks, members.record, shop.clock), port=0)
    thread = Thread(target=server.run)
    thread.start()
    while not server.started:
        sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join(30)


class Losing:
    """A transport that loses answers after the service has given them."""

    def __init__(self, url: str, losses: int) -> None:
        self._real = HttpTransport(url)
        self.losses = losses
        self.sent: list[Mapping[str, str]] = []

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send, and lose."""
        self.sent.append(headers)
        answer = self._real.send(method, path, headers, body)
        if self.losses > 0:
            self.losses -= 1
            raise ConnectionResetError("lost")
        return answer

    def close(self) -> None:
        """Close the real one."""
        self._real.close()


def test_a_lost_answer_is_asked_for_again(url: str, shop: Any, members: Members) -> None:
    """Three attempts under one key: one decision, one use of limits."""
    waits: list[float] = []
    transport = Losing(url, 2)
    client = Client(transport=transport, wait=waits.append)
    asked = shop.decisions[-1]
    answer = client.admission(asked.account_id, asked.application_id)
    assert (answer.decision_id, answer.disposition) == (asked.decision_id, asked.disposition.value)
    assert len({headers["Idempotency-Key"] for headers in transport.sent}) == 1
    assert waits == [0.1, 0.2]
    transport.losses = 2
    trial = next(d for d in shop.decisions if d.disposition.value == "trial")
    result = client.order("o-1", trial.account_id, [Line(line_id="l", sku_id="s", units=5, benefit_minor=2)])
    assert (result.lines[0].granted_units, result.disposition) == (3, "limit_quantity")
    assert members.record.decision(result.decision_id).order_id == "o-1"
    assert client.decision(result.decision_id).explanation
    assert client.outcome(result.decision_id).disposition == "limit_quantity"
    assert client.release("o-1") > 0
    client.close()


def test_errors_are_told_apart(url: str, shop: Any) -> None:
    """Unknown, in conflict, not well formed: each with the service's words."""
    client = Client(url, wait=lambda _: None)
    asked = shop.decisions[-1].account_id
    with client, pytest.raises(NotFoundError, match="no account"):
        client.admission("nobody")
    with pytest.raises(NotFoundError):
        client.decision("../../etc")
    with pytest.raises(RefusedByServiceError) as refused:
        client.admission(asked, as_of="yesterday")
    assert (refused.value.status, refused.value.where) == (422, "body.as_of")
    client.order("o-1", asked, [Line(line_id="l", sku_id="s", units=1)])
    with pytest.raises(ConflictError) as conflict:
        client.order("o-1", asked, [Line(line_id="l", sku_id="s", units=2)])
    assert conflict.value.code == "key_reused"
    client.close()


def test_events_are_answered_one_by_one(url: str, shop: Any) -> None:
    """A good one, its repeat, and a bad one."""
    row = {"account_id": "new", "registered_at": (shop.now - timedelta(hours=1)).isoformat()}
    good = {"specversion": "1.0", "id": "1", "source": "s", "type": "membergate.accounts.v1", "data": row}
    with Client(url) as client:
        results = client.events([good, good, {"id": "x"}])
    assert [result.state for result in results] == ["accepted", "duplicate", "refused"]
    assert results[2].where == "specversion"


def test_a_service_that_is_gone_is_unavailable() -> None:
    """It is asked as often as was said, with growing waits, and then it is an error of its own."""
    waits: list[float] = []
    with pytest.raises(UnavailableError, match="given up after 3 attempts"):
        Client("http://127.0.0.1:9", attempts=3, wait=waits.append).admission("a")
    assert waits == [0.1, 0.2]
    with pytest.raises(BadInputError, match="no safe URL"):
        Client("http://shop.example")


class Busy:
    """A service that is busy at first."""

    def __init__(self) -> None:
        self.answers = [
            Answer(429, {"retry-after": "3"}, b'{"what":"too many","code":"too_many_requests"}'),
            Answer(503, {}, b"no json"),
            Answer(200, {}, b'{"decision_id":"d","checkpoint":"order","disposition":"x","reason_codes":[],"new":1}'),
        ]

    def send(self, *_: Any) -> Answer:
        """Answer the next."""
        return self.answers.pop(0)

    def close(self) -> None:
        """Nothing is open."""


def test_a_busy_service_is_waited_for() -> None:
    """As long as it says; fields that are new to the client are left out."""
    waits: list[float] = []
    assert Client(transport=Busy(), wait=waits.append).outcome("d").decision_id == "d"
    assert waits == [3.0, 0.2]
