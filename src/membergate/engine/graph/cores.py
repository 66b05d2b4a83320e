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
MOST_WEIGHT = (1 << 31) - 1
"""What all edges weigh together at most, so that sums are exact in 32 bits."""
_NOBODY = -1
_GONE = 0
# A node is one row of 16 bytes, so that what is known of it is one visit to memory: what it has, its bucket, its weight
# if it is a thing, and where its neighbours begin.
_HAS, _AT, _WEIGHT, _START = 0, 1, 2, 3

Ints = NDArray[np.int64]
Places = NDArray[np.int32]


@part
def _queued(node: int, bucket: int, nodes: Places, heads: Places, queue: Places, entries: int) -> int:
    """Put a node into a bucket; where it was before, its entry stays and is passed over."""
    nodes[node, _AT] = bucket
    queue[entries, 0], queue[entries, 1] = node, heads[bucket]
    heads[bucket] = entries
    return entries + 1


@kernel
def linked(member: Places, sizes: Places, weights: Places, nodes: Places) -> Places:
    """Fill in what every node has and where its neighbours begin, and give the neighbours, shape (2 e,).

    Parameters
    ----------
    member, sizes, weights
        As for `weighted_cores`.
    nodes
        Zeros, members first, then things, and one row for the end; shape (members + things + 1, 4).
    """
    edges, members = len(member), len(nodes) - 1 - len(sizes)
    at = 0
    for thing in range(len(sizes)):
        node = members + thing
        nodes[node, _HAS] = weights[thing] * sizes[thing]
        nodes[node, _WEIGHT], nodes[node, _START] = weights[thing], edges + at
        for slot in range(at, at + sizes[thing]):
            nodes[member[slot], _HAS] += weights[thing]
            nodes[member[slot], _START] += 1
        at += sizes[thing]
    nodes[members + len(sizes), _START] = 2 * edges
    # Counts become ends, and filling from the end makes them the beginnings.
    end = 0
    for node in range(members):
        end += nodes[node, _START]
        nodes[node, _START] = end
    others = np.empty(2 * edges, np.int32)
    others[edges:] = member
    for thing in range(len(sizes) - 1, -1, -1):
        for slot in range(at - sizes[thing], at):
            nodes[member[slot], _START] -= 1
            others[nodes[member[slot], _START]] = members + thing
        at -= sizes[thing]
    return others


@kernel
def peeled(nodes: Places, others: Places, members: int) -> Places:
    """Give the core level of every member: buckets of nodes, so that each edge is touched twice.

    Parameters
    ----------
    nodes, others
        What `linked` filled in and gave.
    members
        How many of the nodes are members.
    """
    heads = np.full(DEEPEST + 1, _NOBODY, np.int32)
    # Every node is queued once, and once more at most for each edge that it loses.
    queue = np.empty((len(nodes) + len(others) // 2, 2), np.int32)
    levels = np.zeros(members, np.int32)
    entries = 0
    for node in range(len(nodes) - 1):
        if nodes[node, _HAS] > 0:
            entries = _queued(node, min(nodes[node, _HAS], DEEPEST), nodes, heads, queue, entries)
    for level in range(1, DEEPEST + 1):
        while heads[level] != _NOBODY:
            node, heads[level] = queue[heads[level], 0], queue[heads[level], 1]
            if nodes[node, _AT] != level:
                continue
            nodes[node, _AT] = _GONE
            if node < members:
                levels[node] = level
            for slot in range(nodes[node, _START], nodes[node + 1, _START]):
                other = others[slot]
                if nodes[other, _AT] == _GONE:
                    continue
                nodes[other, _HAS] -= max(nodes[node, _WEIGHT], nodes[other, _WEIGHT])
                bucket = max(level, min(nodes[other, _HAS], DEEPEST))
                if bucket != nodes[other, _AT]:
                    entries = _queued(other, bucket, nodes, heads, queue, entries)
    return levels


def weighted_cores(member: NDArray[np.integer], sizes: NDArray[np.integer], weights: Ints, members: int) -> Places:
    """Give the weighted core level of every member of a graph of members and things.

    Parameters
    ----------
    member
        Who shares each thing, thing after thing; codes, shape (e,); nobody twice for one thing.
    sizes
        How many share each thing, shape (things,).
    weights
        Whole weight of each thing, at least 1, shape (things,).
    members
        How many members there are.

    Returns
    -------
    ndarray of shape (members,)
        Levels in [0, `DEEPEST`].

    Raises
    ------
    ValueError
        If all edges together weigh more than `MOST_WEIGHT`.
    """
    if (total := int(np.dot(np.asarray(sizes, np.int64), np.asarray(weights, np.int64)))) > MOST_WEIGHT:
        raise ValueError(f"all edges weigh {total} together; at most {MOST_WEIGHT} is allowed: choose a coarser unit")
    nodes = np.zeros((members + len(sizes) + 1, 4), np.int32)
    member, sizes, of_things = (np.asarray(values, np.int32) for values in (member, sizes, weights))
    levels: Places = peeled(nodes, linked(member, sizes, of_things, nodes), members)
    return levels
