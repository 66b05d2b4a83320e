"""Risk list entries: dated memory about a subject, with reason, grade, source, confidence and expiry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from membergate.domain.errors import BadInputError
from membergate.domain.evidence import Evidence
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
_ENTRY_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_REASON_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,79}")
_LONGEST_KEY = 256
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """A type and the opaque key (an id or a token) of one subject."""

    subject_type: SubjectType
    key: str


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One entry. What it says never changes; a change of mind is a retraction and another entry.

    Parameters
    ----------
    entry_id
        Its id: letters, digits, and `_ . -`, at most 128 of them.
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
        How sure the source was when it said so, in [0, 1].
    recorded_at
        When it became known; before that nothing sees it.
    starts_at, expires_at
        When it is in force: from the start, up to but not including the end.
    withdrawn_at
        When it was withdrawn; None where it was not.
    source_version
        The source's version, such as a policy's; empty where it has none.
    review_at
        By when a person should look at it again; None where nobody need.
    half_life_days
        After how many days the confidence of an automatic entry is half of what it was; None where it does not decay.
    decision_id
        The decision that it came from; empty where it came from none.

    Raises
    ------
    BadInputError
        If an instant has no time zone, the end is not after the start, a number is out of range, an id, code or key is
        malformed, or the grade does not carry a denial.
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
    source_version: str = ""
    review_at: datetime | None = None
    half_life_days: float | None = None
    decision_id: str = ""

    def __post_init__(self) -> None:
        instants = (self.recorded_at, self.starts_at, self.expires_at, self.withdrawn_at, self.review_at)
        if any(instant is not None and instant.tzinfo is None for instant in instants):
            raise self._error("an instant must know its time zone", "aware instants")
        if self.expires_at <= self.starts_at:
            raise self._error("the entry would end before it begins", "expires_at after starts_at")
        if not 0.0 <= self.confidence <= 1.0:
            raise self._error(f"a confidence of {self.confidence}", "0 to 1")
        if self.half_life_days is not None and not 0.0 < self.half_life_days <= 36_500.0:  # noqa: PLR2004 (a century)
            raise self._error(f"a half-life of {self.half_life_days} days", "above 0, at most 36500")
        if self.risk_list is RiskList.DENY and self.grade not in DENYING_GRADES:
            raise self._error(f"grade {self.grade} does not carry a denial", ", ".join(sorted(DENYING_GRADES)))
        self._check_texts()

    def is_in_force(self, as_of: datetime) -> bool:
        """Whether the entry is known, begun, not withdrawn and not expired at an instant."""
        is_known = self.recorded_at <= as_of
        is_withdrawn = self.withdrawn_at is not None and self.withdrawn_at <= as_of
        return is_known and not is_withdrawn and self.starts_at <= as_of < self.expires_at

    def confidence_at(self, as_of: datetime) -> float:
        """Give the confidence that is left at an instant; a person's word does not decay, it is reviewed or expires."""
        if self.is_manual or self.half_life_days is None or as_of <= self.starts_at:
            return self.confidence
        halvings: float = (as_of - self.starts_at) / _DAY / self.half_life_days
        return self.confidence * float(0.5**halvings)

    def _check_texts(self) -> None:
        if not _ENTRY_ID.fullmatch(self.entry_id):
            raise self._error("this is no id of an entry", "letters, digits, and _ . -, at most 128")
        if not _REASON_CODE.fullmatch(self.reason_code):
            raise self._error(f"{self.reason_code[:80]!r} is no reason code", "capitals, digits and _: RESALE_BULK")
        texts = (("key", self.subject.key), ("source", self.source), ("source's version", self.source_version or "-"))
        for name, text in texts:
            if not 0 < len(text) <= _LONGEST_KEY or not text.isprintable():
                raise self._error(f"the {name} is empty, too long or not printable", f"1 to {_LONGEST_KEY} characters")

    def _error(self, what: str, allowed: str) -> BadInputError:
        return BadInputError(what, where=f"list entry {self.entry_id[:128]}", allowed=allowed)


def list_origin(risk_list: RiskList, entry_ids: tuple[str, ...]) -> str:
    """Write the origin of a list's evidence, with the entries behind it: `list:deny`, or `list:deny:e-1,e-2`."""
    return ":".join(("list", risk_list, ",".join(entry_ids))).rstrip(":")


def entries_behind(evidence: Evidence) -> tuple[str, ...]:
    """Give the ids of the list entries that made an evidence true; none for any other evidence."""
    kind, _, rest = evidence.origin.partition(":")
    if kind != "list" or evidence.value is not True:
        return ()
    return tuple(entry_id for entry_id in rest.partition(":")[2].split(",") if entry_id)
