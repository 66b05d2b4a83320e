"""Fitting what households usually do: which categories are everyday, what comes back, when people sleep."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from membergate.learning.features.derived import Columns
from membergate.learning.features.relation import DAY_US, MINUTE_US

CORE_CATEGORIES = 12
"""So many categories, those that most ordinary accounts bought from in the last half year, are everyday ones."""
HABIT_DAYS = 180
"""Habits are those of the last so many days."""
NIGHT_HOURS = 6
"""The so many hours in which the population orders least are its night, from midnight on."""
FEWEST_RETURNS = 20.0
"""A category's return rate is believed half at so many units."""
VISIBLE = "visible_at <= $as_of AND COALESCE(superseded_at, TIMESTAMP 'infinity') > $as_of"
"""The as-of cut of the norms' own queries."""


def with_habits(
    connection: duckdb.DuckDBPyConnection, categories: pa.Table, as_of: datetime, columns: Columns
) -> tuple[pa.Table, dict[str, float]]:
    """Add to the category norms which are everyday and what of them comes back; give the scalars of habits.

    Parameters
    ----------
    connection
        Holds the market, `norm_lines` and `norm_ordinary`.
    categories
        The norms by category so far.
    as_of
        The instant, naive and in UTC.
    columns
        What the market has.
    """
    names = categories["category"].to_pylist()
    core = _core(connection)
    rates, everywhere = _return_rates(connection, as_of, columns)
    table = categories.append_column("is_core", pa.array([name in core for name in names], pa.bool_()))
    table = table.append_column("return_rate", pa.array([rates.get(n, everywhere) for n in names], pa.float64()))
    scalars = {
        "core_categories": float(max(len(core), 1)),
        "return_rate": everywhere,
        "utc_offset_hours": _utc_offset_hours(connection, as_of),
        "fee_minor": _usual_fee(connection, as_of, columns),
        "promotion_odds": _promotion_odds(connection, as_of, columns),
    }
    return table, scalars


def _core(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    rows = connection.execute(
        f"""
        SELECT category FROM norm_lines SEMI JOIN norm_ordinary USING (account)
        WHERE age_days < {HABIT_DAYS} AND category IS NOT NULL
        GROUP BY category ORDER BY COUNT(DISTINCT account) DESC, category LIMIT {CORE_CATEGORIES}
        """
    ).fetchall()
    return frozenset(row[0] for row in rows)


def _return_rates(
    connection: duckdb.DuckDBPyConnection, as_of: datetime, columns: Columns
) -> tuple[dict[str, float], float]:
    """Give the share of units that comes back, by category and everywhere; thin categories lean on everywhere."""
    if "returns" not in columns:
        return {}, 0.0
    level = "COALESCE(s.category_l2, s.category_l1)" if "category_l2" in columns.get("skus", ()) else "s.category_l1"
    rows = connection.execute(
        f"""
        WITH sent AS (SELECT category, SUM(units) AS units FROM norm_lines WHERE age_days < {HABIT_DAYS} GROUP BY 1),
        back AS (
          SELECT {level} AS category, SUM(e.quantity) AS units
          FROM (FROM returns WHERE {VISIBLE} AND returned_at > $as_of - INTERVAL {HABIT_DAYS} DAY) AS e
          JOIN (FROM skus WHERE {VISIBLE}) AS s ON s.sku_id = e.sku_id GROUP BY 1)
        SELECT category, CAST(sent.units AS BIGINT), CAST(COALESCE(back.units, 0) AS BIGINT)
        FROM sent LEFT JOIN back USING (category) ORDER BY category
        """,
        {"as_of": as_of},
    ).fetchall()
    total = sum(sent for _, sent, _ in rows)
    everywhere = sum(back for _, _, back in rows) / total if total else 0.0
    return {
        name: (back + FEWEST_RETURNS * everywhere) / (sent + FEWEST_RETURNS) for name, sent, back in rows if name
    }, everywhere


def _utc_offset_hours(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> float:
    """Give the hours to add to UTC so that the quietest hours lie at night: one offset for the whole shop."""
    rows = connection.execute(
        f"""
        SELECT EPOCH_US(ordered_at) // {60 * MINUTE_US} % 24 AS hour, COUNT(*) FROM orders
        WHERE {VISIBLE} AND ordered_at > $as_of - INTERVAL {HABIT_DAYS} DAY GROUP BY 1
        """,
        {"as_of": as_of},
    ).fetchall()
    orders = dict(rows)
    quiet = [sum(orders.get((start + k) % 24, 0) for k in range(NIGHT_HOURS)) for start in range(24)]
    return float(-quiet.index(min(quiet)) % 24)


def _usual_fee(connection: duckdb.DuckDBPyConnection, as_of: datetime, columns: Columns) -> float:
    """Give the median yearly fee that members paid; 0 where nothing is known of fees."""
    if "fee_minor" not in columns.get("memberships", ()):
        return 0.0
    row = connection.execute(
        f"SELECT QUANTILE_DISC(fee_minor, 0.5) FROM memberships WHERE {VISIBLE} AND fee_minor > 0", {"as_of": as_of}
    ).fetchall()
    return float(row[0][0] or 0)


def _promotion_odds(connection: duckdb.DuckDBPyConnection, as_of: datetime, columns: Columns) -> float:
    """Give the odds of a day of the last half year to lie inside a promotion."""
    if "promotions" not in columns:
        return 0.0
    spans = connection.execute(
        f"SELECT starts_at, ends_at FROM promotions WHERE {VISIBLE} AND starts_at <= $as_of", {"as_of": as_of}
    ).fetchall()
    today = (as_of - datetime(1970, 1, 1)) // timedelta(microseconds=DAY_US)  # noqa: DTZ001 # naive UTC like the rows
    days: set[int] = set()
    for start, end in spans:
        first, last = ((t - datetime(1970, 1, 1)) // timedelta(days=1) for t in (start, end))  # noqa: DTZ001 # as above
        days.update(range(max(first, today - HABIT_DAYS + 1), min(last, today) + 1))
    return len(days) / max(HABIT_DAYS - len(days), 1)
