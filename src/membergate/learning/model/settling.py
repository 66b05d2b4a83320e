"""Settling: how far a score still moves once more is seen of somebody, so that little history says how little it knows.

Somebody who was seen for long is looked at again as of earlier instants, when less was known. How far the margin moved
since, once the orders had at least doubled, is what a margin on as many orders may still move. The quantiles by number
of orders are those of split conformal prediction within groups (Vovk 2012, 10.1007/s10994-013-5355-6): for people like
those looked at, four in five settle inside. No label is asked, so it holds for an uncalibrated model as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.8
"""Share of the movements that lie inside."""
EDGES = np.array([1.0, 3.0, 6.0, 11.0, 21.0, 41.0])
"""Orders from which the next band begins."""
FEWEST_IN_A_BAND = 40
"""Movements below which a band is taken to move as far as the one with less history."""
FEWEST = 200
"""Movements below which nothing is learned."""
GROWTH, LEAST_GROWTH = 2.0, 3.0
"""By how much the orders must have grown: at least doubled, and three more."""
LOOKED_BACK = (0.5, 0.8, 0.999)
"""Shares of the history that are taken away; the last leaves nothing of it."""
SHORTEST_HISTORY_DAYS = 7.0
"""History below which taking part of it away leaves the same."""


@dataclass(frozen=True)
class Settling:
    """How far a margin may still move down and up, by band of orders; never less with less history.

    Parameters
    ----------
    down, up
        Shape (7,): log-odds, at most 0 and at least 0.
    """

    down: Floats
    up: Floats

    @classmethod
    def fit(cls, orders: Floats, movement: Floats) -> Self | None:
        """Learn from movements; None from fewer than 200.

        Parameters
        ----------
        orders
            Shape (n,): orders known when the earlier margin was given.
        movement
            Shape (n,): later margin less the earlier one, in log-odds.
        """
        if orders.size < FEWEST:
            return None
        band = np.digitize(orders, EDGES)
        ends = [_ends(movement[band == each]) for each in range(EDGES.size + 1)]
        everyone = _ends(movement)
        known = [everyone if end is None else end for end in ends[:1]]
        for end in ends[1:]:
            known.append(known[-1] if end is None else end)
        down, up = np.array(known).T
        # From much history to little: whoever showed less may move at least as far.
        down, up = np.minimum.accumulate(down[::-1])[::-1], np.maximum.accumulate(up[::-1])[::-1]
        return cls(np.asarray(np.round(down, 9), dtype=np.float64), np.asarray(np.round(up, 9), dtype=np.float64))

    def around(self, margin: Floats, orders: Floats) -> tuple[Floats, Floats]:
        """Give where margins may settle, lower and upper ends, shape (n,) each."""
        band = np.digitize(orders, EDGES)
        return margin + self.down[band], margin + self.up[band]


ASSUMED = Settling(np.array([-1.8, -1.4, -1.3, -1.2, -1.2, -1.1, -1.0]), np.array([3.0, 3.0, 2.0, 1.6, 1.5, 1.3, 1.2]))
"""What two simulated markets showed (demo, seeds 9001 and 9002), for a labelled model that cannot tell itself yet."""


def has_grown(earlier: Floats, later: Floats) -> NDArray[np.bool_]:
    """Tell where so many more orders were seen later that an earlier margin is put to the test."""
    return later >= np.maximum(GROWTH * earlier, earlier + LEAST_GROWTH)


def earlier_instants(
    as_of: NDArray[np.datetime64], history_days: Floats
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.datetime64]]]:
    """Look back into each history that is long enough: rows, and the instants at which less was known.

    Parameters
    ----------
    as_of
        Shape (n,): the instants at which all of it was known.
    history_days
        Shape (n,).
    """
    rows = np.flatnonzero(history_days > SHORTEST_HISTORY_DAYS)
    for share in LOOKED_BACK:
        back = (share * history_days[rows] * 86_400e6).astype("timedelta64[us]")
        yield rows, as_of[rows] - back


def _ends(movement: Floats) -> tuple[float, float] | None:
    """Give the conformal quantiles of both ends; None for too few."""
    if movement.size < FEWEST_IN_A_BAND:
        return None
    tail = (1.0 - LEVEL) / 2
    ranked = np.sort(movement)
    place = int(np.floor((movement.size + 1) * tail)) - 1
    return min(float(ranked[place]), 0.0), max(float(ranked[-1 - place]), 0.0)
