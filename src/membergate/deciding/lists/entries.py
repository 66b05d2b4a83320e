"""Risk list entries: dated memory about a subject, with reason, grade and expiry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from membergate.domain.errors import BadInputError
from membergate.domain.labels import LabelGrade


class RiskList(StrEnum):
    """What an entry says of its subject, mildest first."""

    ALLOW = "allow"
    WATCH = "watch"
    DENY = "deny"


class SubjectType(StrEnum):
    """What an entry is about."""

    ACCOUNT = "account"
    OPERATOR = "operator"
    DEVICE = "device"
    ADDRESS = "address"
    PHONE = "phone"
    PAYMENT = "payment"


DENYING_GRADES = frozenset({LabelGrade.L2, LabelGrade.L3, LabelGrade.L4})
"""A rule or model hit (L1) may watch, never deny: the next hit would confirm the last."""


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """A type and the opaque key (an id or a token) of one subject."""

    subject_type: SubjectType
    key: str


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One entry.

    Parameters
    ----------
    entry_id
        Its id.
    risk_list
        The list that it stands on.
    subject
        Whom or what it is about.
    reason_code
        A stable code: `RESALE_BULK`, `MULTI_ACCOUNT_RING`, `COUPON_FARM`, `AUTOMATION`, `CLEARED_ON_APPEAL`, …
    grade
        How well it is founded; a deny entry needs L2 or better.
    source
        Who or what said it.
    is_manual
        Whether a person decided it.
    confidence
        How sure the source is, in [0, 1].
    recorded_at
        When it became known; before that nothing sees it.
    starts_at, expires_at
        When it is in force: from the start, up to but not including the end.
    withdrawn_at
        When it was withdrawn; None where it was not.

    Raises
    ------
    BadInputError
        If an instant has no time zone, the end is not after the start, the confidence is out of range, or the grade
        does not carry a denial.
    """

    entry_id: str
    risk_list: RiskList
    subject: Subject
    reason_code: str
    grade: LabelGrade
    source: str
    is_manual: bool
    confidence: float
    recorded_at: datetime
    starts_at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None = None

    def __post_init__(self) -> None:
        instants = (self.recorded_at, self.starts_at, self.expires_at, self.withdrawn_at)
        if any(instant is not None and instant.tzinfo is None for instant in instants):
            raise self._error("an instant must know its time zone", "aware instants")
        if self.expires_at <= self.starts_at:
            raise self._error("the entry would end before it begins", "expires_at after starts_at")
        if not 0.0 <= self.confidence <= 1.0:
            raise self._error(f"a confidence of {self.confidence}", "0 to 1")
        if self.risk_list is RiskList.DENY and self.grade not in DENYING_GRADES:
            raise self._error(f"grade {self.grade} does not carry a denial", ", ".join(sorted(DENYING_GRADES)))

    def is_in_force(self, as_of: datetime) -> bool:
        """Whether the entry is known, begun, not withdrawn and not expired at an instant."""
        is_known = self.recorded_at <= as_of
        is_withdrawn = self.withdrawn_at is not None and self.withdrawn_at <= as_of
        return is_known and not is_withdrawn and self.starts_at <= as_of < self.expires_at

    def _error(self, what: str, allowed: str) -> BadInputError:
        return BadInputError(what, where=f"list entry {self.entry_id}", allowed=allowed)
