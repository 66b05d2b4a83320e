"""Webhooks: what goes on record waits in the outbox with it, and is sent, signed, until somebody takes it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import pytest

from membergate.domain.errors import BadInputError, UnknownSubjectError
from membergate.domain.instants import utc
from membergate.operations.admission import AdmissionRequest
from membergate.operations.webhooks import SIGNATURE, add_webhook, is_signed, remove_webhook, signature, webhooks
from membergate.operations.workspace import Workspace
from membergate.service import sending
from membergate.service.sending import Sender
from membergate.store import OperationalRecord, open_store

NOW = utc(2025, 6, 1)


class Receiver:
    """A real receiver on loopback that answers as it is told, and keeps what came."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.came: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the protocol's name
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.came.append((dict(self.headers), body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?shop=1"
        Thread(target=self.server.serve_forever, daemon=True).start()


class Wall:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """Give the present."""
        return self.now


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give a receiver."""
    one = Receiver()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """Give an empty workspace."""
    return Workspace(tmp_path)


@pytest.fixture
def own(place: Workspace) -> Iterator[OperationalRecord]:
    """Give its record."""
    with open_store(place.record) as record:
        yield record


@pytest.fixture
def wall() -> Wall:
    """Give a clock."""
    return Wall()


def test_a_message_is_tried_until_it_is_taken(
    place: Workspace, own: OperationalRecord, desk: Any, receiver: Receiver, wall: Wall, capsys: Any
) -> None:
    """The receiver fails twice: the message comes again after 1 s and 2 s, the same, and signed anew."""
    hook = add_webhook(place, receiver.url, by="anna", clock=wall)
    receiver.answers = [500, 302]
    decision = desk.decide(AdmissionRequest("reseller"), wall)
    own.record([decision])
    own.record([decision])
    sender = Sender(own.outbox, wall)
    assert sender.send_due() == 0
    assert sender.send_due() == 0
    assert len(receiver.came) == 1
    wall.now += timedelta(seconds=1)
    assert sender.send_due() == 0
    wall.now += timedelta(seconds=1)
    assert sender.send_due() == 0
    assert len(receiver.came) == 2
    wall.now += timedelta(seconds=1)
    assert sender.send_due() == 1
    wall.now += timedelta(days=1)
    assert sender.send_due() == 0
    assert own.outbox.count_waiting() == 0
    bodies = {body for _, body in receiver.came}
    assert len(bodies) == 1
    event = json.loads(bodies.pop())
    assert (event["type"], event["id"]) == ("membergate.decision.v1", decision.decision_id)
    assert event["data"]["disposition"] == "deny"
    assert "evidence" not in event["data"]
    headers, body = receiver.came[-1]
    assert is_signed(hook.secret, body, headers[SIGNATURE], (NOW + timedelta(seconds=3)).timestamp())
    assert headers["Membergate-Delivery"] == receiver.came[0][0]["Membergate-Delivery"]
    assert "not_delivered" in capsys.readouterr().out


def test_what_is_not_signed_by_us(place: Workspace, wall: Wall, receiver: Receiver) -> None:
    """Another body, another secret, an old signature, and nonsense."""
    hook = add_webhook(place, receiver.url, by="anna", clock=wall)

    good = signature(hook.secret, b"body", 1000)
    assert is_signed(hook.secret, b"body", good, 1000.0)
    assert not is_signed(hook.secret, b"other", good, 1000.0)
    assert not is_signed("another", b"body", good, 1000.0)
    assert not is_signed(hook.secret, b"body", good, 1301.0)
    assert not is_signed(hook.secret, b"body", "t=x,v1=", 1000.0)
    assert not is_signed(hook.secret, b"body", "", 1000.0)
    assert not is_signed(hook.secret, b"body", "t=1000,v1=é", 1000.0)
    assert not is_signed(hook.secret, b"body", "t=1000,v1=\udce9", 1000.0)


def test_nobody_is_told_of_what_they_did_not_ask_for(
    place: Workspace, own: OperationalRecord, desk: Any, wall: Wall, receiver: Receiver
) -> None:
    """A webhook for notices hears of no decisions; a removed one of nothing, and what waited for it is given up."""
    add_webhook(place, receiver.url, events=["membergate.notice.v1"], by="anna", clock=wall)
    gone = add_webhook(place, receiver.url, by="anna", clock=wall)
    own.record([desk.decide(AdmissionRequest("genuine"), wall)])
    assert own.outbox.count_waiting() == 1
    remove_webhook(place, gone.webhook_id, clock=wall)
    assert own.outbox.count_waiting() == 0
    own.record([desk.decide(AdmissionRequest("reseller"), wall)])
    assert Sender(own.outbox, wall).send_due() == 0
    assert len([hook for hook in webhooks(place) if hook.removed_at is None]) == 1
    with pytest.raises(UnknownSubjectError):
        remove_webhook(place, gone.webhook_id, clock=wall)


def test_a_message_is_given_up_in_the_end(place: Workspace, own: OperationalRecord, desk: Any, wall: Wall) -> None:
    """Nobody listens: after 24 attempts it waits no more, and says why."""
    add_webhook(place, "http://127.0.0.1:9/", by="anna", clock=wall)
    own.record([desk.decide(AdmissionRequest("genuine"), wall)])
    message = own.outbox.due(wall())[0]
    assert own.outbox.due(wall()) == ()
    for attempts in range(24):
        own.outbox.failed(
            type(message)(message.number, message.delivery_id, message.webhook_id, message.body, attempts),
            at=wall(),
            error="refused",
        )
    assert own.outbox.count_waiting() == 0


def test_the_sender_works_by_itself(
    place: Workspace, own: OperationalRecord, desk: Any, wall: Wall, receiver: Receiver
) -> None:
    """Started, it delivers what is recorded; stopped, it ends at once."""
    add_webhook(place, receiver.url, by="anna", clock=wall)
    sender = Sender(own.outbox, wall, every_s=0.01)
    sender.start()
    own.record([desk.decide(AdmissionRequest("genuine"), wall)])
    for _ in range(500):
        if own.outbox.count_waiting() == 0:
            break
        sleep(0.01)
    sender.stop()
    assert len(receiver.came) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/",
        "file:///x",
        "",
        "https://",
        "https://shop.example:99999/",
        "https://shop.example:port/",
        f"https://{'a' * 64}.example/",
        "https://../",
        "https://shop.example/bücher",
        "https://shop.example/a b",
        "https://anna:word@shop.example/",
        f"https://shop.example/{'x' * 2_000}",
    ],
)
def test_unsafe_urls_are_refused(place: Workspace, wall: Wall, url: str) -> None:
    """Only https, but for loopback, that can be asked as it is written; and only what there is to tell."""
    with pytest.raises(BadInputError):
        add_webhook(place, url, by="anna", clock=wall)
    with pytest.raises(BadInputError):
        add_webhook(place, "https://shop.example", events=["everything"], by="anna", clock=wall)


def test_a_webhook_that_cannot_be_asked_silences_nobody(
    place: Workspace, own: OperationalRecord, desk: Any, wall: Wall, receiver: Receiver, capsys: Any
) -> None:
    """A URL on record from before URLs were held to this one's rules is an error of its own; the others are told."""
    bad = replace(add_webhook(place, receiver.url, by="anna", clock=wall), webhook_id="w-0", url="https://shop:99999/")
    own.outbox.add(bad)
    sender = Sender(own.outbox, wall, every_s=0.01)
    sender.start()
    for account in ("genuine", "reseller"):
        own.record([desk.decide(AdmissionRequest(account), wall)])
    for _ in range(500):
        if len(receiver.came) == 2:
            break
        sleep(0.01)
    sender.stop()
    assert len(receiver.came) == 2
    assert own.outbox.count_waiting() == 2
    assert "Port out of range" in capsys.readouterr().out


def test_who_cannot_be_reached_is_tried_once_a_round(
    place: Workspace, own: OperationalRecord, desk: Any, wall: Wall, receiver: Receiver
) -> None:
    """Of fifty messages for somebody who does not answer one is tried, so that the others need not wait for it."""
    add_webhook(place, "http://127.0.0.1:9/", by="anna", clock=wall)
    add_webhook(place, receiver.url, by="anna", clock=wall)
    own.record([desk.decide(AdmissionRequest(account), wall) for account in ("genuine", "reseller", "silent")])
    sender = Sender(own.outbox, wall)
    assert sender.send_due() == 3
    wall.now += timedelta(minutes=2)
    assert sorted(message.attempts for message in own.outbox.due(wall())) == [0, 0, 1]


def test_a_receiver_that_drips_is_cut_off(
    place: Workspace, own: OperationalRecord, desk: Any, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then keeps no connection open for ever."""
    monkeypatch.setattr(sending, "_ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                for letter in b"HTTP/1.1 " * 100:
                    connection.send(bytes([letter]))
                    sleep(0.02)

        dripping = Thread(target=drip)
        dripping.start()
        add_webhook(place, f"http://127.0.0.1:{listening.getsockname()[1]}/", by="anna", clock=wall)
        own.record([desk.decide(AdmissionRequest("genuine"), wall)])
        began = monotonic()
        assert Sender(own.outbox, wall).send_due() == 0
        assert monotonic() - began < 5
        dripping.join()
    assert own.outbox.count_waiting() == 1
