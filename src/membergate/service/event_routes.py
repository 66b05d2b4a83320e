"""The route for events: CloudEvents 1.0 in structured mode, one or a batch, at least once, in any order."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Struct

from membergate.domain.access import Scope
from membergate.domain.errors import BadInputError
from membergate.operations.events import take
from membergate.service.answers import WITH_BODY, asks_for, refusals
from membergate.service.door import Door
from membergate.service.guarding import only_json

LARGEST_BATCH_BYTES = 1_048_576
MOST_EVENTS = 1_000


class EventOutcome(Struct, frozen=True):
    """What became of one event: `accepted`, `duplicate`, or `refused`, with what is wrong and what is allowed."""

    event_id: str
    state: str
    what: str = ""
    where: str = ""
    allowed: str = ""


class EventOutcomes(Struct, frozen=True):
    """What became of each event, in the order in which they were sent."""

    events: list[EventOutcome]


@post(
    "/v1/events",
    **asks_for(Scope.EVENTS),
    media_types=("application/cloudevents+json", "application/cloudevents-batch+json", "application/json"),
    guards=[only_json],
    request_max_body_size=LARGEST_BATCH_BYTES,
    status_code=HTTPStatus.OK,
    sync_to_thread=True,
    tags=["events"],
    summary="Rows of the market as they happen",
    responses=refusals(*WITH_BODY),
)
def take_events(data: JSONBody[dict[str, Any] | list[Any]], door: NamedDependency[Door]) -> EventOutcomes:
    """Take one event or a batch. Each is answered for itself; what came before is a duplicate, and changes nothing.

    Raises
    ------
    BadInputError
        If the only event is refused, or there are too many.
    """
    events = data if isinstance(data, list) else [data]
    if len(events) > MOST_EVENTS:
        raise BadInputError(f"{len(events)} events at once", where="body", allowed=f"at most {MOST_EVENTS}")
    answers = take(door.store, events, at=door.clock())
    if not isinstance(data, list) and answers[0].state == "refused":
        only = answers[0]
        raise BadInputError(only.what, where=f"body.{only.where}", allowed=only.allowed)
    return EventOutcomes([EventOutcome(a.event_id, a.state, a.what, a.where, a.allowed) for a in answers])


EVENT_ROUTES = [take_events]
"""The routes about events."""
