"""Peers are declared: who is compared with whom, by what the context says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from membergate.learning.features.peers import PEER_KEYS, PEERS, peer_group_count, peer_groups

if TYPE_CHECKING:
    from tests.unit.features.conftest import TinyMarket


def test_groups_are_the_levels_of_all_keys() -> None:
    """Two bands by two regimes are told apart, whatever else the context holds; every group is in range."""
    context = {
        "tenure_days": np.array([3.0, 30.0, 3.0, 400.0]),
        "regime": np.array(["ordinary", "ordinary", "burst", "post"]),
        "place_kind": np.array(["", "dorm", "office", "nowhere"]),
    }
    assert peer_groups(context).tolist() == [0, 2, 1, 4]
    assert peer_groups(context, ("place",)).tolist() == [0, 2, 1, 0]
    assert peer_groups(context, ()).tolist() == [0] * 4
    assert (peer_group_count(()), peer_group_count(), peer_group_count(tuple(PEER_KEYS))) == (1, 6, 30)
    assert set(PEERS) < set(PEER_KEYS)


def test_where_most_parcels_go(market: TinyMarket, context: Callable[..., dict[str, object]]) -> None:
    """Two of three orders to a pickup point make it the kind of place; one of three does not."""
    for account, addresses in (("a", ("pickup1", "pickup2", "home")), ("b", ("pickup1", "home", "home"))):
        for address in addresses:
            market.buys(account, "2025-06-20", address=address)
    assert context()["place_kind"] == "pickup"
    assert context(account="b")["place_kind"] == ""
