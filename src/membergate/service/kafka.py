"""Kafka in and out (extra `kafka`): events of a topic come into the inbox, and the outbox goes to topics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import structlog

from membergate.domain.errors import BadInputError, MembergateError, WorkspaceError
from membergate.domain.instants import Clock
from membergate.operations.events import take
from membergate.store import OperationalRecord

_log = structlog.get_logger("membergate.kafka")
_MOST_AT_ONCE = 500
_POLL_S = 0.5
_SEND_S = 10
_PAUSE_S = 2.0
_MISSING = "Kafka needs a client that is not installed"
_NEXT = "pip install 'membergate[kafka]'"


def properties(servers: str, more: str = "") -> dict[str, str]:
    """Give librdkafka's properties.

    Parameters
    ----------
    servers
        `host:port`, several with commas.
    more
        Further properties such as `security.protocol=SASL_SSL sasl.username=…`, separated by white space. They may be
        secrets, so they come from the environment.

    Raises
    ------
    BadInputError
        If one has no `=`.
    """
    found = {"bootstrap.servers": servers}
    for item in more.split():
        name, sign, value = item.partition("=")
        if not sign or not name:
            raise BadInputError("a Kafka property has a name and a value", where=name[:40], allowed="name=value …")
        found[name] = value
    return found


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where Kafka is, and what is read of it.

    Parameters
    ----------
    properties
        librdkafka's; see `properties`.
    topic
        The topic whose events are taken; empty for none.
    group
        As which consumer group.
    """

    properties: Mapping[str, str]
    topic: str = ""
    group: str = "membergate"


class KafkaIntake:
    """Takes CloudEvents from a topic into the inbox, in a thread of its own; at least once, as everything there.

    A message is one event, or an array of events. The group's offset moves on once they are on disk. What is refused is
    logged, and goes to the topic `TOPIC.refused` with the reason, so that nothing is lost in silence; only then the
    offset moves.

    Parameters
    ----------
    record
        The record with the inbox.
    clock
        Gives the present.
    settings
        Where, what, and as which consumer group: processes of one group share the partitions.

    Raises
    ------
    BadInputError
        If the client is not installed, or does not know a property.
    """

    def __init__(self, record: OperationalRecord, clock: Clock, settings: KafkaSettings) -> None:
        self._record = record
        self._clock = clock
        self._topic = settings.topic
        own = {"group.id": settings.group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        self._consumer = _client("Consumer", {**settings.properties, **own})
        self._outlet = KafkaOutlet(settings.properties)
        self._ended = Event()
        self._thread = Thread(target=self._work, name="membergate-kafka", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._consumer.subscribe([self._topic])
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; waits for what is under way, and leaves the group."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()

    def _work(self) -> None:
        while not self._ended.is_set():
            messages = self._consumer.consume(_MOST_AT_ONCE, timeout=_POLL_S)
            good = [message for message in messages if message.error() is None]
            for message in messages:
                if message.error() is not None:
                    _log.error("kafka_failed", error=str(message.error()))
            while good and not self._is_taken(good):
                if self._ended.wait(_PAUSE_S):
                    return  # its offset stays: whoever comes next takes it
            if good:
                self._consumer.commit(message=None, asynchronous=False)

    def _is_taken(self, messages: Sequence[Any]) -> bool:
        """Take messages into the inbox and tell of the refused; whatever fails is tried again, nothing is skipped."""
        try:
            events, refused = _events_of([message.value() or b"" for message in messages])
            answers = take(self._record, events, at=self._clock())
            told = zip(events, answers, strict=True)
            refused += [(event, f"{a.where}: {a.what}") for event, a in told if a.state == "refused"]
            for event, reason in refused:
                _log.warning("event_refused", topic=self._topic, reason=reason)
                self._outlet.send(f"{self._topic}.refused", "", _text({"event": event, "reason": reason}))
        except MembergateError as error:
            _log.error("cannot_take", **error.as_record())
            return False
        return True


class KafkaOutlet:
    """Sends messages to topics, and waits until the brokers have them.

    Parameters
    ----------
    config
        librdkafka's properties.

    Raises
    ------
    BadInputError
        If the client is not installed, or does not know a property.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        own = {"acks": "all", "enable.idempotence": True, "message.timeout.ms": _SEND_S * 1000}
        self._producer = _client("Producer", {**config, **own})

    def send(self, topic: str, key: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send one message.

        Raises
        ------
        WorkspaceError
            If the brokers did not take it.
        """
        errors: list[object] = ["no answer in time"]

        def noted(error: object, _message: object) -> None:
            errors[:] = [] if error is None else [error]

        try:
            self._producer.produce(topic, body, key.encode(), headers=dict(headers or {}), on_delivery=noted)
        except (BufferError, RuntimeError, ValueError) as error:
            errors[:] = [error]
        else:
            self._producer.flush(_SEND_S + 1)
        if errors:
            raise WorkspaceError(f"Kafka did not take a message: {errors[0]}", where=topic, next_step="see the brokers")


def _events_of(bodies: Sequence[bytes]) -> tuple[list[Any], list[tuple[Any, str]]]:
    """Read messages; gives the events, and what is no JSON, with the reason."""
    events: list[Any] = []
    refused: list[tuple[Any, str]] = []
    for body in bodies:
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            refused.append((body[:1000].decode(errors="replace"), "the message is no JSON"))
            continue
        events.extend(found if isinstance(found, list) else [found])
    return events, refused


def _text(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=True).encode()


def _client(kind: str, config: Mapping[str, Any]) -> Any:
    try:
        import confluent_kafka  # noqa: PLC0415  # an extra
    except ModuleNotFoundError:
        raise BadInputError(_MISSING, next_step=_NEXT) from None
    try:
        return getattr(confluent_kafka, kind)(dict(config), logger=None)
    except (confluent_kafka.KafkaException, ValueError, TypeError) as error:
        raise BadInputError(f"Kafka's client refuses its properties: {error}", allowed="librdkafka's") from None
