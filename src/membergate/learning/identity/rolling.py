"""Operators as time goes on: each link that begins or ends changes only the operators that it concerns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from membergate.domain.errors import BadInputError
from membergate.learning.identity.operators import operator_id_of


class Event(StrEnum):
    """What may happen to accounts and links."""

    SEEN = "seen"
    """An account became visible."""
    LINKED = "linked"
    """Two accounts became linked."""
    WITHDRAWN = "withdrawn"
    """A link ended: its token became a hub, a habit ended, or a row was replaced."""


@dataclass(frozen=True, slots=True)
class LinkChange:
    """One change, as `LinkIndex.changes` gives them.

    Parameters
    ----------
    at
        When; aware, UTC.
    event
        What happened.
    account_id, other_id
        Whom it concerns; `other_id` is empty for an account that became visible.
    """

    at: datetime
    event: Event
    account_id: str
    other_id: str = ""


class RollingOperators:
    """Keeps everybody's operator up to date, change by change, equal to what `LinkIndex.operators_as_of` finds anew.

    A link that begins moves the accounts of the smaller operator; one that is withdrawn looks at the operator that held
    it and at no other. Accounts must be told in the order in which they became visible, ties by id: the first member of
    an operator names it.
    """

    def __init__(self) -> None:
        self._rank: dict[str, int] = {}
        self._neighbours: dict[str, set[str]] = {}
        self._members: dict[int, set[str]] = {}
        self._part: dict[str, int] = {}
        self._founder: dict[int, str] = {}
        self._parts = 0

    def follow(self, changes: Iterable[LinkChange]) -> frozenset[str]:
        """Take in changes in their order.

        Parameters
        ----------
        changes
            In the order in which they happened.

        Returns
        -------
        frozenset
            Accounts whose operator, or whose operator's members, may have changed: who else is asked about again gets
            the same answer as before.

        Raises
        ------
        BadInputError
            If an account is seen twice, a link names one that was never seen, or one is withdrawn that is not there.
        """
        touched: set[str] = set()
        for change in changes:
            if change.event is Event.SEEN:
                self._see(change.account_id)
                touched.add(change.account_id)
                continue
            unseen = {change.account_id, change.other_id} - self._rank.keys()
            if unseen:
                raise BadInputError(f"the account {min(unseen)!r} was never seen", allowed="accounts first, then links")
            if change.event is Event.LINKED:
                touched |= self._link(change.account_id, change.other_id)
            else:
                touched |= self._withdraw(change.account_id, change.other_id)
        return frozenset(touched)

    def operator_id(self, account_id: str) -> str:
        """Name the operator of an account; one that nobody has seen is an operator of its own."""
        part = self._part.get(account_id)
        return operator_id_of(account_id if part is None else self._founder[part])

    def members(self, account_id: str) -> tuple[str, ...]:
        """Give the accounts of an account's operator, the first visible first."""
        part = self._part.get(account_id)
        if part is None:
            return (account_id,)
        return tuple(sorted(self._members[part], key=self._rank.__getitem__))

    def operators(self) -> dict[str, str]:
        """Give everybody's operator, as `LinkIndex.operators_as_of` does."""
        return {account_id: self.operator_id(account_id) for account_id in self._rank}

    def _see(self, account_id: str) -> None:
        if account_id in self._rank:
            raise BadInputError(f"the account {account_id!r} was seen before", allowed="every account once")
        self._rank[account_id] = len(self._rank)
        self._neighbours[account_id] = set()
        self._found({account_id})

    def _found(self, accounts: set[str]) -> None:
        """Make some accounts an operator of their own."""
        self._members[self._parts] = accounts
        self._founder[self._parts] = min(accounts, key=self._rank.__getitem__)
        self._part |= dict.fromkeys(accounts, self._parts)
        self._parts += 1

    def _link(self, a: str, b: str) -> set[str]:
        self._neighbours[a].add(b)
        self._neighbours[b].add(a)
        small, large = sorted((self._part[a], self._part[b]), key=lambda part: len(self._members[part]))
        if small == large:
            return {a, b}
        moved, founder = self._members.pop(small), self._founder.pop(small)
        self._members[large] |= moved
        self._part |= dict.fromkeys(moved, large)
        self._founder[large] = min(founder, self._founder[large], key=self._rank.__getitem__)
        return set(self._members[large])

    def _withdraw(self, a: str, b: str) -> set[str]:
        if b not in self._neighbours[a]:
            raise BadInputError(f"{a!r} and {b!r} are not linked", allowed="withdraw what was linked")
        self._neighbours[a].discard(b)
        self._neighbours[b].discard(a)
        part = self._part[a]
        everyone = self._members[part]
        side = self._reach(a, b)
        if b in side:
            return {a, b}
        self._members.pop(part)
        self._founder.pop(part)
        self._found(side)
        self._found(everyone - side)
        return set(everyone)

    def _reach(self, start: str, goal: str) -> set[str]:
        """Walk from an account until another is met or nobody is left."""
        met, frontier = {start}, deque([start])
        while frontier and goal not in met:
            for other in self._neighbours[frontier.popleft()] - met:
                met.add(other)
                frontier.append(other)
        return met
