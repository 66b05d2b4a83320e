"""Reviewers' time: who gets a place in the queue when there are not places for all, by what a place is worth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from threading import Lock

from membergate.deciding.policy import Policy, ReviewCase, allocate_reviews, decide, review_gain
from membergate.deciding.policy.reviewing import without_review
from membergate.domain.decision import Decision, Verdict
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.instants import Clock
from membergate.operations.admission import AdmissionDesk, draw
from membergate.store import OperationalRecord


def decide_within_capacity(
    desk: AdmissionDesk, since: datetime | None = None, until: datetime | None = None
) -> list[Decision]:
    """Decide a window; on each day, reviews go to those whom a review serves best, as far as the reviewers' time goes.

    Who gets no place is decided again without the review, so that caps of operators hold for what they get instead.
    Reviews that a rule, a cap or the law asks for are always made, and take their time first.

    Parameters
    ----------
    desk
        Decides.
    since, until
        The window; open where None.
    """
    desk.unreviewed = frozenset()
    decisions = desk.decide_window(since, until)
    left = _left_out(desk, decisions)
    if not left:
        return decisions
    desk.unreviewed = left
    try:
        return desk.decide_window(since, until)
    finally:
        desk.unreviewed = frozenset()


def _left_out(desk: AdmissionDesk, decisions: Iterable[Decision]) -> frozenset[str]:
    """Name the applications that get no place: a knapsack for each day, in minutes."""
    by_day: dict[date, list[Decision]] = defaultdict(list)
    for decision in decisions:
        if decision.disposition is Disposition.REVIEW and decision.application_id is not None:
            by_day[decision.as_of.astimezone(UTC).date()].append(decision)
    left: set[str] = set()
    for some in by_day.values():
        policy = desk.policy_at(some[0].as_of)
        time = _time_of(policy)
        if time is None:
            continue
        minutes, capacity = time
        gains = {decision.application_id or "": gain_of(policy, decision) for decision in some}
        capacity -= minutes * sum(gain is None for gain in gains.values())
        cases = [ReviewCase(name, gain, minutes) for name, gain in gains.items() if gain is not None]
        left.update(allocate_reviews(cases, max(0.0, capacity)).left)
    return frozenset(left)


def gain_of(policy: Policy, decision: Decision) -> float | None:
    """Give what a review is worth beyond the next best, in minor units; None where it is no matter of choice."""
    if _verdict(without_review(policy), decision).disposition is Disposition.REVIEW:
        return None
    values = _verdict(policy, decision).expected_value_minor
    if policy.economics is None or Disposition.REVIEW not in values:
        return None
    return review_gain(values, policy.economics.review.queue_price_minor)


class ReviewBudget:
    """The running budget of a day at the door, where nobody knows who will come: first come, first served.

    Each process counts for itself, from what is on record when it first looks on a day.

    Parameters
    ----------
    record
        Knows who was sent to a review today, and what was answered before.
    """

    def __init__(self, record: OperationalRecord) -> None:
        self._record = record
        self._day: date | None = None
        self._sent: set[str] = set()
        self._lock = Lock()

    @staticmethod
    def is_limited(policy: Policy) -> bool:
        """Tell whether a policy limits reviewers' time at all."""
        return _time_of(policy) is not None

    def settle(self, decision: Decision, policy: Policy, unreviewed: Callable[[], Decision], clock: Clock) -> Decision:
        """Give the decision, or the one without a review where today's time is spent; a repeat keeps its answer.

        Parameters
        ----------
        decision
            What was decided as though there were places.
        policy
            The policy that decided.
        unreviewed
            Decides without the review.
        clock
            Gives the present.
        """
        time = _time_of(policy) if decision.disposition is Disposition.REVIEW else None
        if time is None or gain_of(policy, decision) is None:
            return decision
        minutes, capacity = time
        with self._lock:
            today = clock().astimezone(UTC)
            self._begin(today)
            is_known = decision.decision_id in self._sent or self._record.has(decision.decision_id)
            if is_known:
                return decision
            instead = unreviewed()
            if (len(self._sent) + 1) * minutes > capacity or self._record.has(instead.decision_id):
                return instead
            self._sent.add(decision.decision_id)
            return decision

    def _begin(self, today: datetime) -> None:
        if self._day != today.date():
            midnight = today.replace(hour=0, minute=0, second=0, microsecond=0)
            self._sent = self._record.reviews_since(midnight)
            self._day = today.date()


def _time_of(policy: Policy) -> tuple[float, float] | None:
    """Give the minutes of a review and of a day; None where the policy does not limit them."""
    review = None if policy.economics is None else policy.economics.review
    if review is None or review.minutes is None or review.capacity_minutes_per_day is None:
        return None
    return review.minutes, review.capacity_minutes_per_day


def _verdict(policy: Policy, decision: Decision) -> Verdict:
    """Decide the recorded evidence again, without luck in the exploration lane."""
    evidence = {witnessed.name: witnessed for witnessed in decision.evidence}
    snoozed = policy.snoozed_for(decision.account_id, decision.as_of)
    lottery = draw(decision.operator_id, policy)
    return decide(policy, Checkpoint.ADMISSION, evidence, lottery=lottery, snoozed=snoozed)
