"""Limits: what an order asks to use up, and how many units fit. The ledger holds the sums; this is its arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Limit:
    """The most of something since an instant.

    Parameters
    ----------
    key
        What is metered: an operator's units of a SKU, its benefit, its orders; a promotion's stock.
    most
        The limit.
    since
        Uses from this instant on count, later ones too; aware.
    weight
        How much one unit uses up, at least 0.
    """

    key: str
    most: int
    since: datetime
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Ask:
    """A wish for units under several limits, all of which must hold.

    Parameters
    ----------
    use_id
        Names the use; the same use asked again gets the same answer.
    units
        How many units are wished for, at least 0.
    limits
        The limits.
    """

    use_id: str
    units: int
    limits: tuple[Limit, ...]

    def fitting(self, used: Mapping[str, int]) -> int:
        """Give how many of the units fit, given what was used of each limit."""
        fits = self.units
        for limit in self.limits:
            if limit.weight > 0:
                fits = min(fits, max(0, limit.most - used.get(limit.key, 0)) // limit.weight)
        return fits
