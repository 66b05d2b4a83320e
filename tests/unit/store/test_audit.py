"""The audit chain finds whatever was changed, removed, added or reordered in SQL, and names the first such row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Double, delete, func, insert, select, update

from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.errors import BadInputError
from membergate.domain.evidence import Evidence
from membergate.domain.instants import utc
from membergate.domain.labels import LabelGrade
from membergate.domain.limits import Ask, Limit
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType
from membergate.store import Head, OperationalRecord, PolicyState, Question, open_store
from membergate.store.auditing import _Ranges
from membergate.store.tables import METADATA

NOW = utc(2026, 1, 15)
MakeDecision = Callable[..., Decision]
COVERED = ("decisions", "terms", "list_changes", "list_entries", "policy_events", "policy_versions", "cap_uses")
CHAINED = (*COVERED, "decision_entries", "audit")


def entry(number: int) -> ListEntry:
    """Make a list entry."""
    return ListEntry(
        f"e-{number}", RiskList.WATCH, Subject(SubjectType.ACCOUNT, f"account-{number}"), "RESALE_BULK",
        LabelGrade.L1, "partner", False, 0.9, NOW, NOW, NOW + timedelta(days=90),
    )  # fmt: skip


def fill(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """Write something of every kind."""
    listed = (Evidence("list_watch", True, "list:watch:e-1,e-2", NOW),)
    store.lists.change([entry(1), entry(2), entry(3)], at=NOW, by="anna")
    store.record([make_decision(number) for number in range(5)])
    store.record([make_decision(number, evidence=listed) for number in range(5, 8)])
    store.lists.change(retract=["e-2"], at=NOW, by="bert", reason="another person")
    store.policies.submit("p", "1", "digest-1", "text", at=NOW, by="anna")
    store.policies.advance("digest-1", PolicyState.APPROVED, allowed_from=[PolicyState.DRAFT], at=NOW, by="bert")
    limit = Limit("sku", 3, NOW - timedelta(days=30))
    store.caps.draw([Ask(f"u-{number}", 1, (limit,)) for number in range(3)], at=NOW)
    store.caps.release(["u-1"], at=NOW)


@pytest.fixture
def filled(store: OperationalRecord, make_decision: MakeDecision) -> OperationalRecord:
    """Give a record with something of every kind, on each backend."""
    fill(store, make_decision)
    return store


def test_an_untouched_record_verifies(filled: OperationalRecord) -> None:
    """Every row is compared, and the head says where the chain ends."""
    found = filled.audit.verify(filled.audit.head())
    assert (found.fault, found.erased) == ("", 0)
    assert found.rows >= 5 + 3 + 4 + 2 + 4
    assert Head.parse(str(found.head)) == filled.audit.head()


def test_a_failed_change_leaves_the_chain_whole(filled: OperationalRecord, make_decision: MakeDecision) -> None:
    """What is refused, alone or beside what is written, is covered by nothing."""
    head = filled.audit.head()
    with pytest.raises(Exception, match="on record with another"):
        filled.record([make_decision(40), make_decision(1, risk_score=0.5)])
    assert filled.audit.head() == head
    filled.record([make_decision(41)])
    assert filled.audit.verify(head).fault == ""


def _other(value: Any, column: Column[Any]) -> Any:
    """Give another value that the column can hold."""
    if value is None:
        return 1.0 if isinstance(column.type, Double) else NOW
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1]) if value else b"\x01"
    if isinstance(value, str):
        return value + "x"
    return value + timedelta(microseconds=1)


def tamper(connection: Connection, data: st.DataObject) -> None:
    """Change a value, remove a row, or exchange two rows, as somebody with the database's password could."""
    table = METADATA.tables[data.draw(st.sampled_from(CHAINED))]
    rows = [dict(row) for row in connection.execute(select(table)).mappings()]
    key = next(iter(table.primary_key.columns))
    row = data.draw(st.sampled_from(rows))
    how = data.draw(st.sampled_from(["change", "remove", "exchange", "add"]))
    if how == "remove":
        connection.execute(delete(table).where(key == row[key.name]))
    elif how == "add" and key.name == "number":
        highest = connection.execute(select(func.max(key))).scalar_one()
        more = {"change": "other"} if table.name == "list_changes" else {}
        connection.execute(insert(table).values({**row, "number": highest + 1, **more}))
    elif how == "exchange" and key.name == "number" and len(rows) > 1:
        other = data.draw(st.sampled_from([each for each in rows if each is not row]))
        for place, number in ((-1, row["number"]), (row["number"], other["number"]), (other["number"], -1)):
            connection.execute(update(table).where(key == number).values(number=place))
    else:
        column = data.draw(st.sampled_from([c for c in table.c if c.name != "number"]))
        value = None if column.name == "released_at" and row[column.name] else _other(row[column.name], column)
        connection.execute(update(table).where(key == row[key.name]).values({column.name: value}))


@pytest.fixture
def reopened(store_url: str, make_decision: MakeDecision) -> Iterator[OperationalRecord]:
    """Give a filled record that was closed in between."""
    with open_store(store_url) as store:
        fill(store, make_decision)
    with open_store(store_url) as store:
        yield store


@given(data=st.data())
@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_tampering_is_found_and_named(reopened: OperationalRecord, data: st.DataObject) -> None:
    """Whichever value of whichever row is changed, removed, added or exchanged in SQL, verifying names a row."""
    with reopened._writing.connect() as connection:
        transaction = connection.begin()
        tamper(connection, data)
        from membergate.store.auditing import _verify  # noqa: PLC0415 - inside the transaction, which is taken back

        head = reopened.audit.head() if reopened.origin.startswith("postgresql") else None
        found = _verify(connection, head)
        transaction.rollback()
    assert found.fault
    assert reopened.audit.verify().fault == ""


def test_the_first_bad_row_is_named(filled: OperationalRecord) -> None:
    """Of two rows that were changed, the one that was written first."""
    table = METADATA.tables["decisions"]
    with filled._writing.begin() as connection:
        connection.execute(update(table).where(table.c.number.in_([3, 6])).values(disposition=0))
    assert filled.audit.verify().fault == "decisions: row 3 is not what was written"


def test_a_cut_off_end_is_found_through_a_head_kept_elsewhere(filled: OperationalRecord) -> None:
    """The chain alone cannot tell; with the head it can, and a chain that was written anew is another one."""
    before = filled.audit.head()
    limit = Limit("sku", 9, NOW - timedelta(days=30))
    filled.caps.draw([Ask("late", 1, (limit,))], at=NOW)
    kept = filled.audit.head()
    uses, audit = METADATA.tables["cap_uses"], METADATA.tables["audit"]
    with filled._writing.begin() as connection:
        connection.execute(delete(uses).where(uses.c.use_id == "late"))
        connection.execute(delete(audit).where(audit.c.number == kept.number))
    assert filled.audit.verify().fault == ""
    assert filled.audit.verify(before).fault == ""
    assert "the end was cut off" in filled.audit.verify(kept).fault
    filled.caps.draw([Ask("other", 1, (limit,))], at=NOW)
    assert "written anew" in filled.audit.verify(kept).fault


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE decisions SET as_of = 'x' WHERE number = 3", "decisions: a row holds what was not written"),
        ("UPDATE list_changes SET changed_at = 'x' WHERE number = 1", "list_changes: a row holds what was not written"),
        ("UPDATE audit SET digests = 'x' WHERE number = 2", "audit: an entry after"),
    ],
)
def test_a_value_of_another_kind_is_a_finding(
    tmp_path: Path, make_decision: MakeDecision, change: str, told: str
) -> None:
    """SQLite keeps any value in any column: a text where an instant was is found, and is no traceback."""
    with open_store(tmp_path / "record.sqlite") as store:
        fill(store, make_decision)
        with store._writing.begin() as connection:
            connection.exec_driver_sql(change)
        assert store.audit.verify().fault.startswith(told)


def test_ranges_that_overlap_hold_what_any_of_them_holds() -> None:
    """However many there are, a number is looked for by halving."""
    ranges = _Ranges([(10, 30), (12, 14), (1, 1), (40, 41), (29, 35)])
    assert [number for number in range(45) if number in ranges] == [1, *range(10, 36), 40, 41]


@pytest.mark.parametrize("text", ["", "12", "9" * 5_000 + ":" + "0" * 64, "x:" + "0" * 64, "1:" + "g" * 64, "1:00"])
def test_a_text_that_is_no_head_is_refused(text: str) -> None:
    """The error says what a head looks like."""
    with pytest.raises(BadInputError, match="no head") as caught:
        Head.parse(text)
    assert "HEX" in caught.value.allowed


def test_threads_that_write_together_share_a_transaction(tmp_path: Path, make_decision: MakeDecision) -> None:
    """Each gets its own answer, one that is refused does not harm the others, and the chain covers all."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - of this test

    with open_store(tmp_path / "record.sqlite") as store:
        store.record([make_decision(0)])

        def write(number: int) -> object:
            try:
                return store.record([make_decision(number % 40, risk_score=0.25 if number == 77 else None)])
            except Exception as error:  # noqa: BLE001 - the answer is compared
                return type(error).__name__

        with ThreadPoolExecutor(24) as threads:
            answers = list(threads.map(write, range(120)))
        assert answers.count("RecordConflictError") == 1
        assert sum(answer for answer in answers if isinstance(answer, int)) == 39
        found = store.audit.verify()
        assert found.fault == ""
        assert found.head.number < 2 * 40


def test_what_is_erased_leaves_a_tombstone_and_the_chain_whole(
    filled: OperationalRecord, make_decision: MakeDecision
) -> None:
    """Old decisions, ended entries and old uses are gone, the rest stays, and bringing one back is found."""
    young = make_decision(90, as_of=NOW, decided_at=NOW)
    filled.record([young])
    table = METADATA.tables["decisions"]
    with filled._engine.connect() as connection:
        before = connection.execute(select(table).where(table.c.number == 1)).mappings().one()
    erased = filled.retention.erase(NOW - timedelta(days=1), at=NOW, reason="180 days are over")
    assert (erased.decisions, erased.list_entries, erased.cap_uses) == (8, 0, 0)
    assert filled.decisions_of("account-1") == ()
    assert filled.decision(young.decision_id) == young
    assert filled.decisions_touched("e-1") == ()
    found = filled.audit.verify()
    assert (found.fault, found.erased) == ("", 8 + 6)
    later = filled.retention.erase(NOW + timedelta(days=91), at=NOW, reason="90 days are over")
    assert (later.decisions, later.list_entries, later.cap_uses) == (1, 3, 4)
    assert filled.lists.entries() == ()
    assert filled.audit.verify().fault == ""
    assert filled.record([make_decision(1)]) == 1
    assert filled.caps.draw([Ask("new", 1, (Limit("sku", 3, NOW),))], at=NOW) == {"new": 1}
    assert filled.audit.verify().fault == ""
    with filled._writing.begin() as connection:
        connection.execute(update(table).where(table.c.number == 1).values(content=before["content"]))
    assert filled.audit.verify().fault == "decisions: row 1 is back, though it was erased"


def test_two_stores_write_in_turns(store_url: str, make_decision: MakeDecision) -> None:
    """Each notices what the other wrote, also after a batch of its own of which a part was refused."""
    with open_store(store_url) as one, open_store(store_url) as other:
        for number in range(0, 40, 4):
            for place, store in enumerate((one, other, one)):
                store.record([make_decision(number + place)])
                store.caps.draw([Ask(f"u-{number}-{place}", 1, (Limit("sku", 99, NOW),))], at=NOW)
            with ThreadPoolExecutor(8) as clients:  # one of them is refused, in whichever batch it comes
                bad = make_decision(number + 3, account_id="a\x00")
                asked = [
                    bad,
                    *(make_decision(1000 + 10 * number + n, promotion_id=f"p-{number}-{n}") for n in range(7)),
                ]
                outcomes = [clients.submit(other.record, [decision]) for decision in asked]
            assert isinstance(outcomes[0].exception(), BadInputError)
            assert [outcome.result() for outcome in outcomes[1:]] == [1] * 7
        assert one.audit.verify().fault == ""
        assert one.audit.head() == other.audit.head()


def test_a_suspension_in_force_is_not_erased(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """The last sweep of an account stays while it takes something away; an older one, and one that keeps, goes."""
    told = [("a", Disposition.SUSPEND_BENEFIT), ("a", Disposition.TERMINATE), ("b", Disposition.SUSPEND_BENEFIT)]
    told.append(("b", Disposition.KEEP))
    sweeps = [
        make_decision(number, account_id=account, checkpoint=Checkpoint.SWEEP, disposition=disposition)
        for number, (account, disposition) in enumerate(told)
    ]
    store.record([*sweeps, make_decision(9, account_id="a")])
    erased = store.retention.erase(NOW, at=NOW, reason="time is over")
    assert erased.decisions == 4
    assert [decision.disposition for decision in store.decisions_of("a")] == [Disposition.TERMINATE]
    assert store.decisions_of("b") == ()
    assert store.audit.verify().fault == ""


def test_what_was_asked_and_told_is_erased_too(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """Questions name accounts as decisions do."""
    old, new = NOW - timedelta(days=200), NOW - timedelta(days=2)
    for key, at in (("old", old), ("new", new)):
        store.questions.keep(Question("order", key, "digest", "body", f"d-{key}", at))
    erased = store.retention.erase(NOW - timedelta(days=180), at=NOW, reason="time is over")
    assert erased.others == 1
    assert store.questions.of_key("order", "old") is None
    assert store.questions.of_key("order", "new") is not None
