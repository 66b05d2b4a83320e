"""The short way past the framework: the same answers, byte for byte, and everything else goes the framework's way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from membergate.domain.errors import WorkspaceError
from membergate.service import Gatekeeper, ServiceSettings, create_app
from membergate.service.app import Service
from membergate.service.short_way import _looked_at
from membergate.store import OperationalRecord

HOST = "testserver.local"
ROUTE = "/v1/decisions/admission"
JSON = {"content-type": "application/json"}
GOOD = b'{"account_id": "genuine"}'


class Watched:
    """The short way, counting who took it."""

    def __init__(self, app: Service) -> None:
        self.app = app
        self.taken = 0
        self.otherwise = 0
        inside = app.short_way
        assert inside is not None
        way: Any = inside
        framework = way._app._otherwise

        async def count(scope: Any, receive: Any, send: Any) -> None:
            self.taken += 1
            await inside(scope, receive, send)

        async def count_other(scope: Any, receive: Any, send: Any) -> None:
            self.otherwise += 1
            await framework(scope, receive, send)

        app.short_way = count
        way._app._otherwise = count_other


@pytest.fixture
def watched(desk: Any, store: OperationalRecord, clock: Any) -> Watched:
    """Give a service whose short way is watched."""
    gate = Gatekeeper(store, clock, timer=lambda: 0.0)  # keys that were read stay fresh
    gate.principal(None)
    return Watched(create_app(desk, store, clock, settings=ServiceSettings(allowed_hosts=(HOST,)), gatekeeper=gate))


@pytest.fixture
def clock() -> Any:
    """Give a clock that stands still."""
    from membergate.domain.instants import utc  # noqa: PLC0415 - of this fixture

    return lambda: utc(2025, 6, 1)


@pytest.fixture
def client(watched: Watched) -> Iterator[httpx.Client]:
    """Give its client."""
    with TestClient(watched.app, base_url=f"http://{HOST}", raise_server_exceptions=False) as test_client:
        yield test_client


def without_short_way(watched: Watched, client: httpx.Client, **request: Any) -> httpx.Response:
    """Ask the framework alone."""
    way, watched.app.short_way = watched.app.short_way, None
    try:
        return client.post(ROUTE, **request)
    finally:
        watched.app.short_way = way


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (GOOD, {}),
        (GOOD, {"idempotency-key": "k-1"}),
        (b'{"account_id": "reseller", "as_of": "2025-05-01"}', {}),
        ('{"account_id": "Ünïcode ☃ 会员"}'.encode(), {"content-type": "Application/JSON; charset=utf-8"}),
        (b'{"account_id": "nobody"}', {}),
        (b'{"account_id": "genuine", "as_of": "never"}', {}),
        (b'{"account_id": "broken"}', {}),
    ],
)
def test_both_ways_give_the_same(watched: Watched, client: httpx.Client, body: bytes, headers: dict[str, str]) -> None:
    """Status, headers and every byte, for answers and for what the door refuses."""
    short = client.post(ROUTE, content=body, headers=JSON | headers)
    assert (watched.taken, watched.otherwise) == (1, 0)
    long = without_short_way(watched, client, content=body, headers=JSON | headers)
    assert (short.status_code, short.content) == (long.status_code, long.content)
    assert sorted(short.headers.items()) == sorted(long.headers.items())


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 422),
        (b"{", {}, 400),
        (b"[" * 8_000, {}, 400),
        (b'{"account_id": "\xff"}', {}, 400),
        (b'{"account_id": 5}', {}, 422),
        (b'{"account_id": "genuine", "shoe": 9}', {}, 422),
        (b" " * 20_000, {}, 413),
        (GOOD, {"content-type": "text/plain"}, 415),
        (GOOD, {"host": "elsewhere.example"}, 421),
        (GOOD, {"authorization": "Bearer mg_a_b"}, 401),
        (GOOD, {"idempotency-key": "k" * 600}, 422),
        (GOOD, {"idempotency-key": ""}, 422),
    ],
)
def test_whatever_is_refused_is_refused_by_the_framework(
    watched: Watched, client: httpx.Client, desk: Any, body: bytes, headers: dict[str, str], status: int
) -> None:
    """One place says what is wrong; nobody is asked."""
    answered = client.post(ROUTE, content=body, headers=JSON | headers)
    assert (answered.status_code, watched.otherwise) == (status, 1)
    assert answered.headers["content-type"] == "application/problem+json"
    assert not desk.asked


def test_a_header_that_comes_twice_is_the_frameworks() -> None:
    """It decides which of the two counts, as on every other route; headers that are not looked at may repeat."""
    once = [(b"host", b"a"), (b"x", b"1"), (b"x", b"2"), (b"idempotency-key", b"k")]
    assert _looked_at(once) == {b"host": b"a", b"idempotency-key": b"k"}
    assert _looked_at([*once, (b"idempotency-key", b"l")]) is None


def test_a_record_that_does_not_answer_is_logged_and_counted(
    watched: Watched, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """503 with the error's own words, as from the framework."""

    async def refuse(*_: Any) -> Any:
        raise WorkspaceError("the record is away", next_step="ask again")

    monkeypatch.setattr(watched.app.state.door, "decided", refuse)
    answered = client.post(ROUTE, content=GOOD, headers=JSON)
    assert (answered.status_code, answered.json()["next"]) == (503, "ask again")
    assert "cannot_answer" in capsys.readouterr().out
    counted = client.get("/metrics").text
    assert f'membergate_requests_total{{method="POST",route="{ROUTE}",status="503"}} 1.0' in counted
