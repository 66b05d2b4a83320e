"""Cores: how deep in a group that shares rare things an account lies, in the graph of the start of each week.

A core is a fixed point of a whole graph, which no window of one account's rows gives. So the graph of accounts and
things is taken as of the first instant of the week (Thursday, 0 o'clock, UTC) of each row, from what was visible by
then, and worked out with arrays; what comes out is a table like any other, each row valid for its week, cut as of the
row's instant. A value depends on its week alone: not on later rows, nor on who else is asked about.

The engine peels the graph (`engine.graph.cores`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from membergate.engine.graph.cores import weighted_cores
from membergate.engine.graph.spans import ChangingGraph, changing_graph
from membergate.learning.features.derived import CORES, DERIVED, Columns
from membergate.learning.features.relation import DAY_US

WEEK_US = 7 * DAY_US
"""A graph stands for a week."""
WINDOW_WEEKS = 13
"""Only what was shared in the last so many weeks is in it."""
MOST_ACCOUNTS = 100
"""What more accounts share is a crowd and in no graph."""
UNIT = 64
"""Weights are whole numbers of 1/64, so that sums are exact in any order; cores are multiples of it."""

_NEVER = 1 << 30
Query = Callable[[str], pa.Table]
"""Runs a statement of ours on an engine."""
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Edges:
    """Who shares what in which weeks: the graph, and the account of each code."""

    graph: ChangingGraph
    accounts: pa.Array


def core_tables(
    names: frozenset[str], columns: Columns, as_of: NDArray[np.datetime64], query: Query
) -> dict[str, pa.Table]:
    """Work out the core tables that a program reads, for the weeks of a spine.

    Parameters
    ----------
    names
        Tables that the program reads; those that are no core tables are passed over.
    columns
        What the market has.
    as_of
        The instants, shape (n,).
    query
        Runs SQL where the market is.

    Returns
    -------
    dict
        Name -> table of `account` (its hash), `core` in units of weight, `visible_at` and `superseded_at`.
    """
    weeks = np.unique(np.asarray(as_of, dtype="datetime64[us]").astype(np.int64) // WEEK_US)
    return {
        name: _cores_of(_edges(DERIVED[name].write(columns, False), weeks, query), weeks)  # whole market
        for name in CORES
        if name in names
    }


def _edges(rows: str, weeks: Ints, query: Query) -> _Edges:
    """Read who shares what: one row a span of weeks, things that only one account has left out."""
    found = query(f"""
WITH spans AS (
  SELECT HASH(account_id) AS account, thing,
    {_week_from("GREATEST(visible_at, seen_at)")} AS first,
    LEAST({WINDOW_WEEKS} + {_week_from("seen_at")}, COALESCE({_week_from("superseded_at")}, {_NEVER})) AS upto
  FROM ({rows}) AS r WHERE thing IS NOT NULL
), asked AS (
  SELECT * FROM spans WHERE first < upto AND first <= {int(weeks[-1])} AND upto > {int(weeks[0])}
), several AS (SELECT thing FROM asked GROUP BY thing HAVING MIN(account) <> MAX(account))
SELECT account, thing, first, MAX(upto) AS upto FROM asked SEMI JOIN several USING (thing)
GROUP BY account, thing, first""")
    account, thing = (found[name].to_numpy().view(np.uint64) for name in ("account", "thing"))
    graph, places = changing_graph(account, thing, found["first"].to_numpy(), found["upto"].to_numpy())
    return _Edges(graph, found["account"].combine_chunks().take(pa.array(places)))


def _week_from(instant: str) -> str:
    """Write the first week that begins at or after an instant."""
    return f"(EPOCH_US({instant}) + {WEEK_US - 1}) // {WEEK_US}"


def _cores_of(edges: _Edges, weeks: Ints) -> pa.Table:
    """Work out the cores of each week's graph; a core that stays the same from week to week is one row."""
    before, since = np.zeros(edges.graph.members, np.int32), np.zeros(edges.graph.members, np.int64)
    parts = []
    asked = weeks.tolist()
    for last, week in pairwise([asked[0] - 2, *asked, asked[-1] + 2]):
        core = np.zeros_like(before)
        if week <= asked[-1]:
            core = rarity_cores(*edges.graph.at(week, most=MOST_ACCOUNTS), edges.graph.members)
        # Nothing is known of weeks that nobody asks about.
        is_new = (core != before) | (week > last + 1)
        parts.append(_rows(edges.accounts, np.flatnonzero(is_new & (before > 0)), before, since, last + 1))
        before, since = core, np.where(is_new, week, since)
    return pa.concat_tables(parts)


def _rows(accounts: pa.Array, inside: Ints, core: NDArray[np.int32], since: Ints, until: int) -> pa.Table:
    """Give the rows of cores that end with a week."""
    return pa.table(
        {
            "account": accounts.take(pa.array(inside)),
            "core": pa.array(core[inside] / UNIT),
            "visible_at": pa.array((since[inside] * WEEK_US).astype("datetime64[us]")),
            "superseded_at": pa.array(np.full(len(inside), until * WEEK_US, "datetime64[us]")),
        }
    )


def rarity_cores(account: NDArray[np.int32], sizes: NDArray[np.int32], accounts: int) -> NDArray[np.int32]:
    """Give the weighted core number of every account in a graph of accounts and things.

    A thing weighs `1 / log(2 + n)` where n accounts share it.

    Parameters
    ----------
    account
        Who shares each thing, thing after thing, shape (e,).
    sizes
        How many share each thing, shape (things,).
    accounts
        How many accounts there are.

    Returns
    -------
    ndarray of shape (accounts,)
        Core numbers in 1/64; 0 where an account shares nothing.
    """
    return weighted_cores(account, sizes, np.round(UNIT / np.log(2 + sizes)).astype(np.int64), accounts)
