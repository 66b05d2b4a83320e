"""The last days of a market as a stream of CloudEvents, in the order in which the platform came to know them.

Late rows come late, so by their own time events are out of order; some are delivered twice, under one id.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb

from membergate.market.simulator.scenario import Scenario
from membergate.market.warehouse import literal

STREAM_FILE = "events.jsonl"
SOURCE = "membergate/simulator"
_EVENT_TIMES = ("ordered_at", "occurred_at", "logged_in_at", "submitted_at", "started_at", "decided_at")
OF_ORDERS, OF_LINES = ("orders", "order_lines", "shipments"), ("returns", "reviews")
"""Tables whose rows hang from an order, or from a line of one."""
_AGAIN_WITHIN_S = 600
_RFC_3339 = "%Y-%m-%dT%H:%M:%S.%fZ"


def split_off_stream(market: Path, out: Path, scenario: Scenario) -> int:
    """Move what became known from the stream's first day on out of the market folder, into `out/events.jsonl`.

    A line is one CloudEvents 1.0 envelope of type `membergate.TABLE.v1`, with the row as `data`. Tables without
    `ingested_at` (goods, stores, places) stay whole in the folder. So do orders: one of which any line was not known by
    then comes whole in the stream, before all else, with what hangs from it.

    Parameters
    ----------
    market, out
        The market folder, one file a table, and the folder for the stream.
    scenario
        Says when the stream begins and how often an event comes twice.

    Returns
    -------
    int
        Events written, repetitions included.
    """
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    first = scenario.starts_at + timedelta(days=scenario.stream_from_day)
    start = f"TIMESTAMPTZ '{first.isoformat()}'"
    _find_unfinished(connection, market, start)
    queries = []
    for file in sorted(market.glob("*.parquet")):
        names = [row[0] for row in connection.execute(f"DESCRIBE FROM {literal(str(file))}").fetchall()]
        if "ingested_at" in names:
            queries.append(_envelopes(file, names, _is_streamed(file, start)))
    # the id is a digest, so its first digits are as good as a draw
    twice = f"('0x' || substr(id, 1, 6))::BIGINT < {round(scenario.duplicate_share * 16**6)}"
    later = f"1 + ('0x' || substr(id, 7, 4))::BIGINT % {_AGAIN_WITHIN_S}"
    delivered = f"""
        WITH once AS ({" UNION ALL ".join(queries)})
        FROM once UNION ALL BY NAME
        SELECT * REPLACE (known_at + INTERVAL 1 SECOND * ({later}) AS known_at) FROM once WHERE {twice}
    """
    written = connection.execute(
        f"COPY (SELECT * EXCLUDE (known_at) FROM ({delivered}) ORDER BY known_at, id)"
        f" TO {literal(str(out / STREAM_FILE))} (FORMAT json)"
    ).fetchone()
    for file in sorted(market.glob("*.parquet")):
        _keep_what_was_known(connection, file, start)
    return int(written[0]) if written else 0


def _find_unfinished(connection: duckdb.DuckDBPyConnection, market: Path, start: str) -> None:
    """Find the orders that were known in part, and their lines: those of the folder are whole, as in an export."""
    orders, lines = (literal(str(market / f"{name}.parquet")) for name in ("orders", "order_lines"))
    connection.execute(
        f"CREATE TABLE unfinished_orders AS SELECT order_id FROM {lines} WHERE ingested_at >= {start} UNION "
        f"SELECT order_id FROM {orders} GROUP BY order_id HAVING min(ingested_at) >= {start}"
    )
    connection.execute(
        f"CREATE TABLE unfinished_lines AS SELECT line_id FROM {lines} SEMI JOIN unfinished_orders USING (order_id)"
    )


def _is_streamed(file: Path, start: str) -> str:
    """Write the condition on a table's rows for being in the stream."""
    condition = f"ingested_at >= {start}"
    if file.stem in OF_ORDERS:
        condition += " OR order_id IN (FROM unfinished_orders)"
    if file.stem in OF_LINES:
        condition += " OR line_id IN (FROM unfinished_lines)"
    return f"({condition})"


def _envelopes(file: Path, names: list[str], is_streamed: str) -> str:
    """Select a table's rows of the stream, each in its envelope, with instants as in RFC 3339."""
    happened = next((name for name in (*_EVENT_TIMES, *_dated(names)) if name in names), "ingested_at")
    written = ", ".join(f"strftime({name}, {literal(_RFC_3339)}) AS {name}" for name in [*_dated(names), "ingested_at"])
    return f"""
        SELECT '1.0' AS specversion, md5(to_json(line)::VARCHAR) AS id, {literal(SOURCE)} AS source,
            {literal(f"membergate.{file.stem}.v1")} AS type, coalesce(line.{happened}, line.ingested_at) AS time,
            'application/json' AS datacontenttype, to_json(line) AS data, known_at
        FROM (SELECT line, known_at FROM (
            SELECT * REPLACE ({written}), ingested_at AS known_at FROM {literal(str(file))} WHERE {is_streamed}
        ) AS known, LATERAL (SELECT COLUMNS(known.* EXCLUDE (known_at))) AS line)
    """


def _dated(names: list[str]) -> list[str]:
    """Give the other columns that may say when a row happened."""
    return [name for name in names if name.endswith("_at") and name != "ingested_at"]


def _keep_what_was_known(connection: duckdb.DuckDBPyConnection, file: Path, start: str) -> None:
    """Leave in a table's file what was known before then; a table without `ingested_at` stays as it is."""
    names = [row[0] for row in connection.execute(f"DESCRIBE FROM {literal(str(file))}").fetchall()]
    if "ingested_at" not in names:
        return
    rest = file.with_suffix(".rest")
    kept = f"FROM {literal(str(file))} WHERE NOT {_is_streamed(file, start)} ORDER BY ALL"
    connection.execute(f"COPY ({kept}) TO {literal(str(rest))} (FORMAT parquet, COMPRESSION zstd)")
    rest.replace(file)
