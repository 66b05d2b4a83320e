"""Events: checked one by one, kept once, loaded when what they hang from is there."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from membergate.domain.errors import BadInputError
from membergate.domain.instants import format_instant
from membergate.operations.events import load_events, read_event, take, take_events
from membergate.operations.explain import explain
from membergate.operations.learn import Learned
from membergate.operations.workspace import Workspace
from membergate.store import InboxEvent, OperationalRecord, open_store
from membergate.store.inbox import EventInbox


def event(event_id: str, table: str, row: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Write a CloudEvent."""
    named = {"specversion": "1.0", "id": event_id, "source": "shop", "type": f"membergate.{table}.v1"}
    return named | {"data": row} | more


def account(name: str, at: Any) -> dict[str, Any]:
    """Write an account's row."""
    return {"account_id": name, "registered_at": format_instant(at)}


def order(name: str, account_id: str, at: Any, **more: Any) -> dict[str, Any]:
    """Write an order's row."""
    row = {"order_id": name, "account_id": account_id, "ordered_at": format_instant(at), "status": "placed"}
    return row | {"currency": "CNY", "total_minor": 500} | more


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"source": "\x00"}, "source"),
        ({"type": "membergate.nonsense.v1"}, "type"),
        ({"type": "membergate.orders.v2"}, "type"),
        ({"data": []}, "data"),
        ({"datacontenttype": "text/xml"}, "datacontenttype"),
        ({"data": {"account_id": "a"}}, "data.registered_at"),
        ({"data": {"account_id": 5, "registered_at": "2025-01-01"}}, "data.account_id"),
        ({"data": {"account_id": "a", "registered_at": "yesterday"}}, "data.registered_at"),
        ({"data": {"account_id": "a", "registered_at": "2999-01-01"}}, "data.registered_at"),
        ({"data": {"account_id": "a", "registered_at": "2025-01-01", "is_seller": "no"}}, "data.is_seller"),
        ({"data": {"account_id": "a", "registered_at": "2025-01-01", "declared_use": "war"}}, "data.declared_use"),
        ({"data": {"account_id": "a", "registered_at": "2025-01-01", "ACCOUNT_ID": "b"}}, "data.account_id"),
    ],
)
def test_a_bad_event_is_pointed_at(shop: Any, change: dict[str, Any], where: str) -> None:
    """The sender learns which attribute or column is wrong, and what is allowed."""
    good = event("e-1", "accounts", account("a", shop.now))
    assert read_event(good, shop.now).event_id == "e-1"
    with pytest.raises(BadInputError) as caught:
        read_event(good | change, shop.now)
    assert caught.value.where == where
    assert caught.value.allowed


@pytest.mark.parametrize("value", [None, 5, "text", [], True])
def test_what_is_no_event_is_refused(record: OperationalRecord, shop: Any, value: Any) -> None:
    """Any JSON value is answered for itself, beside good ones."""
    answers = take(record, [value, event("e", "accounts", account("a", shop.now))], at=shop.now)
    assert [answer.state for answer in answers] == ["refused", "accepted"]


def test_a_repeated_event_is_kept_once(record: OperationalRecord, shop: Any) -> None:
    """In one batch, or in another; another source may use the same id."""
    same = event("e", "accounts", account("a", shop.now))
    other = same | {"source": "another shop"}
    assert [a.state for a in take(record, [same, same, other], at=shop.now)] == ["accepted", "duplicate", "accepted"]
    assert [a.state for a in take(record, [same], at=shop.now)] == ["duplicate"]
    assert record.inbox.count_waiting() == 2


def test_events_in_any_order_reach_the_warehouse(live: Workspace, shop: Any) -> None:
    """An order waits for its account, its lines for the order; loading twice, or after a crash, changes nothing."""
    then = shop.now - timedelta(hours=2)
    line = {"line_id": "new-l", "order_id": "new-o", "sku_id": "s", "quantity": 1, "net_price_minor": 500}
    line |= {"list_price_minor": 500}
    with open_store(live.record) as record:
        take(record, [event("1", "order_lines", line), event("2", "orders", order("new-o", "new-a", then))], at=then)
    first = load_events(live, clock=shop.clock)
    assert (first.taken, first.waiting) == ({}, 2)
    with open_store(live.record) as record:
        take(record, [event("3", "accounts", account("new-a", then))], at=shop.now)
    second = load_events(live, clock=shop.clock)
    assert (second.taken, second.waiting) == ({"accounts": 1, "orders": 1, "order_lines": 1}, 0)
    with live.warehouse().connect() as connection:
        rows = connection.execute("SELECT account_id, quantity FROM order_lines WHERE line_id = 'new-l'").fetchall()
    assert rows == [("new-a", 1)]
    with open_store(live.record) as record, record._writing.begin() as connection:
        connection.exec_driver_sql("UPDATE event_inbox SET taken_at = NULL WHERE event_id = '9'")
    assert load_events(live, clock=shop.clock).taken == {}


def test_a_file_of_events(live: Workspace, shop: Any, tmp_path: Path) -> None:
    """One object a line; a line that is no JSON is refused with its number, and the others are taken."""
    file = tmp_path / "events.jsonl"
    one, other = (json.dumps(event(name, "accounts", account(name, shop.now))).encode() for name in ("1", "2"))
    file.write_bytes(b"\n".join((one, b"{", b"\xff", other)) + b"\n")
    answers = take_events(live, file, clock=shop.clock)
    assert [a.state for a in answers] == ["accepted", "refused", "refused", "accepted"]
    assert [(a.what, a.where) for a in answers[1:3]] == [("this line is no JSON", f"line {n}") for n in (2, 3)]
    assert [a.state for a in take_events(live, file, clock=shop.clock)][::3] == ["duplicate", "duplicate"]
    file.write_text("{\n")
    assert [a.state for a in take_events(live, file, clock=shop.clock)] == ["refused"]


def test_no_column_of_a_senders_own_stops_a_load(live: Workspace, shop: Any) -> None:
    """Names and values that no table has are left out, whatever they are, also of what waits from before."""
    then = shop.now - timedelta(hours=2)
    strange = {"": 1, 'a"b': 2, "half": "\ud800", "deep": {"a": [1]}, "k" * 9_000: 3}
    with open_store(live.record) as record:
        answers = take(record, [event("1", "accounts", account("x-1", then) | strange)], at=shop.now)
        assert [answer.state for answer in answers] == ["accepted"]
        older = {"ACCOUNT_ID": "y", **account("x-2", then)}
        kept = InboxEvent("shop", "2", "membergate.accounts.v1", json.dumps(older), shop.now)
        assert record.inbox.add([kept]) == [True]
    loaded = load_events(live, clock=shop.clock)
    assert (loaded.taken, loaded.waiting) == ({"accounts": 2}, 0)


def test_however_many_wait_all_are_loaded(live: Workspace, shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time: orphans in front hold nobody up, and a line finds an order that comes after it."""
    then = shop.now - timedelta(hours=2)
    line = {"sku_id": "s", "quantity": 1, "net_price_minor": 500, "list_price_minor": 500}
    lines = [line | {"line_id": f"l-{order_id}", "order_id": order_id} for order_id in ("no-1", "no-2", "z-1", "no-3")]
    events = [event(f"l-{number}", "order_lines", row) for number, row in enumerate(lines)]
    events += [event("o", "orders", order("z-1", "z", then)), event("a", "accounts", account("z", then))]
    with open_store(live.record) as record:
        take(record, events, at=shop.now)
    waiting = EventInbox.waiting
    monkeypatch.setattr(EventInbox, "waiting", lambda inbox, after: waiting(inbox, after, most=2))
    loaded = load_events(live, clock=shop.clock)
    assert (loaded.taken, loaded.waiting) == ({"accounts": 1, "orders": 1, "order_lines": 1}, 3)


def test_an_application_is_explained_as_of_its_submission(
    workspace: Workspace, learned_workspace: tuple[Workspace, Learned], shop: Any, tmp_path: Path
) -> None:
    """Rows that came later without `ingested_at` are no part of it; the same rows with their own instants are."""
    model = learned_workspace[1].model_version
    start, submitted = shop.now - timedelta(days=60), shop.now - timedelta(days=2)
    rows: list[dict[str, Any]] = []
    for name in ("late", "told"):
        when = [start, submitted, *(start + timedelta(days=5 * n + 1) for n in range(8))]
        known = [{"ingested_at": format_instant(at)} if name == "told" else {} for at in when]
        rows.append(event(name, "accounts", account(name, start) | known[0]))
        asked = {"application_id": f"{name}-asks", "account_id": name, "plan": "annual"}
        asked |= {"submitted_at": format_instant(submitted)}
        rows.append(event(f"{name}-asks", "applications", asked | known[1]))
        rows += [
            event(f"{name}-{n}", "orders", order(f"{name}-{n}", name, when[n + 2], **known[n + 2])) for n in range(8)
        ]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert {it.state for it in take_events(workspace, tmp_path / "events.jsonl", clock=shop.clock)} == {"accepted"}
    load_events(workspace, clock=shop.clock)
    found = [explain(workspace, name, clock=shop.clock, model_version=model) for name in ("late", "told")]
    assert [each.decision.as_of for each in found] == [submitted, submitted]
    seen = [{each.name: each.value for each in one.evidence}["evidence_mass"] for one in found]
    assert seen == [0, 8]
