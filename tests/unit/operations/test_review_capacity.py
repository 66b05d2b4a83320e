"""Reviewers' time: on a day with more reviews than minutes, the most valuable are made, in batch and at the door."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from membergate.domain.disposition import Disposition
from membergate.operations.admission import AdmissionDesk, AdmissionRequest
from membergate.operations.failing_open import FailOpenDesk
from membergate.operations.reviewing import ReviewBudget, decide_within_capacity, gain_of
from membergate.store import OperationalRecord

MINUTES, CAPACITY = 10.0, 20.0


@pytest.fixture
def busy(shop: Any) -> AdmissionDesk:
    """Give a desk whose policy likes reviews, of which a day holds two."""
    policy = shop.desk.policy
    review = replace(
        policy.economics.review,
        queue_price_minor=0.0,
        cost_minor=0.0,
        minutes=MINUTES,
        capacity_minutes_per_day=CAPACITY,
    )
    liking = replace(
        policy, economics=replace(policy.economics, review=review), evidence_mass=None, exploration=None, rules=()
    )
    return AdmissionDesk(shop.desk.history, shop.desk.model, shop.desk.model_version, liking, ledger=shop.desk.ledger)


def test_a_batch_makes_the_most_valuable_reviews_of_each_day(busy: AdmissionDesk, shop: Any) -> None:
    """No day has more than two by choice; who is left out is worth less than who is chosen, and is told so."""
    since = shop.now - timedelta(days=16)
    unlimited = [d for d in busy.decide_window(since) if d.disposition is Disposition.REVIEW]
    gains = {d.application_id: gain_of(busy.policy, d) for d in unlimited}
    wanted = Counter(d.as_of.date() for d in unlimited)
    assert max(wanted.values()) > 2
    decided = decide_within_capacity(busy, since)
    assert len(decided) == len(busy.decide_window(since))
    chosen = [d for d in decided if d.disposition is Disposition.REVIEW]
    by_choice = Counter(d.as_of.date() for d in chosen if gains.get(d.application_id) is not None)
    assert max(by_choice.values()) <= 2
    left = [d for d in decided if any(e.name == "has_review_place" for e in d.evidence)]
    assert left
    for day in {d.as_of.date() for d in left}:
        worst_chosen = min((gains[d.application_id] or 0.0 for d in chosen if d.as_of.date() == day), default=0.0)
        assert all((gains[d.application_id] or 0.0) <= worst_chosen for d in left if d.as_of.date() == day)
    assert decide_within_capacity(busy, since) == decided


def test_the_door_spends_a_days_time_and_no_more(busy: AdmissionDesk, shop: Any, record: OperationalRecord) -> None:
    """First come, first served; a repeat keeps its answer; another process that starts counts what is on record."""
    since = shop.now - timedelta(days=16)
    reviews = [d for d in busy.decide_window(since) if d.disposition is Disposition.REVIEW]
    asked = [d for d in reviews if gain_of(busy.policy, d) is not None][:4]
    desk = FailOpenDesk(busy, ReviewBudget(record))
    answers = []
    for one in asked:
        decision = desk.decide(AdmissionRequest(one.account_id, one.application_id), shop.clock)
        record.record([decision])
        answers.append(decision)
    assert [d.disposition is Disposition.REVIEW for d in answers] == [True, True, False, False]
    for again in (desk, FailOpenDesk(busy, ReviewBudget(record))):
        for one, answer in zip(asked, answers, strict=True):
            assert again.decide(AdmissionRequest(one.account_id, one.application_id), shop.clock) == answer
