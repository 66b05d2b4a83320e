"""Failing open: when a witness breaks, an applicant is still answered: on trial, degraded, and within operator caps."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from membergate.domain.decision import Decision
from membergate.domain.disposition import Disposition
from membergate.domain.errors import MembergateError
from membergate.domain.evidence import Absence, Evidence
from membergate.domain.instants import Clock
from membergate.operations.admission import AdmissionDesk, AdmissionRequest, Case
from membergate.operations.history import Application
from membergate.operations.reviewing import ReviewBudget

_log = structlog.get_logger("membergate.admission")


class FailOpenDesk:
    """An admission desk that answers although its witnesses break.

    What its features and model would have said becomes a typed absence, `source_failed`, and the policy's fail-safe
    holds: trial. Operators and their holders are known in memory and still count, so the operator cap stands; where
    even they cannot be asked, the policy's cap fails closed.

    Parameters
    ----------
    desk
        The desk.
    budget
        Reviewers' time; None where nobody counts it.
    """

    def __init__(self, desk: AdmissionDesk, budget: ReviewBudget | None = None) -> None:
        self.desk = desk
        self._budget = budget

    @property
    def model_version(self) -> str:
        """The model that witnesses."""
        return self.desk.model_version

    @property
    def policy_version(self) -> str:
        """The policy that judges."""
        return self.desk.policy_version

    def decide(self, request: AdmissionRequest, clock: Clock) -> Decision:
        """Decide as the desk does, or on what is left where a witness breaks.

        Raises
        ------
        UnknownSubjectError
            If the account or the application is unknown.
        BadInputError
            If the request names both an application and an instant.
        PolicyError
            If no policy is in effect.
        """
        try:
            decision = self.desk.decide(request, clock)
            return decision if self._budget is None else self._within(self._budget, decision, request, clock)
        except MembergateError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever breaks a witness, nobody waits at a closed door
            _log.error("witness_failed", account_id=request.account_id, error=f"{type(error).__name__}: {error}")
        return self._degraded(request, clock)

    def decide_at_once(self, request: AdmissionRequest, now: datetime) -> Decision | None:
        """Decide from memory alone, as the desk does; None where something must be looked up, counted or mended first.

        Raises
        ------
        UnknownSubjectError
            If the account or the application is unknown.
        BadInputError
            If the request names both an application and an instant.
        PolicyError
            If no policy is in effect.
        """
        try:
            decision = self.desk.decide_at_once(request, now)
        except MembergateError:
            raise
        except Exception:  # noqa: BLE001  # whoever asks again gets the answer that fails open
            return None
        if decision is None or self._budget is None or decision.disposition is not Disposition.REVIEW:
            return decision
        return None if self._budget.is_limited(self.desk.policy_at(decision.as_of)) else decision

    def _within(self, budget: ReviewBudget, decision: Decision, request: AdmissionRequest, clock: Clock) -> Decision:
        def unreviewed() -> Decision:
            self.desk.unreviewed = frozenset({decision.application_id or ""})
            try:
                return self.desk.decide(request, clock)
            finally:
                self.desk.unreviewed = frozenset()

        return budget.settle(decision, self.desk.policy_at(decision.as_of), unreviewed, clock)

    def _degraded(self, request: AdmissionRequest, clock: Clock) -> Decision:
        now = clock()
        as_of = request.as_of or now
        said = {name: Evidence(name, Absence.SOURCE_FAILED, "desk", as_of) for name in _needed(self.desk)}
        operator = self.desk.history.links.operator_of(request.account_id, as_of)
        others = [other for other in operator.account_ids if other != request.account_id]
        holders = float(sum(self.desk.ledger.holds(other, as_of) for other in others))
        said["operator_holders"] = Evidence("operator_holders", holders, "identity", as_of)
        said["operator_accounts"] = Evidence("operator_accounts", float(len(others) + 1), "identity", as_of)
        asked = Application(request.application_id or "", request.account_id, as_of, as_of)
        decision = self.desk.decision_on(Case(asked, operator.operator_id, said, ()))
        return replace(decision, decided_at=now)


def _needed(desk: AdmissionDesk) -> tuple[str, ...]:
    return tuple(sorted({*desk.policy.reads, "merchant_probability", "risk_score"}))
