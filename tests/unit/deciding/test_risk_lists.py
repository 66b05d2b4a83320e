"""Risk lists: what is in force as of an instant, and whose word counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from membergate.deciding.lists import Difference, ListEntry, RiskList, Subject, SubjectType, difference, standing
from membergate.deciding.lists.automatic import entries_from
from membergate.deciding.policy import Policy
from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.errors import BadInputError, PolicyError
from membergate.domain.evidence import Evidence
from membergate.domain.labels import LabelGrade
from membergate.domain.listing import entries_behind

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


# --- decay -----------------------------------------------------------------------------------------------


def test_an_automatic_denial_fades_to_a_watch_and_then_to_nothing() -> None:
    """With a half-life of ten days, 0.9 denies for eight days, watches until day 31, and is then silent."""
    fading = replace(entry(RiskList.DENY), half_life_days=10.0, expires_at=START + 60 * DAY)
    said = [standing([fading], [ACCOUNT], START + days * DAY).risk_list for days in range(40)]
    assert said.index(RiskList.WATCH) == 9
    assert said.index(None) == 32
    assert set(said[32:]) == {None}


def test_a_persons_word_does_not_fade() -> None:
    """It is reviewed or expires, and until then it counts as it was said."""
    lasting = replace(entry(RiskList.DENY, is_manual=True), half_life_days=1.0, confidence=0.3)
    assert standing([lasting], [ACCOUNT], START + 29 * DAY).risk_list is RiskList.DENY


# --- what stands behind evidence ---------------------------------------------------------------------------


def test_evidence_names_the_entries_that_made_it_true() -> None:
    """The origin of the one list that counts names its entries, best founded first; the others' name none."""
    first, second = (
        replace(entry(RiskList.WATCH), entry_id=name, confidence=0.1 * n) for n, name in ((2, "b"), (3, "a"))
    )
    evidence = standing([first, second, entry(RiskList.ALLOW)], [ACCOUNT], START).evidence()
    assert {item.origin for item in evidence} == {"list:allow", "list:watch:a,b", "list:deny"}
    assert [entries_behind(item) for item in evidence] == [(), ("a", "b"), ()]


# --- differences ---------------------------------------------------------------------------------------------


def test_a_difference_sorts_a_new_list_against_what_is_kept() -> None:
    """Statements are told apart by list, subject, reason and source; what expired or was withdrawn is not kept."""
    same, old, gone = (replace(entry(RiskList.WATCH, Subject(SubjectType.PHONE, key)), entry_id=key) for key in "abc")
    withdrawn = replace(same, entry_id="w", subject=Subject(SubjectType.PHONE, "d"), withdrawn_at=START)
    foreign = replace(gone, entry_id="f", source="another")
    new = replace(old, entry_id="b2", confidence=0.2)
    fresh = replace(withdrawn, entry_id="d2", withdrawn_at=None)
    offered = [replace(same, entry_id="a2"), new, fresh]
    found = difference([same, old, gone, withdrawn, foreign], offered, START, sources={same.source})
    assert found == Difference((fresh,), ((old, new),), (same,), (gone,))


def test_what_is_offered_again_without_a_start_of_its_own_is_unchanged() -> None:
    """A file that names no start means now: what is in force since before stays, unless its decay would begin anew."""
    kept, now = entry(RiskList.WATCH), START + DAY
    again = replace(kept, entry_id="again", starts_at=now, recorded_at=now)
    assert difference([kept], [again], now, sources={kept.source}) == Difference((), (), (kept,), ())
    for change in ({"half_life_days": 30.0}, {"starts_at": now + DAY}, {"expires_at": now + 30 * DAY}):
        other = replace(again, **change)
        held = replace(kept, half_life_days=other.half_life_days)
        assert difference([held], [other], now, sources={kept.source}) == Difference((), ((held, other),), (), ()), (
            change
        )


# --- entries from decisions ------------------------------------------------------------------------------------

WATCHING = """
name: watching
version: "1"
description: Watches the operators of those who buy deep.
rules:
  - id: deep
    purpose: Depth beyond household use is remembered for a while.
    when: a2_excess_units_ratio >= 0.5
    at_least: trial
    reason: RESALE_DEPTH
    watch: {days: 30, confidence: 0.6, half_life_days: 15}
"""


def decision_of(ratio: float) -> Decision:
    """Make a decision on one piece of evidence."""
    evidence = (Evidence("a2_excess_units_ratio", ratio, "feature:A2", START),)
    return Decision(
        *("d-1", Checkpoint.ADMISSION, None, None, "a-1", "o-1", START, START, Disposition.TRIAL, None, None, ()),
        *(evidence, None, None, "watching-1", "m-1", None, False, False, None),
    )


def test_a_hit_enters_its_operator_on_the_watch_list(load: Callable[[str], Policy]) -> None:
    """From the present until its days are over, as a rule's own hit (L1), under an id that repeats."""
    policy = load(WATCHING)
    (made,) = entries_from(policy, decision_of(0.6), START + DAY)
    assert (made.risk_list, made.subject, made.grade) == (RiskList.WATCH, SUBJECTS[1], LabelGrade.L1)
    assert (made.starts_at, made.recorded_at, made.expires_at) == (START, START + DAY, START + 30 * DAY)
    assert (made.source, made.reason_code, made.decision_id) == ("rule:deep", "RESALE_DEPTH", "d-1")
    assert entries_from(policy, decision_of(0.6), START + DAY) == (made,)
    assert entries_from(policy, decision_of(0.4), START + DAY) == ()
    assert entries_from(policy, decision_of(0.6), START + 30 * DAY) == ()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("when: a2_excess_units_ratio >= 0.5", "when: list_watch"), "renew the very entries"),
        (("    reason: RESALE_DEPTH\n", ""), "without saying why"),
        (("days: 30", "days: 0"), "days"),
        (("days: 30", "days: 30, subject: device"), "device"),
    ],
)
def test_a_rule_may_not_feed_on_itself(load: Callable[[str], Policy], change: tuple[str, str], what: str) -> None:
    """A watch needs days and a reason, and may not read the lists that it writes."""
    with pytest.raises(PolicyError, match=what):
        load(WATCHING.replace(*change))
