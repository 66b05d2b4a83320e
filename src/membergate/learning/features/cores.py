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

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from membergate.engine.graph.cores import weighted_cores
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

_NEVER = 1 << 40
Query = Callable[[str], pa.Table]
"""Runs a statement of ours on an engine."""
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Edges:
    """Who shares what in which weeks, sorted by thing and account: codes, first week, the week after the last."""

    accounts: pa.Array
    account: Ints
    thing: Ints
    first: Ints
    end: Ints


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
    account, thing = (found[name].combine_chunks().dictionary_encode() for name in ("account", "thing"))
    codes = [np.asarray(coded.indices.to_numpy(zero_copy_only=False), np.int64) for coded in (thing, account)]
    order = np.argsort(codes[0] * max(len(account.dictionary), 1) + codes[1])
    spans = [np.asarray(found[name].to_numpy(), np.int64)[order] for name in ("first", "upto")]
    return _Edges(account.dictionary, codes[1][order], codes[0][order], *spans)


def _week_from(instant: str) -> str:
    """Write the first week that begins at or after an instant."""
    return f"(EPOCH_US({instant}) + {WEEK_US - 1}) // {WEEK_US}"


def _cores_of(edges: _Edges, weeks: Ints) -> pa.Table:
    """Work out the cores of each week's graph."""
    parts = []
    for week in weeks.tolist():
        alive = (edges.first <= week) & (edges.end > week)
        account, thing = edges.account[alive], edges.thing[alive]
        is_new = np.r_[True, (account[1:] != account[:-1]) | (thing[1:] != thing[:-1])][: len(account)]
        core = rarity_cores(account[is_new], thing[is_new], len(edges.accounts))
        inside = np.flatnonzero(core)
        since, until = (np.full(len(inside), at * WEEK_US, "datetime64[us]") for at in (week, week + 1))
        parts.append(
            pa.table(
                {
                    "account": edges.accounts.take(pa.array(inside)),
                    "core": pa.array(core[inside]),
                    "visible_at": pa.array(since),
                    "superseded_at": pa.array(until),
                }
            )
        )
    return pa.concat_tables(parts)


def rarity_cores(account: Ints, thing: Ints, accounts: int) -> NDArray[np.float64]:
    """Give the weighted core number of every account in a graph of accounts and things.

    A thing weighs `1 / log(2 + n)` where n accounts share it, and nothing where it has one or a crowd.

    Parameters
    ----------
    account, thing
        Codes of the two ends of each edge, shape (e,); no edge twice.
    accounts
        How many accounts there are.

    Returns
    -------
    ndarray of shape (accounts,)
        Core numbers, multiples of 1/64; 0 where an account shares nothing.
    """
    sharing = np.bincount(thing, minlength=1)
    has_part = (sharing > 1) & (sharing <= MOST_ACCOUNTS)
    kept = has_part[thing]
    # Things without part in it are no nodes.
    code = np.cumsum(has_part) - 1
    weights = np.round(UNIT / np.log(2 + sharing[has_part])).astype(np.int64)
    return weighted_cores(account[kept], code[thing[kept]], weights, accounts) / UNIT
