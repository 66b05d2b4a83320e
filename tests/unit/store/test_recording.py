"""The recorder: decisions from anywhere, on disk together, and each sender is told what stands there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from membergate.domain.decision import Decision
from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.domain.instants import utc
from membergate.store import Kept, KeyReusedError, OperationalRecord, Question

MakeDecision = Callable[..., Decision]
Asked = tuple[Decision, Question | None]


def told(store: OperationalRecord, asked: Sequence[Asked]) -> list[Kept | BaseException]:
    """Send everything, and wait for all answers, in order."""
    answers: dict[int, Kept | BaseException] = {}
    ended = Barrier(2, timeout=60)

    def done(place: int) -> Callable[[Kept | BaseException], None]:
        def note(outcome: Kept | BaseException) -> None:
            answers[place] = outcome
            if len(answers) == len(asked):
                ended.wait()

        return note

    for place, (decision, question) in enumerate(asked):
        store.soon.record(decision, done(place), question)
    ended.wait()
    return [answers[place] for place in range(len(asked))]


def question(decision: Decision, key: str, digest: str = "1") -> Question:
    """Ask under a key."""
    return Question("admission", key, digest, "{}", decision.decision_id, utc(2025, 6, 1))


def test_decisions_are_on_disk_when_their_senders_are_told(
    store: OperationalRecord, make_decision: MakeDecision
) -> None:
    """Each once; a repeat is known, another content under the same id keeps the first, and the chain holds."""
    some = [make_decision(decision_id=f"d-{number}") for number in range(40)]
    outcomes = told(store, [(one, None) for one in some])
    assert [outcome.is_new for outcome in outcomes if isinstance(outcome, Kept)] == [True] * 40
    assert [store.decision(one.decision_id) for one in some] == some
    other = replace(some[0], reason_codes=("OTHER",))
    repeat, conflict = told(store, [(some[1], None), (other, None)])
    assert repeat == Kept(some[1], is_new=False)
    assert isinstance(conflict, Kept)
    assert (conflict.decision, conflict.is_new) == (some[0], False)
    assert conflict.conflict is not None
    assert "reason_codes" in conflict.conflict.what
    assert store.audit.verify().fault == ""


def test_under_a_key_the_first_decision_stands(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """In one batch and in a later one; the same key for something else is refused, and nothing of it is kept."""
    first, second, third = (make_decision(decision_id=f"d-{number}") for number in range(3))
    outcomes = told(
        store,
        [(first, question(first, "k")), (second, question(second, "k")), (third, question(third, "k", digest="2"))],
    )
    assert outcomes[0] == Kept(first, is_new=True)
    assert outcomes[1] == Kept(first, is_new=False)
    assert isinstance(outcomes[2], KeyReusedError)
    (again,) = told(store, [(third, question(third, "k"))])
    assert again == Kept(first, is_new=False)
    assert not store.has("d-1")
    assert not store.has("d-2")


def test_what_cannot_be_kept_hurts_nobody_else(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """A decision with an id that is none is refused; the others of its batch are on record."""
    good, bad = make_decision(decision_id="d-good"), make_decision(decision_id="d-bad", account_id="a\x00")
    outcomes = told(store, [(bad, None), (good, None)])
    assert isinstance(outcomes[0], BadInputError)
    assert outcomes[1] == Kept(good, is_new=True)


def test_a_question_that_another_process_answered_meanwhile(
    store: OperationalRecord, make_decision: MakeDecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is written again one by one, and everybody learns what stands."""
    first, second, third = (make_decision(decision_id=f"d-{number}") for number in range(3))
    told(store, [(first, question(first, "k"))])
    find, looks = store.soon.__class__.__dict__["_keep"], []

    def blind_at_first(self: Any, writing: Any, entries: Any) -> Any:
        looks.append(len(entries))
        if len(looks) == 1:
            monkeypatch.setattr("membergate.store.recording.known_questions", lambda *_: {})
        else:
            monkeypatch.undo()
        return find(self, writing, entries)

    monkeypatch.setattr(type(store.soon), "_keep", blind_at_first)
    outcomes = told(store, [(second, question(second, "k"))])
    assert outcomes == [Kept(first, is_new=False)]
    assert told(store, [(third, None)]) == [Kept(third, is_new=True)]


def test_a_closed_record_takes_nothing(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """What was taken before is kept; then it says so."""
    decision = make_decision(decision_id="d-1")
    told(store, [(decision, None)])
    store.soon.close()
    with pytest.raises(WorkspaceError, match="closed"):
        store.soon.record(decision, lambda _: None)
