"""The service on a real port: many clients at once, long bodies, and a shutdown that drops nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from membergate.domain.errors import BadInputError
from membergate.domain.instants import utc
from membergate.service import arriving, create_app, serve
from membergate.store import OperationalRecord

ROUTE = "/v1/decisions/admission"
Running = tuple[httpx.Client, Thread, Any]


def test_a_decision_over_http(server: Running, store: OperationalRecord) -> None:
    """A real request over a real socket is decided, recorded and read again."""
    client, _, _ = server
    answer = client.post(ROUTE, json={"account_id": "genuine"})
    assert answer.status_code == 200
    assert store.decision(answer.json()["decision_id"]).account_id == "genuine"
    assert client.get(f"/v1/decisions/{answer.json()['decision_id']}").json() == answer.json()
    assert client.get("/ready").json()["status"] == "ready"
    assert "server" not in answer.headers


def test_a_port_that_is_taken_is_a_readable_error(server: Running, desk: Any, store: OperationalRecord) -> None:
    """The error names the address and what to do; it is no exit from inside the server."""
    client, _, _ = server
    port = client.base_url.port or 0
    with pytest.raises(BadInputError, match="cannot listen") as caught:
        serve(create_app(desk, store, lambda: utc(2025, 6, 1)), port=port)
    assert caught.value.where == f"127.0.0.1:{port}"


def test_clients_at_once_get_one_answer(server: Running, desk: Any) -> None:
    """Sixteen clients ask the same: the desk is asked by one at a time, and all get the recorded answer."""
    client, _, _ = server
    desk.takes_s = 0.005
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: client.post(ROUTE, json={"account_id": "reseller"}), range(32)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


def test_a_body_without_end_is_cut_off(server: Running) -> None:
    """Ten megabytes are refused at the announced length; a stream without one at the limit."""
    client, _, _ = server
    headers = {"content-type": "application/json"}

    def endless() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 1024

    assert client.post(ROUTE, content=b" " * 10_000_000, headers=headers).status_code == 413
    assert client.post(ROUTE, content=endless(), headers=headers).status_code == 413
    assert client.get("/health").status_code == 200


def test_a_request_under_way_is_answered_before_the_service_ends(server: Running, desk: Any, tmp_path: Path) -> None:
    """A shutdown waits for whoever is at the desk, and then closes the record: its write-ahead log is folded in."""
    client, thread, running = server
    desk.takes_s = 0.5
    with ThreadPoolExecutor(1) as threads:
        under_way = threads.submit(client.post, ROUTE, json={"account_id": "genuine"})
        while not desk.asked:
            sleep(0.01)
        running.should_exit = True
        assert under_way.result(30).status_code == 200
    thread.join(30)
    assert not thread.is_alive()
    assert [file.name for file in tmp_path.iterdir()] == ["record.sqlite"]


def test_a_client_that_goes_away_is_no_error_of_ours(
    server: Running, store: OperationalRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a body and then nobody: nothing is decided, and no traceback fills the log."""
    client, _, _ = server
    head = f"POST {ROUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{{"
    with socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as connection:
        connection.sendall(head.encode())
        sleep(0.2)
    deadline = monotonic() + 10
    while 'status="400"' not in (counted := client.get("/metrics").text) and monotonic() < deadline:
        sleep(0.05)
    assert 'status="400"' in counted
    assert "Traceback" not in capsys.readouterr().out
    assert store.decisions_of("genuine") == ()


@pytest.mark.parametrize("path", [ROUTE, "/v1/events"])
def test_a_body_whose_end_is_told_twice_is_refused(server: Running, store: OperationalRecord, path: str) -> None:
    """Length and chunks at once are how requests are smuggled past a proxy: 400, and the connection ends."""
    client, _, _ = server
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5\r\n"
    body = 'Transfer-Encoding: chunked\r\n\r\n19\r\n{"account_id": "genuine"}\r\n0\r\n\r\n'
    with socket.create_connection(("127.0.0.1", client.base_url.port or 0), timeout=20) as connection:
        connection.sendall((head + body).encode())
        answered = b""
        while more := connection.recv(65_536):
            answered += more
    assert answered.startswith(b"HTTP/1.1 400")
    assert b"told twice" in answered
    assert store.decisions_of("genuine") == ()


def test_a_body_in_chunks_is_read(server: Running) -> None:
    """A client that does not know the length before it sends is answered all the same."""
    client, _, _ = server
    answered = client.post(
        ROUTE, content=iter([b'{"account_id":', b' "genuine"}']), headers={"content-type": "application/json"}
    )
    assert answered.status_code == 200


@pytest.mark.parametrize(
    "sent", [b"", b"POST /v1/decisions/adm", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HT"]
)
def test_a_head_that_does_not_come_is_not_waited_for(
    server: Running, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Nothing at all, half a head, and half a head after a whole request: the connection is closed."""
    client, _, _ = server
    monkeypatch.setattr(arriving, "HEAD_S", 0.3)
    with socket.create_connection(("127.0.0.1", client.base_url.port or 0), timeout=20) as connection:
        connection.sendall(sent)
        sleep(0.05)
        connection.sendall(sent[-1:] if b"GET" in sent else b"")
        answered = b""
        while more := connection.recv(65_536):
            answered += more
    assert answered.count(b"HTTP/1.1 200") == (b"GET" in sent)


def test_a_slow_answer_is_no_late_head(server: Running, desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the head is there the timer is over, however long the answer takes, and for the next request too."""
    client, _, _ = server
    monkeypatch.setattr(arriving, "HEAD_S", 0.2)
    desk.takes_s = 0.5
    for account in ("genuine", "reseller"):
        assert client.post(ROUTE, json={"account_id": account}).status_code == 200
