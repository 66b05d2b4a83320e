"""Peers: who is compared with whom before distance means anything. Declared once, as features are.

A key puts a row into one of a few levels by its context, which never raises risk. What depends on the category is
divided by the category's norm where it is counted (A1, A2, C2, D5, J1), SKU by SKU, and what depends on the kind of an
address is measured against that kind address by address (E5, H7): both are finer than any group of accounts. What is
left, how long an account has been there and what the calendar does to everyone, is a matter of peers. So is the kind of
place that most parcels go to. `benchmarks/peers.py` prints what each key buys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PeerKey:
    """What makes rows peers.

    Parameters
    ----------
    name
        Its name.
    column
        The column of the context that it reads.
    edges
        Of a number: where one band ends and the next begins.
    groups
        Of a text: the sets that are a level each; whatever is in none is level 0.
    """

    name: str
    column: str
    edges: tuple[float, ...] = ()
    groups: tuple[frozenset[str], ...] = ()

    @property
    def levels(self) -> int:
        """How many levels there are."""
        return 1 + len(self.edges) + len(self.groups)

    def level_of(self, context: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
        """Give each row's level, shape (n,), in [0, `levels`)."""
        column = context[self.column]
        if self.edges:
            return np.digitize(column.astype(np.float64), self.edges).astype(np.int64)
        level = np.zeros(len(column), dtype=np.int64)
        for number, group in enumerate(self.groups, start=1):
            level[np.isin(column, sorted(group))] = number
        return level


PEER_KEYS: dict[str, PeerKey] = {
    key.name: key
    for key in (
        PeerKey("tenure", "tenure_days", edges=(30.0, 180.0)),
        PeerKey("regime", "regime", groups=(frozenset({"pre_heat", "burst"}),)),
        PeerKey(
            "place",
            "place_kind",
            groups=(
                frozenset({"office", "school"}),
                frozenset({"dorm"}),
                frozenset({"pickup", "locker"}),
                frozenset({"forwarder", "warehouse", "shop"}),
            ),
        ),
    )
}
"""Every key by name: newcomers, settling in, settled; promotion or not; the kind of place."""
PEERS = ("tenure", "regime")
"""The keys that a model's space is measured by."""


def peer_groups(context: Mapping[str, NDArray[Any]], keys: Iterable[str] = PEERS) -> NDArray[np.int64]:
    """Give each row's peer group: the levels of all keys together.

    Parameters
    ----------
    context
        Of a feature table of n rows.
    keys
        Names of keys.

    Returns
    -------
    ndarray of shape (n,)
        In [0, `peer_group_count(keys)`).
    """
    group = np.zeros(len(context["tenure_days"]), dtype=np.int64)
    for key in (PEER_KEYS[name] for name in keys):
        group = group * key.levels + key.level_of(context)
    return group


def peer_group_count(keys: Iterable[str] = PEERS) -> int:
    """Give how many peer groups some keys make."""
    return int(np.prod([PEER_KEYS[name].levels for name in keys], dtype=np.int64))
