"""One suite for both backends: what is recorded stays, exactly, once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.errors import BadInputError, UnknownSubjectError
from membergate.domain.instants import utc
from membergate.store import OperationalRecord, RecordConflictError, open_store, writing

MakeDecision = Callable[..., Decision]


def test_a_recorded_decision_reads_back_exactly(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """Every field comes back, with its type and to the last bit."""
    decision = make_decision()
    assert store.record([decision]) == 1
    assert repr(store.decision(decision.decision_id)) == repr(decision)


def test_the_record_outlives_the_process_that_wrote_it(store_url: str, make_decision: MakeDecision) -> None:
    """Opening the same database again finds what was recorded, and leaves it alone."""
    decision = make_decision()
    with open_store(store_url) as first:
        first.record([decision])
    with open_store(store_url) as second:
        assert second.decision(decision.decision_id) == decision
        assert second.record([decision]) == 0


def test_recording_again_changes_nothing(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """A batch that overlaps what is on record adds only what is new, and repeats inside a batch count once."""
    assert store.record([make_decision(1), make_decision(2)]) == 2
    assert store.record([make_decision(2), make_decision(3), make_decision(3)]) == 1
    assert store.record([make_decision(1), make_decision(2), make_decision(3)]) == 0
    assert store.record([]) == 0


def test_the_first_instant_of_deciding_stands(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """The same question decided again later is the same decision; its first record is kept."""
    first = make_decision()
    store.record([first])
    assert store.record([replace(first, decided_at=first.decided_at + timedelta(days=1))]) == 0
    assert store.decision(first.decision_id).decided_at == first.decided_at


def test_another_content_under_a_known_id_is_refused(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """A conflict is an error that names the columns, and nothing of its batch is kept."""
    store.record([make_decision(1)])
    changed = make_decision(1, disposition=Disposition.DENY, risk_score=0.5)
    with pytest.raises(RecordConflictError, match="disposition, risk_score") as caught:
        store.record([make_decision(2), changed])
    assert "d-000001" in caught.value.where
    assert store.decision("d-000001") == make_decision(1)
    assert store.decisions_of("account-2") == ()


def test_a_batch_that_contradicts_itself_is_refused(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """Two contents under one id in one batch are a conflict too."""
    with pytest.raises(RecordConflictError):
        store.record([make_decision(1), make_decision(1, degraded=True)])
    assert store.decisions_of("account-1") == ()


def test_a_decision_that_cannot_be_kept_keeps_its_batch_out(
    store: OperationalRecord, make_decision: MakeDecision
) -> None:
    """One unwritable decision refuses the batch before anything is written."""
    with pytest.raises(BadInputError, match="is no id"):
        store.record([make_decision(1), make_decision(2, account_id="a\x00b")])
    assert store.decisions_of("account-1") == ()


def test_batches_larger_than_one_query_are_compared_whole(
    store: OperationalRecord, make_decision: MakeDecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decisions that fill several queries go in at once, and their repetition is recognised."""
    monkeypatch.setattr(writing, "_IDS_A_QUERY", 100)
    decisions = [make_decision(number) for number in range(250)]
    assert store.record(decisions) == 250
    assert store.record(decisions) == 0
    assert store.admitted_accounts((d.account_id for d in decisions), utc(2026, 1, 1)) == {
        decision.account_id for decision in decisions
    }


def test_an_unknown_decision_is_an_error(store: OperationalRecord) -> None:
    """Whatever text is asked for, the answer is that nobody knows it."""
    for name in ("d-none", "", "x" * 100_000, "a\x00b", "\ud800", "' OR 1=1 --"):
        with pytest.raises(UnknownSubjectError):
            store.decision(name)
        assert store.decisions_of(name) == ()
        assert store.admitted_accounts([name], utc(2026, 1, 1)) == set()


def test_the_decisions_of_an_account_come_in_time(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """They are ordered by the instant of judgement, then by id; other accounts' are not among them."""
    mine = [make_decision(number, account_id="me") for number in (5, 3, 9)]
    twin = make_decision(3, account_id="me", decision_id="d-000002b")
    store.record([*mine, twin, make_decision(4)])
    assert [decision.decision_id for decision in store.decisions_of("me")] == [
        "d-000002b",
        "d-000003",
        "d-000005",
        "d-000009",
    ]


def test_the_latest_decision_is_that_of_its_checkpoint(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """A later sweep does not hide the admission."""
    admission = make_decision(1, account_id="me")
    sweep = make_decision(2, account_id="me", checkpoint=Checkpoint.SWEEP, disposition=Disposition.KEEP)
    store.record([admission, sweep])
    assert store.latest_of("me") == admission
    assert store.latest_of("me", Checkpoint.SWEEP) == sweep
    assert store.latest_of("me", Checkpoint.ORDER) is None


def test_admitted_are_those_who_were_let_in(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """Full, capped and trial admission let in; the decision must be older than the instant, and an admission."""
    as_of = utc(2025, 6, 1)
    for number, disposition in enumerate(Disposition):
        decision = make_decision(number, account_id=disposition.value, disposition=disposition, as_of=as_of)
        sweep = replace(decision, decision_id=f"s-{number}", account_id=f"swept {number}", checkpoint=Checkpoint.SWEEP)
        store.record([decision, sweep])
    asked = [*Disposition, *(f"swept {number}" for number in range(len(Disposition))), "stranger"]
    assert store.admitted_accounts(asked, as_of + timedelta(microseconds=1)) == {"admit", "admit_capped", "trial"}
    assert store.admitted_accounts(asked, as_of) == set()
    assert store.admitted_accounts(["deny"], utc(2026, 1, 1)) == set()
    assert store.admitted_accounts([], utc(2026, 1, 1)) == set()


def test_threads_share_one_record(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """Eight threads record overlapping decisions at once; each decision is counted as new by exactly one of them."""
    with ThreadPoolExecutor(8) as threads:
        counts = threads.map(
            lambda first: sum(store.record([make_decision(number)]) for number in range(first, first + 20)),
            range(0, 80, 10),
        )
    assert sum(counts) == 90
    assert [store.decision(f"d-{number:06d}") for number in range(90)] == [
        make_decision(number) for number in range(90)
    ]


def test_instants_from_other_zones_are_the_same_instants(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """Years from the first to the last are kept to the microsecond, always in UTC."""
    for number, year in enumerate((1000, 1969, 2025, 9999)):
        as_of = utc(year, 1, 1) + timedelta(microseconds=number + 1)
        store.record([make_decision(number, as_of=as_of)])
        assert store.decision(f"d-{number:06d}").as_of == as_of


def test_check_answers_on_a_living_database(store: OperationalRecord) -> None:
    """A database that answers passes."""
    store.check()
