"""What the door keeps at hand is what the batch computes, and a decision from memory is the decision of the batch."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from membergate.domain.decision import Decision
from membergate.domain.disposition import HOLDERS
from membergate.domain.errors import UnknownSubjectError
from membergate.operations.admission import AdmissionDesk, AdmissionRequest
from membergate.operations.warming import warm_up
from membergate.operations.witnessing import LONGEST_AGE, KeptTestimony
from membergate.store import OperationalRecord


@pytest.fixture
def desk(shop: Any) -> AdmissionDesk:
    """Give a desk of its own, which has nothing at hand."""
    own: AdmissionDesk = shop.desk
    return AdmissionDesk(own.history, own.model, own.model_version, own.policy)


def asked(decision: Decision) -> AdmissionRequest:
    """Ask about a decision's application."""
    return AdmissionRequest(decision.account_id, decision.application_id)


def test_a_decision_from_memory_is_the_batchs(desk: AdmissionDesk, shop: Any) -> None:
    """Nothing is kept at first; once looked up, every application is decided at once as the batch decides it."""
    batch = {one.application_id: one for one in desk.decide_window(shop.now - timedelta(days=9))}
    some = list(batch.values())[-12:]
    assert {desk.decide_at_once(asked(one), shop.now) for one in some} == {None}
    for one in some:
        looked_up = desk.decide(asked(one), shop.clock)
        assert desk.decide_at_once(asked(one), shop.now) == looked_up
        assert replace(looked_up, decided_at=one.decided_at) == one


def test_warmed_testimony_is_what_the_batch_witnesses(desk: AdmissionDesk, shop: Any) -> None:
    """Applications of the last days, and accounts at present: each evidence is the batch's as of the same instant."""
    accounts = sorted(desk.history.roll.account_ids)[:40]
    ends = iter([False, False, False, True])
    done = warm_up(desk, accounts, shop.clock, lambda: next(ends, True))
    assert done > len(accounts)
    for told in desk.testify(accounts, shop.now):
        kept = desk.kept.lately(told.account_id, shop.now + timedelta(hours=1))
        assert kept == told.only(desk.names)
    latest = next(desk.history.roll.applicants())
    (told,) = desk.testify([latest.account_id], latest.submitted_at)
    assert desk.kept.exactly(latest.account_id, latest.submitted_at) == told.only(desk.names)


def test_kept_testimony_says_as_of_when_and_ages(desk: AdmissionDesk, shop: Any) -> None:
    """Between two loads an account is judged on what was witnessed lately, which says so; then it is asked anew."""
    roll = desk.history.roll
    stranger = next(name for name in sorted(roll.account_ids) if not roll.applications_of(name))
    desk.decide(AdmissionRequest(stranger), shop.clock)
    later = shop.now + LONGEST_AGE
    decision = desk.decide_at_once(AdmissionRequest(stranger), later)
    assert decision is not None
    assert decision.as_of == later
    instants = {one.name: one.observed_at for one in decision.evidence}
    assert instants["merchant_probability"] == shop.now
    assert instants["operator_holders"] == later
    assert desk.decide_at_once(AdmissionRequest(stranger), later + timedelta(microseconds=1)) is None
    assert desk.decide_at_once(AdmissionRequest(stranger, as_of=later), later) is None
    with pytest.raises(UnknownSubjectError):
        desk.decide_at_once(AdmissionRequest("nobody"), later)


def test_memory_is_bounded_and_never_older(desk: AdmissionDesk, shop: Any) -> None:
    """Who was asked last is kept; older testimony about the present does not replace newer."""
    kept = KeptTestimony(desk.names, most=2)
    told = list(desk.testify(sorted(desk.history.roll.account_ids)[:3], shop.now))
    for one in told:
        kept.keep(one, is_present=True)
    assert kept.accounts() == (told[2].account_id, told[1].account_id)
    kept.keep(replace(told[2], as_of=shop.now - timedelta(hours=2)), is_present=True)
    assert kept.lately(told[2].account_id, shop.now) == told[2].only(desk.names)


def test_whom_the_door_let_in_counts_at_once(desk: AdmissionDesk, shop: Any, record: OperationalRecord) -> None:
    """Accounts of one operator that come without applications count one another, in this process and by the record."""
    links, roll = desk.history.links, desk.history.roll
    names = [name for name in sorted(roll.account_ids) if len(links.members_of(name, shop.now)) > 1]
    ring = next(
        members
        for name in names
        if (members := links.members_of(name, shop.now)) and not any(map(roll.applications_of, members))
    )
    first, second = (AdmissionRequest(name) for name in ring[:2])
    let_in = desk.decide(first, shop.clock)
    assert let_in.disposition in HOLDERS
    now = shop.now + timedelta(seconds=1)
    assert _holders(desk.decide(second, lambda: now)) == 1
    record.record([let_in])
    other = AdmissionDesk(desk.history, desk.model, desk.model_version, desk.policy, let_in=record.let_in)
    assert _holders(other.decide(second, lambda: now)) == 1


def _holders(decision: Decision) -> float:
    return next(float(one.value) for one in decision.evidence if one.name == "operator_holders")
