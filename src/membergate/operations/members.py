"""Members as the order checkpoint and the sweep see them: how they stand, and what is witnessed about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from membergate.domain.decision import Decision
from membergate.domain.disposition import HOLDERS, Checkpoint, Disposition
from membergate.domain.errors import BadInputError, UnknownSubjectError
from membergate.domain.evidence import Absence, Evidence
from membergate.domain.membership import MemberStanding, Standing
from membergate.operations.admission import ALWAYS, AdmissionDesk, Case
from membergate.operations.witnessing import Witnessed
from membergate.store import OperationalRecord

_log = structlog.get_logger("membergate.members")
_ACCOUNTS_AT_ONCE = 500
_HOLDERS = "operator_holders"
_AFTER_A_SWEEP = {
    Disposition.SUSPEND_BENEFIT: Standing.SUSPENDED,
    Disposition.TERMINATE: Standing.TERMINATED,
}


@dataclass(frozen=True, slots=True)
class Member:
    """An account with what is witnessed about it.

    Parameters
    ----------
    account_id, operator_id
        Who it is.
    as_of
        The instant of the testimony.
    evidence
        What was asked for, by name.
    contributions
        What moved the score.
    """

    account_id: str
    operator_id: str
    as_of: datetime
    evidence: dict[str, Evidence]
    contributions: tuple[tuple[str, float], ...] = ()

    def number(self, name: str) -> float | None:
        """Give what a witness says in numbers; None where it says nothing."""
        witnessed = self.evidence.get(name)
        if witnessed is None or isinstance(witnessed.value, bool) or not isinstance(witnessed.value, int | float):
            return None
        return float(witnessed.value)


class Members:
    """Looks members up. Testimony about an account is kept for a while; lists and standing are always asked anew.

    Parameters
    ----------
    desk
        Witnesses.
    record
        Knows what was decided.
    lock
        Held while the desk works, which lets in one at a time.
    """

    def __init__(
        self,
        desk: AdmissionDesk,
        record: OperationalRecord,
        *,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self.desk = desk
        self.record = record
        self._lock = lock or nullcontext()
        self._names = frozenset({*ALWAYS, *desk.policy.reads_at[Checkpoint.ORDER]})

    def standing(self, account_id: str, at: datetime) -> MemberStanding:
        """Tell how an account stands as of an instant: by its last sweep, the market's record, or its admission."""
        return self.standing_by(self.record.decisions_of(account_id), account_id, at)

    def standing_by(self, decided: Sequence[Decision], account_id: str, at: datetime) -> MemberStanding:
        """Tell how an account stands as of an instant, given what was decided about it."""
        decisions = [decision for decision in decided if decision.as_of <= at]
        admission = _last(decisions, Checkpoint.ADMISSION)
        sweep = _last(decisions, Checkpoint.SWEEP)
        is_let_in = admission is not None and admission.disposition in HOLDERS
        if sweep is not None and not (is_let_in and admission is not None and admission.as_of > sweep.as_of):
            return _after(sweep, admission if is_let_in else None)
        if admission is not None and is_let_in:
            return MemberStanding(Standing.MEMBER, admission.disposition, admission.caps, admission.decision_id)
        if self.desk.ledger.holds(account_id, at):
            return MemberStanding(Standing.MEMBER)
        return MemberStanding(Standing.NONE)

    def about(self, account_id: str, at: datetime) -> Member:
        """Give what is witnessed about an account as of an instant; a witness that fails is a typed absence.

        Raises
        ------
        UnknownSubjectError
            If nobody knows the account.
        """
        kept = self.desk.kept.lately(account_id, at)
        if kept is None:
            with self._lock:
                kept = self._looked_up(account_id, at)
        if self.desk.lists is not None:
            self.desk.lists.refresh()
        return self._listed(self._silent(account_id, at) if kept is None else self._of(kept, at))

    def at_hand(self, account_id: str, at: datetime) -> Member | None:
        """Give what `about` gives, from memory alone; None where something must be looked up first.

        Lists are as they were when somebody followed them last.
        """
        kept = self.desk.kept.lately(account_id, at)
        is_ready = self.desk.let_in is None or self.desk.let_in.is_ready
        return self._listed(self._of(kept, at)) if kept is not None and is_ready else None

    def fill(self, account_ids: Sequence[str], at: datetime) -> None:
        """Look many accounts up at once, ahead of their orders."""
        for start in range(0, len(account_ids), _ACCOUNTS_AT_ONCE):
            with self._lock:
                for witnessed in self.desk.testify(account_ids[start : start + _ACCOUNTS_AT_ONCE], at):
                    self.desk.kept.keep(witnessed, is_present=True)

    def all(self, account_ids: Sequence[str], at: datetime, names: Collection[str]) -> Iterator[Member]:
        """Give what is witnessed about many accounts as of an instant, some at a time, nothing kept."""
        wanted = frozenset({*ALWAYS, *names})
        if self.desk.lists is not None:
            with self._lock:
                self.desk.lists.refresh()
        for start in range(0, len(account_ids), _ACCOUNTS_AT_ONCE):
            some = account_ids[start : start + _ACCOUNTS_AT_ONCE]
            with self._lock:
                cases = [
                    _member(account_id, case, at, wanted)
                    for account_id, case in zip(some, self.desk.witness(some, at), strict=True)
                ]
            yield from cases

    def _looked_up(self, account_id: str, at: datetime) -> Witnessed | None:
        """Compute testimony, and keep it; None where a witness breaks."""
        if not self.desk.history.roll.has_account(account_id):
            raise UnknownSubjectError(
                f"no account {account_id[:64]!r} was loaded", next_step="membergate ingest the market that holds it"
            )
        try:
            (witnessed,) = self.desk.testify([account_id], at)
        except (BadInputError, UnknownSubjectError):
            raise
        except Exception as error:  # noqa: BLE001  # whatever breaks a witness, the order is answered, within limits
            _log.error("witness_failed", account_id=account_id, error=f"{type(error).__name__}: {error}")
            return None
        return self.desk.kept.keep(witnessed, is_present=True)

    def _listed(self, member: Member) -> Member:
        """Add what the lists say."""
        lists = self.desk.lists
        if lists is None:
            return member
        return replace(
            member, evidence=member.evidence | lists.about(member.account_id, member.operator_id, member.as_of)
        )

    def _of(self, kept: Witnessed, at: datetime) -> Member:
        evidence = kept.evidence
        if _HOLDERS in self._names:
            evidence = evidence | {_HOLDERS: self.desk.holders_of(kept, at)}
        return Member(kept.account_id, kept.operator_id, at, evidence, kept.contributions)

    def _silent(self, account_id: str, at: datetime) -> Member:
        """Give a member of whom no witness speaks; whose operator it is, the links in memory still know."""
        operator_id = self.desk.history.links.operator_of(account_id, at).operator_id
        failed = {name: Evidence(name, Absence.SOURCE_FAILED, "desk", at) for name in sorted(self._names)}
        return Member(account_id, operator_id, at, failed)


def _member(account_id: str, case: Case, at: datetime, names: frozenset[str]) -> Member:
    evidence = {name: witnessed for name, witnessed in case.evidence.items() if name in names}
    return Member(account_id, case.operator_id, at, evidence, case.contributions)


def _last(decisions: Sequence[Decision], checkpoint: Checkpoint) -> Decision | None:
    there = [decision for decision in decisions if decision.checkpoint is checkpoint]
    # at one instant a person's word, which keeps, comes after the sweep's
    return max(there, key=lambda d: (d.as_of, d.decided_at, d.disposition is Disposition.KEEP), default=None)


def _after(sweep: Decision, admission: Decision | None) -> MemberStanding:
    """Tell how a member stands after a sweep; one that was kept stands as it was let in."""
    standing = _AFTER_A_SWEEP.get(sweep.disposition, Standing.MEMBER)
    if sweep.disposition is Disposition.KEEP and admission is not None:
        return MemberStanding(standing, admission.disposition, admission.caps, sweep.decision_id)
    disposition = None if sweep.disposition is Disposition.KEEP else sweep.disposition
    is_capped = sweep.disposition is Disposition.ADMIT_CAPPED
    return MemberStanding(standing, disposition, sweep.caps, sweep.decision_id, is_capped_by_sweep=is_capped)
