"""events: rows of the market as they happen, in CloudEvents: at least once, in any order, each kept once."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from membergate.domain.errors import BadInputError
from membergate.domain.instants import Clock, format_instant, parse_instant
from membergate.market.declaring import Column, Kind, Table
from membergate.market.loading import LoadReport
from membergate.market.schema import TABLES
from membergate.operations.ingest import ingest
from membergate.operations.opening import open_record
from membergate.operations.orders import SCOPE, release
from membergate.operations.velocity import charge
from membergate.operations.workspace import Workspace
from membergate.store import InboxEvent, OperationalRecord
from membergate.store.codec import is_storable_id

_TYPE = re.compile(r"membergate\.([a-z_]{1,40})\.v1")
_INGESTED_AT = "ingested_at"
_CLOCK_TOLERANCE = timedelta(seconds=5)
_Rows = dict[str, list[tuple[int, dict[str, Any]]]]
"""Rows by table, each with the number of its event."""


@dataclass(frozen=True)
class TakenUp:
    """What became of the events that were waiting.

    Parameters
    ----------
    taken
        Events that the warehouse has, by table; rows that it refused are in its quarantine, with reasons.
    waiting
        Events that wait for a row that they hang from, such as an order's line for its order.
    reports
        The report of each load; none where there was nothing to load.
    """

    taken: dict[str, int]
    waiting: int
    reports: tuple[LoadReport, ...]


@dataclass(frozen=True, slots=True)
class EventAnswer:
    """What became of one event.

    Parameters
    ----------
    event_id
        Its id, as far as it could be read.
    state
        `accepted`, `duplicate` (it came before, and nothing changes), or `refused`.
    what, where, allowed
        Why it was refused; empty otherwise.
    """

    event_id: str
    state: str
    what: str = ""
    where: str = ""
    allowed: str = ""


def read_event(event: Any, received_at: datetime) -> InboxEvent:
    """Read one CloudEvent, and check what can be checked of it alone.

    Parameters
    ----------
    event
        A parsed JSON value: CloudEvents 1.0, structured. `type` is `membergate.TABLE.v1`, `data` one row of the table.
    received_at
        When it came. A row that does not say when the platform came to know it is known from now on.

    Raises
    ------
    BadInputError
        With the attribute or column, and what is allowed.
    """
    if not isinstance(event, dict):
        raise BadInputError("an event is an object", where="event", allowed="CloudEvents 1.0, structured JSON")
    if event.get("specversion") != "1.0":
        raise BadInputError(f"specversion {event.get('specversion')!r:.40}", where="specversion", allowed="1.0")
    source, event_id = (_name(event, attribute) for attribute in ("source", "id"))
    if event.get("datacontenttype", "application/json") != "application/json":
        raise BadInputError("the data is no JSON", where="datacontenttype", allowed="application/json")
    match = _TYPE.fullmatch(str(event.get("type", "")))
    table = TABLES.get(match.group(1)) if match else None
    if table is None:
        allowed = ", ".join(f"membergate.{name}.v1" for name in TABLES)
        raise BadInputError(f"unknown type {event.get('type')!r:.80}", where="type", allowed=allowed)
    row = event.get("data")
    if not isinstance(row, dict):
        raise BadInputError("the data is no row", where="data", allowed="an object with the table's columns")
    row = {_INGESTED_AT: format_instant(received_at)} | _of_table(table, row)
    for column in table.readable_columns:
        _check(column, row.get(column.name), received_at, is_announced=table.is_announced)
    return InboxEvent(source, event_id, f"membergate.{table.name}.v1", _json(row), received_at)


def _of_table(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Give a row with the columns that its table has: no name of a sender's own may stand in the way of a load."""
    names = {column.name for column in table.readable_columns}
    for name in row.keys() - names:
        if name.casefold() in names:
            raise BadInputError(f"{name!r:.60} is no column", where=f"data.{name.casefold()}", allowed=name.casefold())
    return {name: value for name, value in row.items() if name in names}


def take(record: OperationalRecord, events: Sequence[Any], *, at: datetime) -> list[EventAnswer]:
    """Take events into the inbox; each is answered for itself, in order.

    Velocity counts them in event time, a repeat never twice. An order that was cancelled gives back what it
    used of its limits.

    Parameters
    ----------
    record
        The record with the inbox.
    events
        Parsed JSON values.
    at
        When they came.

    Raises
    ------
    WorkspaceError
        If the record cannot be written. All may be sent again.
    """
    answers: list[EventAnswer] = []
    good: list[tuple[int, InboxEvent]] = []
    for place, event in enumerate(events):
        name = str(event.get("id", ""))[:512] if isinstance(event, dict) else ""
        try:
            good.append((place, read_event(event, at)))
            answers.append(EventAnswer(name, "accepted"))
        except BadInputError as error:
            answers.append(EventAnswer(name, "refused", error.what, error.where, error.allowed))
    is_new = record.inbox.add([event for _, event in good])
    charge(record.velocity, [(_table_of(event), json.loads(event.body)) for _, event in good], at)
    for (place, event), new in zip(good, is_new, strict=True):
        if not new:
            answers[place] = replace(answers[place], state="duplicate")
        elif _table_of(event) == "orders":
            _release_if_cancelled(record, event, at)
    return answers


def take_events(workspace: Workspace, file: Path, *, clock: Clock) -> list[EventAnswer]:
    """Take a file of events, one JSON object a line, into the inbox; a line that is no JSON is a refused event.

    Raises
    ------
    BadInputError
        If the file cannot be read.
    """
    answers: dict[int, EventAnswer] = {}
    found: dict[int, Any] = {}
    try:
        with file.open("rb") as stream:
            lines = stream.readlines()  # not splitlines: texts may hold other separators of lines
    except OSError as error:
        raise BadInputError(f"the file cannot be read: {error}", where=str(file)) from None
    for number, line in enumerate(lines, 1):
        try:
            found[number] = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            what, allowed = "this line is no JSON", "one event, in UTF-8"
            answers[number] = EventAnswer("", "refused", what, f"line {number}", allowed)
    with open_record(workspace) as record:
        answers |= zip(found, take(record, list(found.values()), at=clock()), strict=True)
    return [answers[number] for number in sorted(answers)]


def _release_if_cancelled(record: OperationalRecord, event: InboxEvent, at: datetime) -> None:
    row = json.loads(event.body)
    if row.get("status") == "cancelled" and record.questions.of_key(SCOPE, str(row["order_id"])) is not None:
        release(record, str(row["order_id"]), at=at)


def load_events(workspace: Workspace, *, clock: Clock) -> TakenUp:
    """Load the events that wait into the warehouse; one that hangs from a row that is not there yet goes on waiting.

    However many wait, they are looked at some at a time, and again for as long as something could be loaded. A crash in
    between does no harm: what was loaded is known again, and what was not goes on waiting.

    Raises
    ------
    BadInputError
        If the warehouse is empty and a table that it needs is not among the events.
    WorkspaceError
        If the warehouse is busy, or the record does not answer.
    """
    taken: Counter[str] = Counter()
    reports: list[LoadReport] = []
    with open_record(workspace) as record:
        loaded_before = -1
        while loaded_before < len(reports):
            loaded_before, after = len(reports), 0
            while events := record.inbox.waiting(after):
                after = events[-1][0]
                ready = _with_parents(workspace, _rows_of(events))
                if ready:
                    reports.append(_load(workspace, record, ready, clock))
                    taken.update({table: len(found) for table, found in ready.items()})
        return TakenUp(dict(taken), record.inbox.count_waiting(), tuple(reports))


def _rows_of(events: Sequence[tuple[int, InboxEvent]]) -> _Rows:
    rows: _Rows = defaultdict(list)
    for number, event in events:
        name = _table_of(event)
        row = json.loads(event.body)
        names = {column.name for column in TABLES[name].readable_columns}
        rows[name].append((number, {column: value for column, value in row.items() if column in names}))
    return rows


def _load(workspace: Workspace, record: OperationalRecord, ready: _Rows, clock: Clock) -> LoadReport:
    with TemporaryDirectory(prefix="membergate-events-") as folder:
        for table, found in ready.items():
            lines = "".join(f"{_json(row)}\n" for _, row in found)
            (Path(folder) / f"{table}.jsonl").write_text(lines, encoding="utf-8")
        report = ingest(workspace.root, Path(folder), clock=clock)
    charge(record.velocity, [(table, row) for table, found in ready.items() for _, row in found], clock())
    numbers = [number for found in ready.values() for number, _ in found]
    record.inbox.mark_taken(numbers, at=clock())
    return report


def _with_parents(workspace: Workspace, rows: _Rows) -> _Rows:
    """Leave out rows whose parents are neither in the warehouse nor among the rows."""
    ready: _Rows = {}
    for name, table in TABLES.items():  # parents come before their children
        found = rows.get(name, [])
        if found and table.parent is not None:
            key, parents = table.parent.key, {row.get(table.parent.key) for _, row in ready.get(table.parent.table, ())}
            parents |= _known_keys(workspace, table, {row.get(key) for _, row in found} - parents)
            found = [(number, row) for number, row in found if row.get(key) in parents]
        if found:
            ready[name] = found
    return ready


def _known_keys(workspace: Workspace, table: Table, keys: set[Any]) -> set[Any]:
    parent = table.parent
    if parent is None or not keys or not workspace.warehouse_folder.exists():
        return set()
    warehouse = workspace.warehouse()
    if parent.table not in warehouse.columns():
        return set()
    query = f'SELECT DISTINCT "{parent.key}" FROM "{parent.table}" WHERE list_contains($keys, "{parent.key}")'
    with warehouse.connect() as connection:
        found = connection.execute(query, {"keys": sorted(map(str, keys))}).fetchall()
    return {row[0] for row in found}


def _name(event: dict[str, Any], attribute: str) -> str:
    text = event.get(attribute)
    if not isinstance(text, str) or not text or not is_storable_id(text):
        raise BadInputError(f"{attribute} names the event", where=attribute, allowed="1 to 512 characters")
    return text


def _check(column: Column, value: Any, now: datetime, *, is_announced: bool) -> None:
    """Refuse what the warehouse would refuse, so that the sender learns of it now."""
    where = f"data.{column.name}"
    if value is None:
        if column.is_required:
            raise BadInputError(f"{column.name} is missing", where=where, allowed=f"a {column.kind.value}")
        return
    if not _is_of_kind(column, value):
        allowed = ", ".join(column.choices) or f"a {column.kind.value}"
        raise BadInputError(f"{value!r:.60} is no {column.kind.value}", where=where, allowed=allowed)
    if column.kind is Kind.TIME:
        try:
            is_late = parse_instant(value) > now + _CLOCK_TOLERANCE
        except BadInputError as error:
            raise BadInputError(error.what, where=where, allowed=error.allowed) from None
        if is_late and not is_announced:
            raise BadInputError(f"{value} lies in the future", where=where, allowed=f"up to {format_instant(now)}")


def _is_of_kind(column: Column, value: Any) -> bool:
    if column.kind in {Kind.MONEY, Kind.COUNT, Kind.NUMBER}:
        is_number = isinstance(value, int | float) if column.kind is Kind.NUMBER else isinstance(value, int)
        if not is_number or isinstance(value, bool):
            return False
        low, high = column.minimum, column.maximum
        return (low is None or value >= low) and (high is None or value <= high)
    if column.kind is Kind.FLAG:
        return isinstance(value, bool)
    if not isinstance(value, str) or not is_storable_id(value):
        return False
    return value in column.choices if column.choices else True


def _table_of(event: InboxEvent) -> str:
    return event.event_type.split(".")[1]


def _json(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
