"""operators: who stands behind several accounts as of an instant, by what, and what changed since an earlier one."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime

from membergate.domain.errors import BadInputError
from membergate.domain.instants import format_instant
from membergate.learning.identity import Hub, LinkIndex, RollingOperators
from membergate.operations.history import History
from membergate.operations.workspace import Workspace

SHOWN = 20
"""Operators and moves that are told unless more are asked for."""


@dataclass(frozen=True)
class Several:
    """An operator with several accounts.

    Parameters
    ----------
    operator_id
        It names the founder, so new accounts do not change it.
    account_ids
        Its accounts, the first visible first.
    kinds
        What joins them: kind of link -> links of that kind in a spanning tree.
    """

    operator_id: str
    account_ids: tuple[str, ...]
    kinds: dict[str, int]


@dataclass(frozen=True)
class Move:
    """An account whose operator is another one than before; `before` is empty for an account that is new."""

    account_id: str
    before: str
    after: str


@dataclass(frozen=True)
class Operators:
    """Who is who.

    Parameters
    ----------
    as_of, since
        The instant, and the earlier one; None without one.
    accounts, operators, of_several
        Accounts that are visible, their operators, and how many of these have several accounts.
    largest
        The largest of those, by their accounts.
    hubs
        What too many share to link anybody.
    joined
        New accounts whose operator has several.
    moved
        Accounts that changed from one operator to another, because two turned out to be one or a link ended.
    """

    as_of: datetime
    since: datetime | None
    accounts: int
    operators: int
    of_several: int
    largest: tuple[Several, ...]
    hubs: tuple[Hub, ...]
    joined: tuple[Move, ...]
    moved: tuple[Move, ...]


def operators(
    workspace: Workspace, *, as_of: datetime | None = None, since: datetime | None = None, most: int = SHOWN
) -> Operators:
    """Tell the operators of everybody who is visible, and who belongs to another one than before.

    Parameters
    ----------
    workspace
        Holds the market.
    as_of
        The instant; the end of the data where None.
    since
        An earlier instant to compare with. Followed are the links that began or ended in between, one by one.
    most
        How many operators, and how many accounts of either kind of change, are told.

    Raises
    ------
    BadInputError
        If `since` does not lie before `as_of`.
    """
    history = History(workspace.warehouse())
    instant = as_of or history.last_instant
    if since is not None and since >= instant:
        raise BadInputError(
            "there is nothing between the two instants",
            where=f"since {format_instant(since)}",
            allowed=f"an instant before {format_instant(instant)}",
        )
    known = history.links.operators_as_of(instant)
    members: dict[str, list[str]] = defaultdict(list)
    for account, operator in known.items():
        members[operator].append(account)
    several = sorted((name for name in members if len(members[name]) > 1), key=lambda name: (-len(members[name]), name))
    moves = [] if since is None else _moves(history.links, since, instant)
    return Operators(
        as_of=instant,
        since=since,
        accounts=len(known),
        operators=len(members),
        of_several=len(several),
        largest=tuple(_several(history.links, members[name][0], instant) for name in several[:most]),
        hubs=history.links.hubs,
        joined=tuple(move for move in moves if not move.before)[:most],
        moved=tuple(move for move in moves if move.before)[:most],
    )


def _several(links: LinkIndex, account: str, instant: datetime) -> Several:
    found = links.operator_of(account, instant)
    kinds = Counter(link.kind.value for link in found.links)
    return Several(found.operator_id, found.account_ids, dict(kinds.most_common()))


def _moves(links: LinkIndex, since: datetime, until: datetime) -> list[Move]:
    """Follow what happened to links in between; an account that only founded an operator of its own has not moved."""
    rolling = RollingOperators()
    rolling.follow(links.changes(None, since))
    before = rolling.operators()
    touched = rolling.follow(links.changes(since, until))
    moves = [Move(account, before.get(account, ""), rolling.operator_id(account)) for account in sorted(touched)]
    return [
        move
        for move in moves
        if move.before != move.after and (move.before or len(rolling.members(move.account_id)) > 1)
    ]
