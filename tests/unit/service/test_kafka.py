"""Kafka in and out, on librdkafka's own mock brokers: nothing is lost, and nothing counts twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.domain.instants import utc
from membergate.operations.admission import AdmissionRequest
from membergate.operations.webhooks import add_webhook
from membergate.operations.workspace import Workspace
from membergate.service.kafka import KafkaIntake, KafkaOutlet, KafkaSettings, properties
from membergate.service.sending import Sender
from membergate.store import OperationalRecord, open_store

NOW = utc(2025, 6, 1)


@pytest.fixture
def brokers() -> Iterator[str]:
    """Start a mock cluster, and give its address."""
    cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
    found = cluster.list_topics(timeout=30).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in found)
    del cluster


def account(number: int) -> dict[str, Any]:
    """Give an event about an account."""
    row = {"account_id": f"a-{number}", "registered_at": "2025-05-01T00:00:00Z"}
    named = {"specversion": "1.0", "id": f"e-{number}", "source": "shop", "type": "membergate.accounts.v1"}
    return named | {"data": row}


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = monotonic() + 60
    while not holds() and monotonic() < deadline:
        sleep(0.05)
    assert holds()


def read(brokers: str, topic: str, most: int) -> list[Any]:
    """Read a topic from its beginning, as a group of its own: the mock waits 45 s for one that has left."""
    config = {"bootstrap.servers": brokers, "group.id": f"test-{monotonic()}", "auto.offset.reset": "earliest"}
    consumer, found = Consumer(config), list[Any]()
    consumer.subscribe([topic])
    deadline = monotonic() + 60
    while len(found) < most and monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            found.append(message)
    consumer.close()
    return found


def test_events_come_in_once_and_refusals_go_back(brokers: str, store: OperationalRecord) -> None:
    """Events alone and in arrays are in the inbox once, whoever reads again; what is none comes back with a reason."""
    outlet = KafkaOutlet(properties(brokers))
    for body in (json.dumps(account(1)), json.dumps([account(2), account(3)]), json.dumps(account(1)), "no JSON", "{}"):
        outlet.send("shop", "", body.encode())
    for place, group in enumerate(("one", "another"), 1):
        intake = KafkaIntake(store, lambda: NOW, KafkaSettings(properties(brokers), "shop", group))
        intake.start()
        until(lambda: store.inbox.count_waiting() == 3)
        back = read(brokers, "shop.refused", 2 * place)
        intake.stop()
        assert len(back) == 2 * place
    reasons = sorted(json.loads(message.value())["reason"] for message in back[:2])
    assert reasons == ["specversion: specversion None", "the message is no JSON"]


def test_an_offset_waits_for_the_record(
    brokers: str, store: OperationalRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the record cannot be written nothing moves on; afterwards everything is there."""
    fails = [True]
    real = store.inbox.add

    def add(events: Any) -> Any:
        if fails:
            fails.pop()
            raise WorkspaceError("the disk is full")
        return real(events)

    monkeypatch.setattr(store.inbox, "add", add)
    monkeypatch.setattr("membergate.service.kafka._PAUSE_S", 0.05)
    KafkaOutlet(properties(brokers)).send("shop", "", json.dumps(account(1)).encode())
    intake = KafkaIntake(store, lambda: NOW, KafkaSettings(properties(brokers), "shop"))
    intake.start()
    until(lambda: store.inbox.count_waiting() == 1)
    intake.stop()
    assert not fails


def test_what_waits_in_the_outbox_goes_to_a_topic(brokers: str, tmp_path: Any, desk: Any) -> None:
    """Signed, keyed by its delivery; while nobody is there to take it, it waits."""
    place = Workspace(tmp_path)
    with open_store(place.record) as record:
        add_webhook(place, "kafka:decisions", by="anna", clock=lambda: NOW)
        decision = desk.decide(AdmissionRequest("genuine"), lambda: NOW)
        record.record([decision])
        assert Sender(record.outbox, lambda: NOW).send_due() == 0
        assert record.outbox.count_waiting() == 1
        later = utc(2025, 6, 2)
        assert Sender(record.outbox, lambda: later, outlet=KafkaOutlet(properties(brokers))).send_due() == 1
        assert record.outbox.count_waiting() == 0
    (message,) = read(brokers, "decisions", 1)
    assert json.loads(message.value())["data"]["decision_id"] == decision.decision_id
    assert dict(message.headers())["Membergate-Signature"]


def test_properties_that_are_none() -> None:
    """A property without a value, or unknown to the client, is refused."""
    with pytest.raises(BadInputError, match="name and a value"):
        properties("x", "acks")
    with pytest.raises(BadInputError, match="refuses"):
        KafkaOutlet(properties("x", "no.such.thing=1"))


@pytest.mark.parametrize("url", ["kafka:", "kafka:a b", "kafka://host/topic", "kafka:" + "x" * 250])
def test_a_topic_that_is_none(url: str, tmp_path: Any) -> None:
    """Topics have letters, digits, dots, lines and underscores."""
    with pytest.raises(BadInputError):
        add_webhook(Workspace(tmp_path), url, by="anna", clock=lambda: NOW)
