"""Fitting the norms: a few robust population queries as of one instant, then the prior of every shrunk rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa

from membergate.domain.errors import NotEnoughDataError
from membergate.domain.instants import format_instant
from membergate.learning.features.catalogue import chosen
from membergate.learning.features.compiler import Compiler
from membergate.learning.features.computation import (
    PART_ROWS,
    market_columns_of,
    measured,
    named_measures,
    rate_of,
)
from membergate.learning.features.declaration import Feature
from membergate.learning.features.derived import Columns
from membergate.learning.features.lineage import is_computable, measures_of
from membergate.learning.features.norm_habits import with_habits
from membergate.learning.features.norm_thresholds import thresholds
from membergate.learning.features.norms import Norms, naive_utc
from membergate.learning.features.relations import DAY_US, LONGEST_WINDOW_DAYS
from membergate.learning.features.tables import Spine
from membergate.learning.identity import OperatorTable

ORDINARY_CATEGORIES = 4
"""An account of ordinary breadth buys from at least so many categories: most merchants do not."""
ORDINARY_DEPTH_QUANTILE = 0.9
"""And its units per SKU lie below this quantile of all accounts."""
ALLOWANCE_QUANTILE = 0.9
"""The household norm: units of one SKU in 30 days that nine of ten ordinary households which buy it stay within.

Not the 99th percentile: above the 95th, the few merchants who pass for ordinary own the tail and lift the norm to what
they buy; `benchmarks/realism.py` prints what A2 and D5 tell with either.
"""
THIN = 100.0
"""A category with so many observations is believed half, the wider category the other half."""
RECENT_DAYS = 90
"""Prices and popularity are those of the last so many days."""
SCORE_WEIGHTS = (2, 2, 1)
"""Weights of a SKU's ranks in its resale score: bought deep by many accounts, price spread, liquidity."""
MOST_PRIOR_ACCOUNTS = 20_000
"""Accounts that the priors are fitted on, drawn by a digest of their id."""


def fit_norms(
    connection: duckdb.DuckDBPyConnection, as_of: datetime, features: Iterable[str | Feature] | None = None
) -> Norms:
    """Fit the population tables and priors that features are measured against.

    Parameters
    ----------
    connection
        Holds one view per market table.
    as_of
        Nothing later is looked at.
    features
        Features whose priors are wanted; all that can be computed where None.

    Raises
    ------
    NotEnoughDataError
        If no order line is visible as of the instant.
    """
    columns = market_columns_of(connection)
    with _population(connection, naive_utc(as_of), columns):
        lines = connection.execute("SELECT COUNT(*) FROM norm_lines").fetchall()[0][0]
        if not lines:
            raise NotEnoughDataError(
                "no order line is visible yet, so nothing can be fitted",
                where=format_instant(as_of),
                next_step="fit as of a later instant, or load more of the market",
            )
        categories, scalars = _categories(connection)
        categories, of_habits = with_habits(connection, categories, naive_utc(as_of), columns)
        connection.register("norm_category_fitted", categories)
        skus, of_skus = _skus(connection)
        connection.unregister("norm_category_fitted")
        kinds, of_kinds = _place_kinds(connection, naive_utc(as_of), columns)
        accounts = _ordinary_accounts(connection)
        steps = thresholds(connection, naive_utc(as_of), columns)
    tables = {"norm_sku": skus, "norm_category": categories, "norm_place_kind": kinds, "norm_threshold": steps}
    norms = Norms(as_of, tables, scalars | of_habits | of_skus | of_kinds, {})
    return Norms(as_of, tables, norms.scalars, _priors(connection, norms, accounts, columns, chosen(features)))


@contextmanager
def _population(connection: duckdb.DuckDBPyConnection, as_of: datetime, columns: Columns) -> Iterator[None]:
    """Stand up every visible line of the last year, and which accounts are of ordinary breadth and depth."""
    has_levels = "category_l2" in columns.get("skus", ())
    category = "COALESCE(s.category_l2, s.category_l1)" if has_levels else "s.category_l1"
    has_member_price = "member_discount_minor" in columns.get("order_lines", ())
    is_member_price = "COALESCE(e.member_discount_minor, 0) > 0" if has_member_price else "TRUE"
    connection.execute(
        f"""
        CREATE TEMP TABLE norm_lines AS
        SELECT HASH(e.account_id) AS account, e.sku_id, {category} AS category, s.category_l1 AS wide_category,
            EPOCH_US($as_of) // {DAY_US} - EPOCH_US(e.ordered_at) // {DAY_US} AS age_days,
            EPOCH_US(e.ordered_at) // {DAY_US} AS day, e.quantity AS units,
            e.net_price_minor AS net, e.list_price_minor AS list, {_market_price(columns)} AS market_price,
            {is_member_price} AS is_member_price
        FROM order_lines AS e JOIN skus AS s ON s.sku_id = e.sku_id AND {_visible("s")}
        WHERE {_visible("e")} AND e.ordered_at > $as_of - INTERVAL {LONGEST_WINDOW_DAYS} DAY
        """,
        {"as_of": as_of},
    )
    connection.execute(
        f"""
        CREATE TEMP TABLE norm_ordinary AS
        WITH breadth AS (
          SELECT account, COUNT(DISTINCT category) AS categories, SUM(units) / COUNT(DISTINCT sku_id) AS depth
          FROM norm_lines GROUP BY account)
        SELECT account FROM breadth WHERE categories >= {ORDINARY_CATEGORIES}
          AND depth <= (SELECT QUANTILE_DISC(depth, {ORDINARY_DEPTH_QUANTILE}) FROM breadth)
        """
    )
    try:
        yield
    finally:
        connection.execute("DROP TABLE norm_lines")
        connection.execute("DROP TABLE norm_ordinary")


def _categories(connection: duckdb.DuckDBPyConnection) -> tuple[pa.Table, dict[str, float]]:
    """Fit allowance and depletion by category; thin categories lean on the wide one, and that on everything."""
    months = """
        SELECT category, MIN(wide_category) AS wide, SUM(units) AS amount
        FROM norm_lines SEMI JOIN norm_ordinary USING (account) GROUP BY account, sku_id, category, age_days // 30
        """
    # What was bought up to the last purchase was used up by then; a household that buys once says nothing of speed.
    speeds = """
        SELECT category, MIN(wide) AS wide,
          (SUM(units) - ARG_MIN(units, age_days)) / (MAX(age_days) - MIN(age_days)) AS amount
        FROM (
          SELECT account, sku_id, category, MIN(wide_category) AS wide, age_days, SUM(units) AS units
          FROM norm_lines SEMI JOIN norm_ordinary USING (account) GROUP BY account, sku_id, category, age_days)
        GROUP BY account, sku_id, category HAVING COUNT(*) > 1
        """
    allowances = _backed_off(connection, months, ALLOWANCE_QUANTILE)
    speeds_found = _backed_off(connection, speeds, 0.5)
    names = sorted(set(allowances) | set(speeds_found) - {""})
    names = [name for name in names if name]
    table = pa.table(
        {
            "category": pa.array(names, type=pa.string()),
            "allowance": pa.array(
                [math.ceil(allowances.get(n, allowances[""]) - 1e-9) for n in names], type=pa.int64()
            ),
            "daily_units": pa.array([speeds_found.get(n, speeds_found[""]) for n in names], type=pa.float64()),
        }
    )
    return table, {"allowance": float(math.ceil(allowances[""] - 1e-9)), "daily_units": speeds_found[""]}


def _backed_off(connection: duckdb.DuckDBPyConnection, observations: str, quantile: float) -> dict[str, float]:
    """Give a quantile by category, shrunk in logs through the wide category to everything (name "")."""
    level = f"COUNT(*) AS n, QUANTILE_DISC(amount, {quantile}) AS q"
    rows = connection.execute(
        f"""
        WITH seen AS ({observations})
        SELECT '' AS category, '' AS wide, {level} FROM seen
        UNION ALL SELECT '', wide, {level} FROM seen WHERE wide <> '' GROUP BY wide
        UNION ALL SELECT category, MIN(wide), {level} FROM seen WHERE category <> '' GROUP BY category
        """
    ).fetchall()
    everything = next((q for category, wide, _, q in rows if not category and not wide), None) or 1.0
    wides = {wide: _leaning(q, n, everything) for category, wide, n, q in rows if not category and wide}
    found = {category: _leaning(q, n, wides.get(wide, everything)) for category, wide, n, q in rows if category}
    return found | {"": float(everything)}


def _leaning(own: float, n: int, wider: float) -> float:
    """Mix an own and a wider quantile in logs, by how much stands behind the own one."""
    belief = n / (n + THIN)
    return math.exp(belief * math.log(max(own, 1e-6)) + (1 - belief) * math.log(max(wider, 1e-6)))


def _skus(connection: duckdb.DuckDBPyConnection) -> tuple[pa.Table, dict[str, float]]:
    """Fit each SKU's resale price, resale score and popularity."""
    deep, spread, liquid = SCORE_WEIGHTS
    table = connection.sql(
        f"""
        WITH weeks AS (
          SELECT DISTINCT sku_id, account, day // 7 AS week FROM norm_lines WHERE age_days < {RECENT_DAYS}
        ), depth AS (
          SELECT sku_id, account, age_days // 30 AS month_no, SUM(units) > MIN(c.allowance) AS is_deep
          FROM norm_lines JOIN norm_category_fitted AS c USING (category) GROUP BY ALL
        ), concentration AS (
          SELECT sku_id, COUNT(DISTINCT account) AS accounts,
            (COUNT(DISTINCT account) FILTER (WHERE is_deep) + 0.5) / (COUNT(DISTINCT account) + 10) AS share
          FROM depth GROUP BY sku_id
        ), prices AS (
          SELECT sku_id, COALESCE(MIN(market_price),
              MEDIAN(net) FILTER (WHERE NOT is_member_price AND age_days < {RECENT_DAYS}), MEDIAN(list)) AS resale,
            MEDIAN(net) AS usual
          FROM norm_lines GROUP BY sku_id
        ), everyone AS (
          SELECT COUNT(DISTINCT account) AS accounts FROM norm_lines
        ), popularity AS (
          SELECT sku_id, COUNT(*) AS account_weeks FROM weeks GROUP BY sku_id
        ), active AS (SELECT COUNT(*) AS account_weeks FROM (SELECT DISTINCT account, week FROM weeks))
        SELECT sku_id, CAST(ROUND(resale) AS BIGINT) AS resale_price_minor,
          ({deep} * PERCENT_RANK() OVER (ORDER BY share)
           + {spread} * PERCENT_RANK() OVER (ORDER BY COALESCE((resale - usual) / NULLIF(usual, 0), 0))
           + {liquid} * PERCENT_RANK() OVER (ORDER BY c.accounts)) / {deep + spread + liquid} AS resale_score,
          (COALESCE(popularity.account_weeks, 0) + 0.5) / (active.account_weeks + 1) AS weekly_share,
          LN((everyone.accounts + 1) / (c.accounts + 1)) AS rarity
        FROM concentration AS c JOIN prices USING (sku_id) LEFT JOIN popularity USING (sku_id), everyone, active
        ORDER BY sku_id
        """
    ).to_arrow_table()
    scalars = {
        "resale_score": 0.5,
        "rarity": max(table["rarity"].to_pylist(), default=0.0),
        "weekly_share": min(table["weekly_share"].to_pylist(), default=0.5),
    }
    return table, scalars


def _place_kinds(
    connection: duckdb.DuckDBPyConnection, as_of: datetime, columns: Columns
) -> tuple[pa.Table, dict[str, float]]:
    """Fit how many accounts typically share an address of each kind, each account's address counted once."""
    if "address_id" not in columns.get("orders", ()):
        empty = pa.table({"place_kind": pa.array([], pa.string()), "typical_log_accounts": pa.array([], pa.float64())})
        return empty, {"typical_log_accounts": math.log(2)}
    has_kinds = "kind" in columns.get("addresses", ())
    kind = "COALESCE(a.kind, 'unknown')" if has_kinds else "'unknown'"
    join = f"LEFT JOIN addresses AS a ON a.address_id = e.address_id AND {_visible('a')}" if has_kinds else ""
    table = connection.sql(
        f"""
        WITH pairs AS (
          SELECT e.address_id, MIN({kind}) AS place_kind, e.account_id FROM orders AS e {join}
          WHERE {_visible("e")} AND e.address_id IS NOT NULL GROUP BY e.address_id, e.account_id
        ), degrees AS (SELECT place_kind, COUNT(*) OVER (PARTITION BY address_id) AS accounts FROM pairs)
        SELECT place_kind, LN(1 + MEDIAN(accounts)) AS typical_log_accounts FROM degrees GROUP BY place_kind ORDER BY 1
        """,
        params={"as_of": as_of},
    ).to_arrow_table()
    return table, {"typical_log_accounts": min(table["typical_log_accounts"].to_pylist(), default=math.log(2))}


def _ordinary_accounts(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Draw ordinary accounts by a digest of their id; where too few are ordinary, everyone is."""
    sql = """
        SELECT account_id FROM (SELECT DISTINCT account_id FROM order_lines) {join}
        ORDER BY MD5(account_id), account_id LIMIT ?
        """
    ordinary = connection.execute(
        sql.format(join="SEMI JOIN norm_ordinary ON norm_ordinary.account = HASH(account_id)"), [MOST_PRIOR_ACCOUNTS]
    ).fetchall()
    rows = ordinary or connection.execute(sql.format(join=""), [MOST_PRIOR_ACCOUNTS]).fetchall()
    return [row[0] for row in rows]


def _priors(
    connection: duckdb.DuckDBPyConnection,
    norms: Norms,
    accounts: list[str],
    columns: Columns,
    features: Iterable[Feature],
) -> dict[str, float]:
    """Fit the pooled rate of every shrunk feature over the drawn accounts."""
    shrunk = [
        feature
        for feature in features
        if feature.shrinkage is not None and all(is_computable(m, columns) for m in measures_of(feature))
    ]
    names = np.array(accounts, dtype=object)
    spine = Spine(names, names, np.full(len(names), np.datetime64(naive_utc(norms.as_of), "us")))
    measures = {key: measure for feature in shrunk for key, measure in named_measures(feature).items()}
    program = Compiler(columns, norms.scalars, is_few=len(spine) <= PART_ROWS).compile(measures)
    numbers = measured(connection, spine, lone_operators(names), norms, program)
    priors: dict[str, float] = {}
    for feature in shrunk:
        rate, evidence = rate_of(feature, numbers), numbers[f"{feature.id}_denominator"]
        seen = np.isfinite(rate) & np.isfinite(evidence)
        # fsum is exact, so the order of accounts cannot reach a prior.
        total = math.fsum(evidence[seen].tolist())
        priors[feature.id] = math.fsum((rate[seen] * evidence[seen]).tolist()) / total if total else 0.0
    return priors


def lone_operators(accounts: np.typing.NDArray[np.object_]) -> OperatorTable:
    """Give the operators of accounts that are taken each for itself."""
    n = len(accounts)
    return OperatorTable(accounts, np.ones(n, np.int64), accounts, np.arange(n + 1, dtype=np.int64))


def _visible(alias: str) -> str:
    return f"{alias}.visible_at <= $as_of AND COALESCE({alias}.superseded_at, TIMESTAMP 'infinity') > $as_of"


def _market_price(columns: Columns) -> str:
    return "s.market_price_minor" if "market_price_minor" in columns.get("skus", ()) else "NULL::BIGINT"
