"""Standing: what the lists say about a subject as of an instant, when several entries speak.

Precedence:

1. A person who allowed the subject beats every automatic entry, unless a person also accused it.
2. Otherwise the strictest accusation counts, manual or automatic: deny before watch.
3. Otherwise an automatic allowance counts.

A deny entry on an address counts as watch: strangers share addresses, and a shared roof is no guilt. An automatic entry
loses confidence with its half-life: below one half a denial only watches, below one tenth nothing counts any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from membergate.domain.evidence import Evidence
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType, list_origin

DENYING_CONFIDENCE = 0.5
"""Below it, an automatic denial only watches."""
FADED_CONFIDENCE = 0.1
"""Below it, an automatic entry does not count."""

_STRICTNESS = {risk_list: rung for rung, risk_list in enumerate(RiskList)}


@dataclass(frozen=True, slots=True)
class Standing:
    """The outcome, and the entries that made it.

    Parameters
    ----------
    risk_list
        The list that counts; None where no entry is in force.
    entries
        The entries that say so, best founded first.
    as_of
        The instant.
    """

    risk_list: RiskList | None
    entries: tuple[ListEntry, ...]
    as_of: datetime

    def evidence(self) -> tuple[Evidence, ...]:
        """Give `list_allow`, `list_watch` and `list_deny`; at most one is true, and its origin names the entries."""
        behind = tuple(entry.entry_id for entry in self.entries)
        return tuple(
            Evidence(
                f"list_{risk_list}",
                self.risk_list is risk_list,
                list_origin(risk_list, behind if self.risk_list is risk_list else ()),
                self.as_of,
            )
            for risk_list in RiskList
        )


@dataclass(frozen=True, slots=True)
class RiskLists:
    """Entries by subject, for many lookups. Build with `RiskLists.of`."""

    by_subject: Mapping[Subject, Sequence[ListEntry]]

    @property
    def subjects(self) -> Collection[Subject]:
        """Whom and what entries are about."""
        return self.by_subject.keys()

    @classmethod
    def of(cls, entries: Iterable[ListEntry]) -> RiskLists:
        """Index entries; their order does not matter."""
        by_subject: dict[Subject, list[ListEntry]] = {}
        for entry in entries:
            by_subject.setdefault(entry.subject, []).append(entry)
        return cls(by_subject)

    def standing(self, subjects: Collection[Subject], as_of: datetime) -> Standing:
        """Give the standing of an account that is all these subjects: itself, its operator, its phone and so on."""
        in_force = [
            (entry, counted)
            for subject in set(subjects)
            for entry in self.by_subject.get(subject, ())
            if entry.is_in_force(as_of) and (counted := counts_as(entry, as_of)) is not None
        ]
        risk_list = _precedence(in_force)
        deciding = [entry for entry, counted in in_force if counted is risk_list]
        # the id settles equal foundations, so that the order of entries does not matter
        deciding.sort(key=lambda entry: (not entry.is_manual, -entry.confidence, entry.entry_id))
        return Standing(risk_list, tuple(deciding), as_of)


def standing(entries: Iterable[ListEntry], subjects: Collection[Subject], as_of: datetime) -> Standing:
    """Give the standing of one account as of an instant; for many lookups, index once with `RiskLists.of`."""
    return RiskLists.of(entries).standing(subjects, as_of)


def counts_as(entry: ListEntry, as_of: datetime) -> RiskList | None:
    """Give the list that an entry in force counts for; None where its confidence has faded away."""
    confidence = 1.0 if entry.is_manual else entry.confidence_at(as_of)
    if confidence < FADED_CONFIDENCE:
        return None
    is_on_address = entry.subject.subject_type is SubjectType.ADDRESS
    is_softened = is_on_address or confidence < DENYING_CONFIDENCE
    return RiskList.WATCH if is_softened and entry.risk_list is RiskList.DENY else entry.risk_list


def _precedence(in_force: Collection[tuple[ListEntry, RiskList]]) -> RiskList | None:
    accusations = [(entry, counted) for entry, counted in in_force if counted is not RiskList.ALLOW]
    allowances = [entry for entry, counted in in_force if counted is RiskList.ALLOW]
    is_accused_by_person = any(entry.is_manual for entry, _ in accusations)
    if any(entry.is_manual for entry in allowances) and not is_accused_by_person:
        return RiskList.ALLOW
    if accusations:
        return max((counted for _, counted in accusations), key=_STRICTNESS.__getitem__)
    return RiskList.ALLOW if allowances else None
