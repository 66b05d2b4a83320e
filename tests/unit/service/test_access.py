"""Who gets in: keys of programs, tokens of a real issuer on a real port, roles, rates, and slow clients."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from litestar.testing import TestClient

from membergate.domain.access import SCOPES_OF, Role, Scope
from membergate.domain.errors import BadInputError, UnknownSubjectError
from membergate.domain.instants import utc
from membergate.operations.keys import create_key, keys, revoke_key
from membergate.operations.workspace import Workspace
from membergate.service import (
    Gatekeeper,
    IdentityProvider,
    ProviderSettings,
    ServiceSettings,
    create_app,
)
from membergate.service.serving import make_server
from membergate.store import OperationalRecord, open_store

NOW = utc(2025, 6, 1)
HOST = "testserver.local"
ROUTE = "/v1/decisions/admission"
BODY = {"account_id": "genuine"}


def clock() -> datetime:
    """Stand still."""
    return NOW


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """Give an empty workspace."""
    (tmp_path / "workspace").mkdir()
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def own(place: Workspace) -> Iterator[OperationalRecord]:
    """Give the workspace's record."""
    with open_store(place.record) as record:
        yield record


class Ticks:
    """Seconds that grow when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Give the present."""
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    """Give a timer."""
    return Ticks()


@pytest.fixture
def guarded(desk: Any, own: OperationalRecord, ticks: Ticks, place: Workspace) -> Iterator[httpx.Client]:
    """Give a client of a service that asks for keys as soon as there are any."""
    app = create_app(
        desk,
        own,
        clock,
        settings=ServiceSettings(allowed_hosts=(HOST,)),
        gatekeeper=Gatekeeper(own, clock, timer=ticks),
        workspace=place,
    )
    with TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False) as client:
        yield client


def bearer(text: str) -> dict[str, str]:
    """Write the header."""
    return {"authorization": f"Bearer {text}"}


def test_a_key_is_shown_once_and_kept_as_a_digest(place: Workspace) -> None:
    """256 random bits; the record holds neither the text nor the secret."""
    one = create_key(place, "till", by="anna", clock=clock, roles=["viewer"])
    other = create_key(place, "till", by="anna", clock=clock, scopes=["order"])
    assert one.text != other.text
    assert len(one.text.split("_", 2)[2]) == 43
    stored = place.record.read_bytes()
    assert one.text.split("_", 2)[2].encode() not in stored
    assert {key.key_id: key.scopes for key in keys(place)} == {
        one.key.key_id: SCOPES_OF[Role.VIEWER],
        other.key.key_id: {Scope.ORDER},
    }


@pytest.mark.parametrize(
    "wrong", [{"roles": ["king"]}, {"scopes": ["all"]}, {}, {"roles": ["viewer"], "rate_per_s": 0.0}, {"by": " "}]
)
def test_an_impossible_key_is_refused(place: Workspace, wrong: dict[str, Any]) -> None:
    """Unknown words, nothing allowed, no rate, nobody who makes it."""
    said: dict[str, Any] = {"by": "anna", "clock": clock} | wrong
    if "by" in wrong:
        said["roles"] = ["viewer"]
    with pytest.raises(BadInputError):
        create_key(place, "till", **said)
    with pytest.raises(UnknownSubjectError):
        revoke_key(place, "none", by="anna", clock=clock)


def test_the_first_key_closes_the_door(guarded: httpx.Client, place: Workspace, ticks: Ticks) -> None:
    """Without keys loopback is open; from the first on nobody gets in without, within a second."""
    assert guarded.post(ROUTE, json=BODY).status_code == 200
    key = create_key(place, "till", by="anna", clock=clock, scopes=["decide"])
    ticks.now += 1
    refused = guarded.post(ROUTE, json=BODY)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.headers["content-type"] == "application/problem+json"
    assert guarded.post(ROUTE, json=BODY, headers=bearer(key.text)).status_code == 200
    for path in ("/health", "/ready", "/schema"):
        assert guarded.get(path).status_code == 200
    for wrong in ("mg_", key.text[:-1], f"mg_{key.key.key_id}_x", "x", "", "mg_x_y", key.text + "é"):
        headers = [(b"authorization", f"Bearer {wrong}".encode())]
        assert guarded.post(ROUTE, json=BODY, headers=headers).status_code == 401, wrong
    assert guarded.post(ROUTE, json=BODY, headers={"authorization": f"Basic {key.text}"}).status_code == 401


def test_revoked_and_expired_keys_open_nothing(guarded: httpx.Client, place: Workspace, ticks: Ticks) -> None:
    """Revoked within a second; expired at its instant."""
    key = create_key(place, "till", by="anna", clock=clock, scopes=["decide"])
    old = create_key(place, "old", by="anna", clock=lambda: NOW - timedelta(days=2), scopes=["decide"], days=2)
    ticks.now += 1
    assert guarded.post(ROUTE, json=BODY, headers=bearer(old.text)).status_code == 401
    assert guarded.post(ROUTE, json=BODY, headers=bearer(key.text)).status_code == 200
    revoke_key(place, key.key.key_id, by="anna", clock=clock)
    revoke_key(place, key.key.key_id, by="bert", clock=clock)
    ticks.now += 1
    assert guarded.post(ROUTE, json=BODY, headers=bearer(key.text)).status_code == 401
    assert keys(place)[-1].revoked_by == "anna"


def test_each_role_may_do_its_own(guarded: httpx.Client, place: Workspace, ticks: Ticks) -> None:
    """Every route that asks for a scope refuses every role without it with 403, and only those."""
    texts = {role: create_key(place, role, by="anna", clock=clock, roles=[role], rate_per_s=1e5).text for role in Role}
    ticks.now += 1
    asked = {
        Scope.DECIDE: ("POST", ROUTE),
        Scope.ORDER: ("POST", "/v1/decisions/order"),
        Scope.READ: ("GET", "/v1/decisions/d-none"),
        Scope.OUTCOME: ("GET", "/v1/decisions/d-none/outcome"),
        Scope.EVENTS: ("POST", "/v1/events"),
        Scope.LISTS: ("POST", "/v1/lists/entries"),
        Scope.POLICIES: ("POST", "/v1/policies"),
        Scope.APPROVE: ("POST", "/v1/policies/rollback"),
        Scope.APPEAL: ("POST", "/v1/appeals"),
        Scope.RULE: ("POST", "/v1/appeals/p-none/ruling"),
    }
    for scope, (method, path) in asked.items():
        for role, text in texts.items():
            status = guarded.request(method, path, headers=bearer(text)).status_code
            assert (status == 403) == (scope not in SCOPES_OF[role]), (scope, role, status)
    assert guarded.get("/metrics", headers=bearer(texts[Role.PARTNER])).status_code == 403
    assert guarded.get("/metrics", headers=bearer(texts[Role.VIEWER])).status_code == 200


def test_a_key_has_its_rate(guarded: httpx.Client, place: Workspace, ticks: Ticks) -> None:
    """Two a second: the third waits, and is told how long; another key is not held up."""
    slow = create_key(place, "slow", by="anna", clock=clock, scopes=["read"], rate_per_s=2)
    other = create_key(place, "other", by="anna", clock=clock, scopes=["read"], rate_per_s=2)
    ticks.now += 1
    answers = [guarded.get("/v1/appeals", headers=bearer(slow.text)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "1"
    assert guarded.get("/v1/appeals", headers=bearer(other.text)).status_code == 200
    ticks.now += 0.5
    assert guarded.get("/v1/appeals", headers=bearer(slow.text)).status_code == 200


class Issuer:
    """A real identity provider on loopback: a document, keys, and tokens that it signs."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the protocol's name
                body = json.dumps(issuer.documents().get(self.path, {})).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def documents(self) -> dict[str, Any]:
        """Give what is served."""
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": [public | {"kid": "k-1", "use": "sig", "alg": "RS256"}]},
        }

    def token(self, key: Any = None, algorithm: str = "RS256", **changes: Any) -> str:
        """Sign a token."""
        # the library that reads tokens looks at the wall clock, so these must be of today
        soon = datetime.now(UTC).timestamp() + 60  # noqa: TID251  # as said above
        claims = {"iss": self.url, "aud": "membergate", "sub": "anna", "roles": ["viewer"], "exp": soon}
        said = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(said, key or self.key, algorithm=algorithm, headers={"kid": "k-1"})


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Give an identity provider."""
    one = Issuer()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def peopled(desk: Any, own: OperationalRecord, issuer: Issuer, place: Workspace) -> Iterator[httpx.Client]:
    """Give a client of a service that knows people by their tokens."""
    provider = IdentityProvider(ProviderSettings(issuer.url, "membergate"))
    app = create_app(
        desk,
        own,
        clock,
        settings=ServiceSettings(allowed_hosts=(HOST,)),
        gatekeeper=Gatekeeper(own, clock, provider=provider),
        workspace=place,
    )
    with TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False) as client:
        yield client


def test_people_come_with_tokens(peopled: httpx.Client, issuer: Issuer) -> None:
    """A viewer reads and does not decide; roles that mean nothing here give nothing."""
    viewer, stranger = issuer.token(), issuer.token(roles=["emperor", 7])
    assert peopled.get("/v1/appeals", headers=bearer(viewer)).status_code == 200
    assert peopled.post(ROUTE, json=BODY, headers=bearer(viewer)).status_code == 403
    assert peopled.get("/v1/appeals", headers=bearer(stranger)).status_code == 403
    assert peopled.post(ROUTE, json=BODY, headers=bearer(issuer.token(roles="viewer analyst"))).status_code == 200
    assert peopled.get("/v1/appeals").status_code == 401


def test_what_a_person_does_carries_the_name(peopled: httpx.Client, issuer: Issuer, own: OperationalRecord) -> None:
    """A list entry says who entered it, whatever the body says."""
    entry = {"risk_list": "watch", "subject_type": "account", "key": "a", "reason_code": "X", "grade": "L1"}
    headers = bearer(issuer.token(roles=["analyst"], sub="bert"))
    made = peopled.post("/v1/lists/entries", json=entry, headers=headers)
    assert made.status_code == 201, made.text
    (change,) = own.lists.changes_of(made.json()["entry_id"])
    assert "bert" in str(change)
    assert peopled.get("/v1/lists/entries?key=a", headers=headers).json() == [made.json()]
    gone = peopled.post(f"/v1/lists/entries/{made.json()['entry_id']}/retract", json={"note": "no"}, headers=headers)
    assert (gone.status_code, gone.json()) == (200, [])
    assert peopled.get("/v1/lists/entries?key=a", headers=headers).json() == []


def test_tokens_that_are_not_valid(peopled: httpx.Client, issuer: Issuer) -> None:
    """Expired, for somebody else, of another issuer, signed by another, unsigned, without a name: 401 each."""
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    unsigned = jwt.encode({"iss": issuer.url, "aud": "membergate", "sub": "a"}, "", algorithm="none")
    shared = jwt.encode({"iss": issuer.url}, "a shared secret that is long enough to be one", headers={"kid": "k-1"})
    tokens = [
        issuer.token(exp=1),
        issuer.token(aud="other"),
        issuer.token(iss="https://elsewhere.example"),
        issuer.token(key=stranger),
        issuer.token(exp=None),
        issuer.token(sub=None),
        issuer.token(sub="  "),
        issuer.token(sub="anna\x1b[31m"),
        issuer.token(sub="\ud800"),
        issuer.token(sub="a" * 300),
        unsigned,
        shared,
        "a.b.c",
        "no token",
    ]
    statuses = [peopled.get("/v1/appeals", headers=bearer(token)).status_code for token in tokens]
    assert statuses == [401] * len(tokens)
    nested = issuer.token(roles=[["administrator"], {"viewer": 1}, None, 5])
    assert peopled.get("/v1/appeals", headers=bearer(nested)).status_code == 403


def test_a_provider_that_does_not_answer_is_503(desk: Any, own: OperationalRecord) -> None:
    """Nobody is let in, and nobody is told that their token is wrong."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    provider = IdentityProvider(ProviderSettings(f"http://127.0.0.1:{port}", "membergate"))
    gate = Gatekeeper(own, clock, provider=provider)
    app = create_app(desk, own, clock, settings=ServiceSettings(allowed_hosts=(HOST,)), gatekeeper=gate)
    with TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False) as client:
        answer = client.get("/v1/appeals", headers=bearer("a.b.c"))
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")


@pytest.mark.parametrize(
    "url", ["http://provider.example", "ftp://x", "file:///etc/passwd", "", "http://[", "provider"]
)
def test_an_unsafe_provider_is_refused(url: str) -> None:
    """Only https, but for loopback."""
    with pytest.raises(BadInputError, match="no safe URL"):
        ProviderSettings(url, "membergate")


@pytest.fixture
def impatient(desk: Any, own: OperationalRecord) -> Iterator[Callable[..., Any]]:
    """Give a real server with little patience: a maker of connections to it, and the desk."""
    limits = ServiceSettings(body_time_limit=timedelta(seconds=0.3), answer_time_limit=timedelta(seconds=1))
    server = make_server(create_app(desk, own, clock, settings=limits), port=0)
    thread = Thread(target=server.run)
    thread.start()

    while not server.started:
        sleep(0.01)
    address = server.servers[0].sockets[0].getsockname()
    yield lambda: socket.create_connection(address, timeout=10)
    server.should_exit = True
    thread.join(30)


def test_a_slow_client_is_given_up(impatient: Callable[..., Any]) -> None:
    """A body that trickles in is answered 408 at the limit."""
    with impatient() as connection:
        connection.sendall(
            b"POST /v1/decisions/admission HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            b'content-length: 24\r\n\r\n{"account'
        )
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not come in time" in answer


def test_a_slow_answer_is_given_up_and_kept(impatient: Callable[..., Any], desk: Any, own: OperationalRecord) -> None:
    """503 at the limit; the decision goes on record nevertheless, and asking again finds it."""
    desk.takes_s = 1.5
    body = json.dumps(BODY).encode()
    head = b"POST /v1/decisions/admission HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    with impatient() as connection:
        connection.sendall(head + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"too_slow" in answer
        desk.takes_s = 0.0
        with desk._inside:
            pass

    for _ in range(200):
        if own.decisions_of("genuine"):
            break
        sleep(0.01)
    assert own.decisions_of("genuine")
