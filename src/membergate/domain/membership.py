"""Memberships: how an account stands, who changed that, and what may be said against it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from membergate.domain.decision import Caps
from membergate.domain.disposition import Disposition


class Standing(StrEnum):
    """How an account stands towards the membership."""

    NONE = "none"
    """It holds none."""
    MEMBER = "member"
    """It holds one, with or without caps."""
    SUSPENDED = "suspended"
    """It holds one whose benefits rest."""
    TERMINATED = "terminated"
    """Its membership was ended; a person may bring it back."""


@dataclass(frozen=True, slots=True)
class MemberStanding:
    """How an account stands as of an instant, and why.

    Parameters
    ----------
    standing
        How it stands.
    disposition
        What the door or the last sweep gave it; None where the market's own record alone speaks of it.
    caps
        The benefit limits that it is under; None for none.
    decision_id
        The decision behind it; empty where there is none.
    is_capped_by_sweep
        Whether its caps come from a sweep, which another sweep may lift.
    """

    standing: Standing
    disposition: Disposition | None = None
    caps: Caps | None = None
    decision_id: str = ""
    is_capped_by_sweep: bool = False


class AppealState(StrEnum):
    """How far an appeal has come."""

    OPEN = "open"
    UPHELD = "upheld"
    """The person was right: the decision is reversed."""
    REJECTED = "rejected"
    """The decision stands."""


@dataclass(frozen=True, slots=True)
class Appeal:
    """What somebody holds against a decision, and what became of it.

    Parameters
    ----------
    appeal_id
        Its id.
    decision_id, account_id
        The decision, and whom it is about.
    opened_at, statement
        When it was opened, and what was said.
    state
        How far it has come.
    decided_at, decided_by, note
        When, by whom and why it was decided; None and empty while it is open.
    """

    appeal_id: str
    decision_id: str
    account_id: str
    opened_at: datetime
    statement: str
    state: AppealState = AppealState.OPEN
    decided_at: datetime | None = None
    decided_by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a member is told about a change of the membership.

    Parameters
    ----------
    notice_id
        Its id.
    decision_id, account_id
        The decision that it tells of, and to whom.
    kind
        `sweep`, `reinstated`, `appeal`.
    sentences
        What changed, why, what would change it, and how to appeal.
    created_at
        Since when it waits to be delivered by the shop.
    """

    notice_id: str
    decision_id: str
    account_id: str
    kind: str
    sentences: tuple[str, ...]
    created_at: datetime
