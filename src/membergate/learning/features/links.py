"""Soft links as they stand: what each of some accounts shared with others, as of an instant of its own."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from membergate.learning.features.computation import market_columns_of
from membergate.learning.features.derived import DERIVED
from membergate.learning.features.statements import cut
from membergate.learning.features.tables import Spine

WINDOW_DAYS = 90
"""Only what was used in the last so many days links, as in the features of the graph."""
_LINKS = DERIVED["feature_soft_links"]


@dataclass(frozen=True)
class SoftLinks:
    """Edges between rows of a spine and things: places, devices, networks, recipients' phones; each pair once.

    Parameters
    ----------
    rows
        Row of the spine, shape (e,), ascending.
    things
        Hash of the thing, shape (e,).
    """

    rows: NDArray[np.int64]
    things: NDArray[np.uint64]


def soft_links(connection: duckdb.DuckDBPyConnection, spine: Spine) -> SoftLinks:
    """Find what each row's account had orders sent to, or ordered with; nothing where the market does not tell.

    Parameters
    ----------
    connection
        Holds one view per market table, as `Warehouse.connect` gives it.
    spine
        Who is asked about; a row sees nothing later than its own instant.
    """
    columns = market_columns_of(connection)
    if not _LINKS.needs <= {f"{table}.{name}" for table, names in columns.items() for name in names}:
        return SoftLinks(np.zeros(0, np.int64), np.zeros(0, np.uint64))
    asked = pa.table(
        {
            "row_id": np.arange(len(spine)),
            "account_id": pa.array(spine.account_ids.tolist(), type=pa.string()),
            "as_of": np.asarray(spine.as_of, dtype="datetime64[us]"),
        }
    )
    connection.register("feature_incoming", asked)
    try:
        found = connection.execute(
            f"""
            SELECT x.row_id, e.thing
            FROM feature_incoming AS x JOIN ({_LINKS.write(columns, False)}) AS e
              ON e.account_id = x.account_id AND {cut("e")}
            WHERE e.thing IS NOT NULL
              AND e.seen_at <= x.as_of AND e.seen_at > x.as_of - INTERVAL {WINDOW_DAYS} DAY
            GROUP BY ALL ORDER BY ALL
            """
        ).fetchnumpy()
    finally:
        connection.unregister("feature_incoming")
    return SoftLinks(found["row_id"].astype(np.int64), found["thing"].astype(np.uint64))
