"""What identity resolution answers with: an operator, the links that make it one, and a table of operators per row."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from membergate.learning.identity.rules import LinkKind


def operator_id_of(founder_account_id: str) -> str:
    """Name an operator after its founder: the member account that was visible first, ties by account id.

    The name is `op-` and 80 bits of BLAKE2b over the founder's account id, in hexadecimal, so that it carries nothing
    of the id and is the same on every machine.
    """
    return "op-" + hashlib.blake2b(founder_account_id.encode(), digest_size=10).hexdigest()


@dataclass(frozen=True, slots=True)
class Link:
    """One kind of token that two accounts share, as one reason why they are one operator.

    Parameters
    ----------
    kind
        What is shared.
    token
        The token, shortened: enough to tell two apart, too little to use.
    weight
        The kind's points. Within a facet only the largest counts; see `LinkRules`.
    account_ids
        The two accounts, in the order of the path.
    seen_at
        When the token became visible with each of them; aware, UTC.
    since
        When the two became linked by it: the later of `seen_at`.
    shared_tokens
        How many tokens of this kind the two share as of then; `token` is the one shared longest.
    """

    kind: LinkKind
    token: str
    weight: int
    account_ids: tuple[str, str]
    seen_at: tuple[datetime, datetime]
    since: datetime
    shared_tokens: int


@dataclass(frozen=True, slots=True)
class Hub:
    """A token that more accounts share than its cap allows, and that therefore links nobody.

    Parameters
    ----------
    kind
        What it is.
    token
        The token, shortened.
    accounts
        How many accounts were ever seen with it.
    """

    kind: LinkKind
    token: str
    accounts: int


@dataclass(frozen=True, slots=True)
class Operator:
    """The person or organisation behind one or more accounts, as of an instant.

    Parameters
    ----------
    operator_id
        See `operator_id_of`.
    account_ids
        Its accounts, the first visible first.
    links
        A spanning tree of links from the first account, enough to show why each account belongs; empty for one account.
    """

    operator_id: str
    account_ids: tuple[str, ...]
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True, eq=False)
class OperatorTable:
    """The operator of each of n rows, each row as of its own instant.

    Parameters
    ----------
    operator_ids
        (n,) object array of str.
    sizes
        (n,) int64, accounts of the operator, the row's own included; at least 1.
    member_ids
        (sum of sizes,) object array of str: the member accounts of row 0, then of row 1, and so on; within a row the
        first visible first.
    offsets
        (n + 1,) int64; the members of row i are `member_ids[offsets[i]:offsets[i + 1]]`.
    """

    operator_ids: NDArray[np.object_]
    sizes: NDArray[np.int64]
    member_ids: NDArray[np.object_]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.operator_ids)

    def members(self, row: int) -> tuple[str, ...]:
        """Give the account ids of the operator of one row, its own account included."""
        return tuple(self.member_ids[self.offsets[row] : self.offsets[row + 1]])

    def member_rows(self) -> NDArray[np.int64]:
        """Give the row of each entry of `member_ids`, (sum of sizes,): with it, members join back to their rows."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.sizes)
