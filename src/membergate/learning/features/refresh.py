"""Who must be asked again: accounts of which anything became known, or was corrected, since they were last asked.

A feature's value moves with its instant, so a daily table keeps for each account the instant of its last change: what
stands for an account that nothing happened to equals what a full computation gives for that account as of that instant.
"""

from __future__ import annotations

import duckdb
import numpy as np
from numpy.typing import NDArray

from membergate.learning.features.derived import Columns
from membergate.learning.identity import OperatorTable
from membergate.market.schema import TABLES


def touched_accounts(
    connection: duckdb.DuckDBPyConnection, columns: Columns, since: np.datetime64, until: np.datetime64
) -> frozenset[str]:
    """Give the accounts of which a row became visible, or was superseded, in (since, until].

    Parameters
    ----------
    connection
        Holds the market.
    columns
        What the market has.
    since, until
        Instants in UTC.
    """
    has_account = [
        name for name in columns if "account_id" in (*TABLES[name].column_names, *TABLES[name].inherited_columns)
    ]
    within = "(visible_at > $since AND visible_at <= $until) OR (superseded_at > $since AND superseded_at <= $until)"
    parts = [f'SELECT account_id FROM "{name}" WHERE {within}' for name in has_account]
    if "labels" in columns:
        parts.append(f"SELECT subject_id FROM labels WHERE subject_type = 'account' AND ({within})")
    bounds = {"since": since.astype("datetime64[us]").item(), "until": until.astype("datetime64[us]").item()}
    rows = connection.execute(" UNION ".join(parts), bounds).fetchall()
    return frozenset(row[0] for row in rows)


def to_ask_again(operators: OperatorTable, touched: frozenset[str]) -> NDArray[np.bool_]:
    """Tell which rows of a spine must be computed again: those whose operator has a touched account, shape (n,)."""
    is_touched = np.array([member in touched for member in operators.member_ids.tolist()], dtype=np.int64)
    upto = np.concatenate([[0], np.cumsum(is_touched)])
    again: NDArray[np.bool_] = upto[operators.offsets[1:]] > upto[operators.offsets[:-1]]
    return again
