"""The lists as a witness: which entries speak of an applicant, as of the instant of the application."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import Self

from membergate.deciding.lists import ListEntry, RiskLists, Subject, SubjectType
from membergate.domain.evidence import Evidence
from membergate.operations.history import History
from membergate.operations.workspace import Workspace
from membergate.store import RiskListRecord, open_store

TOKENS: dict[SubjectType, tuple[tuple[str, str], ...]] = {
    SubjectType.DEVICE: (("logins", "device_tok"), ("orders", "device_tok"), ("applications", "device_tok")),
    SubjectType.ADDRESS: (("orders", "address_id"),),
    SubjectType.PHONE: (("accounts", "phone_tok"),),
    SubjectType.PAYMENT: (("orders", "payment_tok"),),
}
"""Where an account's tokens are seen. A recipient's phone is not the account's: gifts go to all sorts of people."""


class ListWitness:
    """Says what the lists say about an account: about itself, its operator, and the tokens it was seen with by then.

    An entry counts from when it was recorded, and a token from when the account was seen with it; so nothing that is
    entered later changes what was said before.

    Parameters
    ----------
    history
        Who was seen with which token, and when.
    record
        The lists, followed as they change; None for no entries, or for entries that are handed over by `take`.
    """

    def __init__(self, history: History, record: RiskListRecord | None = None) -> None:
        self._history = history
        self._record = record
        self._number = 0
        self._entries: dict[str, ListEntry] = {}
        self._lists = RiskLists.of(())
        self._seen_with: dict[str, list[tuple[Subject, datetime]]] = {}
        self._looked_for: set[Subject] = set()
        self._lock = Lock()

    @classmethod
    def now(cls, workspace: Workspace, history: History) -> Self:
        """Take the lists of a workspace as they are now."""
        witness = cls(history)
        if workspace.record.exists():
            with open_store(workspace.record) as record:
                witness.take(record.lists.entries())
        return witness

    def refresh(self) -> None:
        """Take over what changed in the record since the last time."""
        if self._record is None:
            return
        with self._lock:
            changed, number = self._record.changed_since(self._number)
            self.take(changed)
            self._number = number

    def take(self, entries: Iterable[ListEntry]) -> None:
        """Take over entries; one that is known already is replaced."""
        taken = {entry.entry_id: entry for entry in entries}
        if not taken:
            return
        self._look_for({entry.subject for entry in taken.values()} - self._looked_for)
        self._entries |= taken
        self._lists = RiskLists.of(self._entries.values())

    def about(self, account_id: str, operator_id: str, as_of: datetime) -> dict[str, Evidence]:
        """Give `list_allow`, `list_watch` and `list_deny` for an account and its operator as of an instant."""
        subjects = {Subject(SubjectType.ACCOUNT, account_id), Subject(SubjectType.OPERATOR, operator_id)}
        subjects |= {token for token, since in self._seen_with.get(account_id, ()) if since <= as_of}
        return {witnessed.name: witnessed for witnessed in self._lists.standing(subjects, as_of).evidence()}

    @cached_property
    def _elsewhere(self) -> History:
        return self._history.apart()  # the desk uses the other connection, in a thread of its own

    def _look_for(self, subjects: set[Subject]) -> None:
        for subject_type, places in TOKENS.items():
            keys = sorted(subject.key for subject in subjects if subject.subject_type is subject_type)
            for table, column in places:
                for account_id, key, since in self._elsewhere.first_seen(table, column, keys) if keys else ():
                    self._seen_with.setdefault(account_id, []).append((Subject(subject_type, key), since))
        self._looked_for |= subjects
