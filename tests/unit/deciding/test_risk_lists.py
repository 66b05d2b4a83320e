"""Risk lists: what is in force as of an instant, and whose word counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from membergate.deciding.lists import ListEntry, RiskList, Subject, SubjectType, standing
from membergate.domain.errors import BadInputError
from membergate.domain.labels import LabelGrade

START = datetime(2025, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ACCOUNT = Subject(SubjectType.ACCOUNT, "a-1")
SUBJECTS = (ACCOUNT, Subject(SubjectType.OPERATOR, "o-1"), Subject(SubjectType.ADDRESS, "d-1"))


def entry(risk_list: RiskList, subject: Subject = ACCOUNT, *, is_manual: bool = False) -> ListEntry:
    """Make an entry that is in force for thirty days."""
    return ListEntry(
        entry_id=f"{risk_list}-{subject.key}-{is_manual}",
        risk_list=risk_list,
        subject=subject,
        reason_code="RESALE_BULK",
        grade=LabelGrade.L3,
        source="reviewer" if is_manual else "sweep",
        is_manual=is_manual,
        confidence=0.9,
        recorded_at=START,
        starts_at=START,
        expires_at=START + 30 * DAY,
    )


@st.composite
def entries(draw: st.DrawFn) -> list[ListEntry]:
    """Draw a few entries about three subjects, some begun, some expired, some withdrawn, some not yet known."""
    drawn = []
    for number in range(draw(st.integers(0, 6))):
        first = entry(draw(st.sampled_from(RiskList)), draw(st.sampled_from(SUBJECTS)), is_manual=draw(st.booleans()))
        begin = START + draw(st.integers(-5, 5)) * DAY
        drawn.append(
            replace(
                first,
                entry_id=f"e-{number}",
                recorded_at=START + draw(st.integers(-5, 5)) * DAY,
                starts_at=begin,
                expires_at=begin + draw(st.integers(1, 8)) * DAY,
                withdrawn_at=draw(st.none() | st.integers(-5, 5).map(lambda days: START + days * DAY)),
                confidence=draw(st.sampled_from([0.5, 0.9])),
            )
        )
    return drawn


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], None),
        ([entry(RiskList.ALLOW)], RiskList.ALLOW),
        ([entry(RiskList.WATCH), entry(RiskList.DENY)], RiskList.DENY),
        ([entry(RiskList.ALLOW), entry(RiskList.WATCH)], RiskList.WATCH),
        ([entry(RiskList.ALLOW, is_manual=True), entry(RiskList.DENY)], RiskList.ALLOW),
        ([entry(RiskList.ALLOW, is_manual=True), entry(RiskList.DENY, is_manual=True)], RiskList.DENY),
        ([entry(RiskList.WATCH, is_manual=True), entry(RiskList.DENY)], RiskList.DENY),
        ([entry(RiskList.WATCH, is_manual=True), entry(RiskList.ALLOW)], RiskList.WATCH),
        ([entry(RiskList.DENY, SUBJECTS[1])], RiskList.DENY),
        ([entry(RiskList.DENY, SUBJECTS[2])], RiskList.WATCH),
    ],
)
def test_precedence(said: list[ListEntry], expected: RiskList | None) -> None:
    """A person's allowance beats automatic accusations; else the strictest counts; an address only watches."""
    assert standing(said, SUBJECTS, START).risk_list is expected


def test_an_entry_is_in_force_from_its_start_up_to_its_end_once_known() -> None:
    """The start counts and the end does not; nothing is seen before it was recorded, or after it was withdrawn."""
    listed = replace(entry(RiskList.DENY), recorded_at=START + DAY, withdrawn_at=START + 9 * DAY)
    in_force = [days for days in range(-1, 40) if listed.is_in_force(START + days * DAY)]
    assert in_force == list(range(1, 9))
    until_end = replace(listed, withdrawn_at=None)
    assert until_end.is_in_force(START + 30 * DAY - timedelta(microseconds=1))
    assert not until_end.is_in_force(START + 30 * DAY)


def test_evidence_names_the_one_list_that_counts() -> None:
    """Three booleans, at most one of them true, observed at the instant of the look-up."""
    evidence = standing([entry(RiskList.WATCH)], SUBJECTS, START).evidence()
    assert {item.name: item.value for item in evidence} == {
        "list_allow": False,
        "list_watch": True,
        "list_deny": False,
    }
    assert {item.observed_at for item in evidence} == {START}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"expires_at": START}, "end before it begins"),
        ({"confidence": 1.5}, "a confidence of"),
        ({"grade": LabelGrade.L1}, "does not carry a denial"),
        ({"starts_at": datetime(2025, 11, 1)}, "time zone"),  # noqa: DTZ001 (that is the point)
    ],
)
def test_bad_entries_are_refused(change: dict[str, Any], what: str) -> None:
    """An entry must end after it begins, know its zone, and a denial needs more than a rule's own hit."""
    with pytest.raises(BadInputError, match=what):
        replace(entry(RiskList.DENY), **change)


@given(entries(), st.integers(-8, 16), st.randoms(use_true_random=False))
def test_the_order_of_entries_does_not_matter(listed: list[ListEntry], day: int, random: Random) -> None:
    """Shuffled entries give the same standing, entries included."""
    shuffled = list(listed)
    random.shuffle(shuffled)
    as_of = START + day * DAY
    assert standing(shuffled, SUBJECTS, as_of) == standing(listed, SUBJECTS, as_of)


@given(entries(), st.integers(-8, 16))
def test_what_is_not_in_force_might_as_well_not_exist(listed: list[ListEntry], day: int) -> None:
    """Entries that are unknown yet, not begun, expired, withdrawn, or about others change nothing."""
    as_of = START + day * DAY
    kept = [item for item in listed if item.is_in_force(as_of) and item.subject in SUBJECTS[:2]]
    assert standing(kept, SUBJECTS[:2], as_of) == standing(listed, SUBJECTS[:2], as_of)


@given(entries(), st.integers(-8, 16), st.sampled_from(SUBJECTS))
def test_an_accusation_never_softens_and_a_persons_denial_of_the_account_always_counts(
    listed: list[ListEntry], day: int, subject: Subject
) -> None:
    """One more automatic accusation leaves the standing or worsens it; a person's denial of the account denies."""
    rungs = [RiskList.ALLOW, None, RiskList.WATCH, RiskList.DENY]
    as_of = START + day * DAY
    lasting: dict[str, Any] = {"recorded_at": as_of, "starts_at": as_of, "expires_at": as_of + DAY}
    before = standing(listed, SUBJECTS, as_of).risk_list
    accused = [*listed, replace(entry(RiskList.DENY, subject), **lasting)]
    assert rungs.index(standing(accused, SUBJECTS, as_of).risk_list) >= rungs.index(before)
    denied = [*listed, replace(entry(RiskList.DENY, is_manual=True), **lasting)]
    assert standing(denied, SUBJECTS, as_of).risk_list is RiskList.DENY


@given(entries(), st.integers(-8, 16))
def test_a_persons_allowance_never_worsens(listed: list[ListEntry], day: int) -> None:
    """One more allowance by a person leaves the standing or improves it."""
    rungs = [RiskList.ALLOW, None, RiskList.WATCH, RiskList.DENY]
    as_of = START + day * DAY
    before = standing(listed, SUBJECTS, as_of).risk_list
    allowed = replace(entry(RiskList.ALLOW, is_manual=True), recorded_at=as_of, starts_at=as_of, expires_at=as_of + DAY)
    assert rungs.index(standing([*listed, allowed], SUBJECTS, as_of).risk_list) <= rungs.index(before)
