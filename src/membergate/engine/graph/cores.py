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
Places = NDArray[np.int32]


@part
def _unlink(node: int, at: Places, heads: Places, after: Places, before: Places) -> None:
    """Take a node out of its bucket."""
    if before[node] == _NOBODY:
        heads[at[node]] = after[node]
    else:
        after[before[node]] = after[node]
    if after[node] != _NOBODY:
        before[after[node]] = before[node]


@part
def _link(node: int, bucket: int, at: Places, heads: Places, after: Places, before: Places) -> None:
    """Put a node into a bucket."""
    at[node], before[node], after[node] = bucket, _NOBODY, heads[bucket]
    if heads[bucket] != _NOBODY:
        before[heads[bucket]] = node
    heads[bucket] = node


@kernel
def peeled(starts: Ints, others: Places, weights: Ints, has: Ints) -> None:
    """Replace what every node has by its core level: buckets of nodes, so that each edge is touched twice.

    Parameters
    ----------
    starts
        Where each node's neighbours begin, members first, then things; shape (members + things + 1,).
    others
        The neighbours, shape (2 e,).
    weights
        Whole weight of each thing, shape (things,).
    has
        What each node has at first, shape (members + things,); levels, at most `DEEPEST`, in the end.
    """
    nodes = len(has)
    members = nodes - len(weights)
    at = np.full(nodes, _NOBODY, np.int32)
    after, before = np.full(nodes, _NOBODY, np.int32), np.full(nodes, _NOBODY, np.int32)
    heads = np.full(DEEPEST + 1, _NOBODY, np.int32)
    for node in range(nodes):
        if has[node] > 0:
            _link(node, min(has[node], DEEPEST), at, heads, after, before)
    for level in range(1, DEEPEST + 1):
        while heads[level] != _NOBODY:
            node = heads[level]
            _unlink(node, at, heads, after, before)
            has[node], at[node] = level, _NOBODY
            for slot in range(starts[node], starts[node + 1]):
                other = others[slot]
                if at[other] == _NOBODY:
                    continue
                has[other] -= weights[max(node, other) - members]
                bucket = max(level, min(has[other], DEEPEST))
                if bucket != at[other]:
                    _unlink(other, at, heads, after, before)
                    _link(other, bucket, at, heads, after, before)


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
    by_member, by_thing = np.argsort(member), np.argsort(thing)
    own, shared = np.bincount(member, minlength=members), np.bincount(thing, minlength=len(weights))
    starts = np.concatenate([[0], np.cumsum(np.concatenate([own, shared]))]).astype(np.int64)
    others = np.concatenate([members + thing[by_member], member[by_thing]]).astype(np.int32)
    # Weights are whole and sums far below 2^53, so that doubles are exact.
    weighed = np.bincount(member, weights=weights[thing], minlength=members)
    has = np.concatenate([weighed.astype(np.int64), weights * shared])
    peeled(starts, others, np.asarray(weights, np.int64), has)
    levels: Ints = has[:members]
    return levels
