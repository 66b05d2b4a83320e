"""Weighted cores of a graph with two sides: how deep in a group that shares things a member lies.

The generalised core number of Batagelj and Zaversnik (2002, arXiv cs/0202039): the largest level at which a node
survives when whatever has less is taken away again and again. A member has the weights of the things it shares, a thing
its weight times the members that still share it. These are the levels of FRAUDAR's greedy peeling (Hooi et al., KDD
2016, 10.1145/2939672.2939747); unlike the order of peeling they do not depend on how ties are broken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.compiling import kernel, part

DEEPEST = 1 << 14
"""Levels beyond this are told apart no more; it bounds the queue."""
_NOBODY = -1

Ints = NDArray[np.int64]


@part
def _unlink(node: int, at: Ints, heads: Ints, after: Ints, before: Ints) -> None:
    """Take a node out of its bucket."""
    if before[node] == _NOBODY:
        heads[at[node]] = after[node]
    else:
        after[before[node]] = after[node]
    if after[node] != _NOBODY:
        before[after[node]] = before[node]


@part
def _link(node: int, bucket: int, at: Ints, heads: Ints, after: Ints, before: Ints) -> None:
    """Put a node into a bucket."""
    at[node], before[node], after[node] = bucket, _NOBODY, heads[bucket]
    if heads[bucket] != _NOBODY:
        before[heads[bucket]] = node
    heads[bucket] = node


@kernel
def peeled(member: Ints, thing: Ints, starts: Ints, order: Ints, weights: Ints, members: int) -> Ints:
    """Give the core level of every member: buckets of nodes by what they have, so that each edge is touched twice.

    Parameters
    ----------
    member, thing
        Ends of each edge, sorted by thing; shape (e,), no edge twice.
    starts
        Where each node's edges begin, shape (members + things + 1,): members' in `order`, things' behind them.
    order
        Places of the edges sorted by member, then the places themselves, shape (2 e,).
    weights
        Whole weight of each thing, shape (things,).
    members
        How many members there are.

    Returns
    -------
    ndarray of shape (members,)
        Levels, at most `DEEPEST`; 0 for whoever shares nothing.
    """
    nodes = len(starts) - 1
    has, at = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    after, before = np.full(nodes, _NOBODY), np.full(nodes, _NOBODY)
    heads, is_gone = np.full(DEEPEST + 1, _NOBODY), np.zeros(nodes, np.bool_)
    for edge in range(len(member)):
        has[member[edge]] += weights[thing[edge]]
        has[members + thing[edge]] += weights[thing[edge]]
    for node in range(nodes):
        _link(node, min(has[node], DEEPEST), at, heads, after, before)
    levels = np.zeros(nodes, np.int64)
    for level in range(DEEPEST + 1):
        while heads[level] != _NOBODY:
            node = heads[level]
            _unlink(node, at, heads, after, before)
            levels[node], is_gone[node] = level, True
            for slot in range(starts[node], starts[node + 1]):
                edge = order[slot]
                other = members + thing[edge] if node < members else member[edge]
                if not is_gone[other]:
                    has[other] -= weights[thing[edge]]
                    _unlink(other, at, heads, after, before)
                    _link(other, max(level, min(has[other], DEEPEST)), at, heads, after, before)
    return levels[:members]


def weighted_cores(member: Ints, thing: Ints, weights: Ints, members: int) -> Ints:
    """Give the weighted core level of every member of a graph of members and things.

    Parameters
    ----------
    member, thing
        Codes of the ends of each edge, shape (e,); no edge twice.
    weights
        Whole weight of each thing, at least 1, shape (things,).
    members
        How many members there are.

    Returns
    -------
    ndarray of shape (members,)
        Levels in [0, `DEEPEST`].
    """
    by_thing = np.argsort(thing, kind="stable")
    member, thing = member[by_thing], thing[by_thing]
    by_member = np.argsort(member, kind="stable")
    degrees = np.concatenate([np.bincount(member, minlength=members), np.bincount(thing, minlength=len(weights))])
    starts = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64)
    order = np.concatenate([by_member, np.arange(len(member))]).astype(np.int64)
    return np.asarray(peeled(member, thing, starts, order, weights, members))
