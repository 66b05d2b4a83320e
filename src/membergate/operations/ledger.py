"""The ledger: who holds a membership as of an instant, for the cap of operators."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Self

import numpy as np

from membergate.operations.history import History


class Ledger:
    """Who holds a membership as of an instant: by the market's own record, or because this desk admitted them.

    Parameters
    ----------
    history
        The loaded market with its memberships.
    memberships_until
        Memberships from here on are left out: they are what another door gave, when this one is being measured.
    """

    def __init__(self, history: History, memberships_until: datetime | None = None) -> None:
        self._spans = history.holders(memberships_until)
        self._admitted: dict[str, datetime] = {}
        self._let_in: dict[str, datetime] = {}

    def anew(self) -> Self:
        """Give a ledger that knows the market's memberships, and whom the door let in, and has admitted nobody yet."""
        other = type(self).__new__(type(self))
        vars(other).update(vars(self), _admitted={})
        return other

    def holders(self, account_ids: Iterable[str], as_of: datetime, *, is_present: bool = False) -> int:
        """Count the accounts that hold a membership as of an instant, or were given one before it.

        Parameters
        ----------
        account_ids
            Whom to look at.
        as_of
            The instant.
        is_present
            Whether those count, too, whom the door let in without an application: that is known here alone.
        """
        return sum(self._holds(account, as_of, is_present=is_present) for account in account_ids)

    def holds(self, account_id: str, as_of: datetime) -> bool:
        """Tell whether an account holds a membership as of an instant by the market's record alone."""
        instant = np.datetime64(as_of.replace(tzinfo=None), "us")
        return any(start <= instant < end for start, end in self._spans.get(account_id, ()))

    def accounts(self, as_of: datetime) -> tuple[str, ...]:
        """Name the accounts that hold a membership as of an instant by the market's record, in alphabetical order."""
        return tuple(sorted(account for account in self._spans if self.holds(account, as_of)))

    def admit(self, account_id: str, as_of: datetime) -> None:
        """Remember an admission."""
        self._admitted[account_id] = min(as_of, self._admitted.get(account_id, as_of))

    def let_in(self, account_id: str, as_of: datetime) -> None:
        """Remember, for good, whom the door let in without an application."""
        self._let_in[account_id] = min(as_of, self._let_in.get(account_id, as_of))

    def _holds(self, account_id: str, as_of: datetime, *, is_present: bool) -> bool:
        given = self._admitted.get(account_id)
        if given is not None and given < as_of:
            return True
        given = self._let_in.get(account_id) if is_present else None
        return (given is not None and given <= as_of) or self.holds(account_id, as_of)
