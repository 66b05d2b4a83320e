"""One suite for both backends: what the lists say is kept, retracted and found again, exactly."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from membergate.domain.decision import Decision
from membergate.domain.errors import BadInputError, UnknownSubjectError
from membergate.domain.evidence import Evidence
from membergate.domain.instants import utc
from membergate.domain.labels import LabelGrade
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType
from membergate.store import OperationalRecord, open_store

MakeDecision = Callable[..., Decision]
NOW = utc(2026, 1, 1)
DAY = timedelta(days=1)


def entry(number: int = 0) -> ListEntry:
    """Make an entry of which every field has a value of its own."""
    return ListEntry(
        entry_id=f"e-{number}",
        risk_list=RiskList.WATCH,
        subject=Subject(SubjectType.DEVICE, f"device {number}"),
        reason_code="RESALE_BULK",
        grade=LabelGrade.L1,
        source="rule:resale-depth",
        is_manual=False,
        confidence=0.7 + number / 1000,
        recorded_at=NOW + number * timedelta(microseconds=1),
        starts_at=NOW - DAY,
        expires_at=NOW + 90 * DAY,
        source_version="default-1.0",
        review_at=NOW + 30 * DAY,
        half_life_days=45.5,
        decision_id="d-000001",
    )


def test_an_entry_reads_back_exactly(store: OperationalRecord) -> None:
    """Every field comes back; adding it again changes nothing."""
    assert store.lists.change([entry()], at=NOW, by="anna") == 1
    assert repr(store.lists.entry("e-0")) == repr(entry())
    assert store.lists.change([replace(entry(), recorded_at=NOW + DAY)], at=NOW, by="anna") == 0
    assert store.lists.entries() == (entry(),)


def test_a_retraction_ends_an_entry_and_says_who_made_it(store: OperationalRecord) -> None:
    """The entry keeps all it said, and from the instant on it is withdrawn; a second retraction is refused."""
    store.lists.change([entry()], at=NOW, by="anna")
    store.lists.change(retract=["e-0"], at=NOW + DAY, by="bert", reason="wrong device")
    assert store.lists.entry("e-0") == replace(entry(), withdrawn_at=NOW + DAY)
    assert store.lists.changes_of("e-0") == (
        ("added", NOW, "anna", ""),
        ("retracted", NOW + DAY, "bert", "wrong device"),
    )
    with pytest.raises(BadInputError, match="retracted before"):
        store.lists.change(retract=["e-0"], at=NOW, by="anna")


def test_a_change_is_made_whole_or_not_at_all(store: OperationalRecord) -> None:
    """With one unknown entry among those to retract, nothing is added either; nobody's change is refused too."""
    with pytest.raises(UnknownSubjectError, match="no list entry"):
        store.lists.change([entry()], ["e-none"], at=NOW, by="anna")
    with pytest.raises(BadInputError, match="somebody"):
        store.lists.change([entry()], at=NOW, by=" ")
    assert store.lists.entries() == ()
    with pytest.raises(UnknownSubjectError):
        store.lists.entry("e-0")


def test_a_reader_learns_of_every_change_once(store: OperationalRecord) -> None:
    """Asking with the last number gives what came since: additions, then retractions, then nothing."""
    store.lists.change([entry(1), entry(2)], at=NOW, by="anna")
    first, number = store.lists.changed_since(0)
    assert {item.entry_id for item in first} == {"e-1", "e-2"}
    store.lists.change([entry(3)], ["e-1"], at=NOW, by="anna")
    second, later = store.lists.changed_since(number)
    assert {item.entry_id: item.withdrawn_at for item in second} == {"e-1": NOW, "e-3": None}
    assert store.lists.changed_since(later) == ((), later)


def test_no_change_of_many_writers_escapes_a_reader(store: OperationalRecord) -> None:
    """While eight threads add entries, a reader that follows the numbers ends up with all of them."""

    def add(number: int) -> int:
        return store.lists.change([entry(number)], at=NOW, by="anna")

    seen: set[str] = set()
    number = 0
    with ThreadPoolExecutor(8) as threads:
        added = [threads.submit(add, number) for number in range(40)]
        while not all(future.done() for future in added):
            changed, number = store.lists.changed_since(number)
            seen |= {item.entry_id for item in changed}
    changed, number = store.lists.changed_since(number)
    assert sum(future.result() for future in added) == 40
    assert seen | {item.entry_id for item in changed} == {f"e-{number}" for number in range(40)}


def test_the_decisions_that_an_entry_touched_are_found(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """Those whose evidence it made true, in time; recording them again adds nothing."""
    as_of = make_decision().as_of

    def listed(number: int, origin: str, *, value: bool = True) -> Decision:
        return make_decision(number, evidence=(Evidence("list_deny", value, origin, as_of),))

    decisions = [
        listed(2, "list:deny:e-1,e-2"),
        listed(1, "list:deny:e-1"),
        listed(3, "list:deny:e-2"),
        listed(4, "list:deny:e-1", value=False),
        make_decision(5),
    ]
    store.record(decisions)
    store.record(decisions)
    assert store.decisions_touched("e-1") == (decisions[1], decisions[0])
    assert store.decisions_touched("e-none") == ()


CHANGER = """
import sys
from datetime import timedelta
from membergate.domain.instants import utc
from membergate.domain.labels import LabelGrade
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType
from membergate.store import open_store

now = utc(2026, 1, 15)
subject = Subject(SubjectType.DEVICE, "device-9")
entry = ListEntry("e-far", RiskList.WATCH, subject, "RESALE_BULK", LabelGrade.L1, "partner", False, 0.9, now, now,
                  now + timedelta(days=90))
with open_store(sys.argv[1]) as store:
    store.lists.change([entry], at=now, by="anna")
    print("added", flush=True)
    sys.stdin.readline()
    store.lists.change(retract=["e-far"], at=now, by="bert", reason="wrong")
    print("retracted", flush=True)
    sys.stdin.readline()
"""


def test_a_change_by_another_process_is_in_force_at_the_next_look(store_url: str) -> None:
    """What another process has acknowledged, this one sees when it next asks: a desk does before each decision."""
    with (
        open_store(store_url) as store,
        subprocess.Popen(
            [sys.executable, "-c", CHANGER, store_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other,
    ):
        told, number = other.stdout, 0
        assert told is not None
        assert store.lists.changed_since(number) == ((), 0)
        assert told.readline() == "added\n"
        (entry,), number = store.lists.changed_since(number)
        assert (entry.entry_id, entry.withdrawn_at) == ("e-far", None)
        assert store.lists.changed_since(number) == ((), number)
        other.stdin.write("\n") if other.stdin else None
        other.stdin.flush() if other.stdin else None
        assert told.readline() == "retracted\n"
        (entry,), _ = store.lists.changed_since(number)
        assert entry.withdrawn_at is not None
        other.communicate("\n", timeout=30)
