"""A graph of members and things that changes: who shares what in which spans of time, and how it stands at one time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from membergate.engine.graph.compiling import kernel

_NOBODY = -1
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""An odd number near 2^64 over the golden ratio: its products' leading bits differ where keys do (Knuth, 6.4)."""

Keys = NDArray[np.uint64]
Places = NDArray[np.int32]


@kernel
def numbered(keys: Keys) -> tuple[Places, Places]:
    """Give each key a number, in the order of their first places.

    Parameters
    ----------
    keys
        Hashes, shape (n,).

    Returns
    -------
    codes, places
        The number of each key, shape (n,), and where each number was first seen, shape (distinct,).
    """
    bits = 4
    while (1 << bits) < 2 * len(keys):
        bits += 1
    shift, last = np.uint64(64 - bits), (1 << bits) - 1
    slots = np.full(1 << bits, _NOBODY, np.int32)
    codes, places = np.empty(len(keys), np.int32), np.empty(len(keys), np.int32)
    found = 0
    for row in range(len(keys)):
        slot = np.int64((keys[row] * _SPREAD) >> shift)
        while slots[slot] != _NOBODY and keys[places[slots[slot]]] != keys[row]:
            slot = (slot + 1) & last
        if slots[slot] == _NOBODY:
            slots[slot], places[found] = found, row
            found += 1
        codes[row] = slots[slot]
    return codes, places[:found].copy()


@kernel
def shared_at(
    member: Places, starts: Places, since: Places, until: Places, time: int, most: int, members: int
) -> tuple[Places, Places]:
    """Give who shares what at a time: the members, thing after thing, and how many share each.

    Things that one member has, or more than `most`, are left out. See `ChangingGraph` for the parameters.
    """
    found, sizes = np.empty(len(member), np.int32), np.empty(len(starts), np.int32)
    counted_in = np.full(members, _NOBODY, np.int32)
    begin, things = 0, 0
    for thing in range(len(starts) - 1):
        end = begin
        for edge in range(starts[thing], starts[thing + 1]):
            if since[edge] <= time and until[edge] > time and counted_in[member[edge]] != thing:
                counted_in[member[edge]] = thing
                found[end] = member[edge]
                end += 1
        if 1 < end - begin <= most:
            sizes[things] = end - begin
            things += 1
            begin = end
    return found[:begin].copy(), sizes[:things].copy()


@dataclass(frozen=True)
class ChangingGraph:
    """Who shares what in which spans of time.

    Parameters
    ----------
    member
        Codes, thing after thing, shape (e,).
    starts
        Where the edges of each thing begin, and where the last ones end, shape (things + 1,).
    since, until
        Whole times from which on and up to which an edge is there, shape (e,). Spans of one member with one thing may
        overlap.
    members
        How many members there are.
    """

    member: Places
    starts: Places
    since: Places
    until: Places
    members: int

    def at(self, time: int, *, most: int) -> tuple[Places, Places]:
        """Give the members that share each thing at a time, thing after thing, and how many they are.

        Parameters
        ----------
        time
            When.
        most
            What more members share is left out, as is what one has alone.
        """
        members, sizes = shared_at(self.member, self.starts, self.since, self.until, time, most, self.members)
        return members, sizes


def changing_graph(
    member_keys: Keys, thing_keys: Keys, since: NDArray[np.integer], until: NDArray[np.integer]
) -> tuple[ChangingGraph, NDArray[np.intp]]:
    """Make the graph from the hashes of its edges' ends; members are numbered thing by thing, so that they lie near.

    Parameters
    ----------
    member_keys, thing_keys
        Hashes of the two ends, shape (e,).
    since, until
        As in `ChangingGraph`.

    Returns
    -------
    graph, places
        And the edge in which each member was first seen, shape (members,).
    """
    order = np.argsort(thing_keys)
    things = thing_keys[order]
    starts = np.r_[0, np.flatnonzero(things[1:] != things[:-1]) + 1, len(things)]
    codes, places = numbered(member_keys[order])
    since, until = (np.asarray(times, np.int32)[order] for times in (since, until))
    return ChangingGraph(codes, starts.astype(np.int32), since, until, len(places)), order[places]
