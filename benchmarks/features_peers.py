"""The same features written by hand, in SQL for DuckDB and in Polars, as a careful analyst would.

Fifteen features, each application as of its own instant: depth, breadth, entropy, discounts, recipients, shared devices
and payers, sign-ins. `features.py` holds what comes out against ours, value by value, before it states any cost.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

FEATURES = ("A3", "A6", "B1", "B3", "B5", "D1", "D3", "D7", "E2", "E3", "F1", "F5", "G1", "J5", "L5")
"""What the peers compute."""
SHRUNK = {"B5": 10.0, "D3": 5.0, "D7": 5.0, "E2": 8.0, "F5": 5.0, "J5": 5.0}
"""The strength with which a rate is drawn to its prior."""


_SEEN = """
asked AS (
  SELECT application_id AS q, account_id, submitted_at AS t, EPOCH_US(submitted_at) // 86400000000 AS today
  FROM applications
), orders_seen AS (
  SELECT a.q, a.t, a.today - EPOCH_US(o.ordered_at) // 86400000000 AS age, o.*
  FROM asked a JOIN orders o ON o.account_id = a.account_id AND o.visible_at <= a.t
    AND COALESCE(o.superseded_at, TIMESTAMP 'infinity') > a.t AND o.ordered_at > a.t - INTERVAL 365 DAY
), lines_seen AS (
  SELECT a.q, a.today - EPOCH_US(l.ordered_at) // 86400000000 AS age, l.sku_id, l.quantity AS units,
    COALESCE(s.category_l2, s.category_l1) AS category, l.list_price_minor, l.net_price_minor,
    COALESCE(l.member_discount_minor, 0) AS member, COALESCE(l.coupon_discount_minor, 0) AS coupon, l.subsidised_by,
    COALESCE(o.gift, FALSE) AS gift
  FROM asked a JOIN order_lines l ON l.account_id = a.account_id AND l.visible_at <= a.t
    AND COALESCE(l.superseded_at, TIMESTAMP 'infinity') > a.t AND l.ordered_at > a.t - INTERVAL 180 DAY
  LEFT JOIN skus s ON s.sku_id = l.sku_id
  LEFT JOIN orders_seen o ON o.order_id = l.order_id AND o.q = a.q
)"""
_COUNTED = """
of_line AS (
  SELECT q, SUM(units) FILTER (subsidised_by IS NOT NULL) AS subsidised, SUM(units) AS units, COUNT(*) AS lines,
    SUM(member + coupon) FILTER (age < 90) AS d1,
    SUM(units * GREATEST(0, list_price_minor - net_price_minor)) / NULLIF(SUM(units * net_price_minor), 0) AS d3,
    SUM((member > 0)::INT + (coupon > 0)::INT + (subsidised_by IS NOT NULL)::INT) / COUNT(*) AS d7
  FROM lines_seen WHERE age < 180 GROUP BY q
), of_day AS (
  SELECT q, MAX(units) AS a3 FROM (
    SELECT q, SUM(units) FILTER (NOT gift) AS units FROM lines_seen WHERE age < 90 GROUP BY q, sku_id, age) GROUP BY q
), of_sku AS (
  SELECT q, SUM(units * units) / (SUM(units) * SUM(units)) AS a6, SUM(units) AS units, SUM(lines) AS lines,
    LN(SUM(units) + 1) - LN(COUNT(*) + 1) AS b3
  FROM (SELECT q, SUM(units) AS units, COUNT(*) AS lines FROM lines_seen WHERE age < 90 GROUP BY q, sku_id) GROUP BY q
), of_category AS (
  SELECT q, SUM(n) AS lines, LN(SUM(n)) - SUM(n * LN(n)) / SUM(n) + (COUNT(*) - 1) / (2.0 * SUM(n)) AS b1
  FROM (SELECT q, COUNT(*) AS n FROM lines_seen WHERE age < 180 GROUP BY q, category) GROUP BY q
), of_recipient AS (
  SELECT q, COUNT(*) AS recipients, (COUNT(*) FILTER (n = 1) - (MAX(n) = 1)::INT) / COUNT(*) AS e2
  FROM (SELECT q, COUNT(*) AS n FROM orders_seen WHERE age < 180 AND recipient_tok IS NOT NULL
    GROUP BY q, recipient_tok) GROUP BY q
), of_phone AS (
  SELECT q, SUM(n) AS orders, LN(SUM(n)) - SUM(n * LN(n)) / SUM(n) + (COUNT(*) - 1) / (2.0 * SUM(n)) AS e3
  FROM (SELECT q, COUNT(*) AS n FROM orders_seen WHERE age < 180 AND recipient_phone_tok IS NOT NULL
    GROUP BY q, recipient_phone_tok) GROUP BY q
), of_order AS (
  SELECT q, COUNT(*) FILTER (age < 180) AS orders, LN(1 + COUNT(*)) AS l5,
    COUNT(*) FILTER (age < 180 AND invoice_type = 'company') / NULLIF(COUNT(*) FILTER (age < 180), 0) AS j5
  FROM orders_seen WHERE age < 365 GROUP BY q
), of_login AS (
  SELECT a.q, COUNT(*) AS logins, COUNT(*) FILTER (g.ip_class IN ('datacentre', 'proxy')) / COUNT(*) AS f5
  FROM asked a JOIN logins g ON g.account_id = a.account_id AND g.visible_at <= a.t
    AND COALESCE(g.superseded_at, TIMESTAMP 'infinity') > a.t
  WHERE a.today - EPOCH_US(g.logged_in_at) // 86400000000 < 180 GROUP BY a.q
)"""
_ANSWER = """
SELECT asked.q, a3, CASE WHEN of_sku.units >= 5 THEN a6 END AS a6, CASE WHEN of_category.lines >= 3 THEN b1 END AS b1,
  CASE WHEN of_sku.lines >= 2 THEN b3 END AS b3,
  (COALESCE(subsidised, 0) + 10 * $B5) / (of_line.units + 10) AS b5, d1,
  (d3 * of_line.lines + 5 * $D3) / (of_line.lines + 5) AS d3,
  (d7 * of_line.lines + 5 * $D7) / (of_line.lines + 5) AS d7,
  (e2 * recipients + 8 * $E2) / (recipients + 8) AS e2, CASE WHEN of_phone.orders >= 3 THEN e3 END AS e3, f1,
  (f5 * logins + 5 * $F5) / (logins + 5) AS f5, g1, (j5 * of_order.orders + 5 * $J5) / (of_order.orders + 5) AS j5,
  COALESCE(l5, 0) AS l5
FROM asked LEFT JOIN of_line USING (q) LEFT JOIN of_day USING (q) LEFT JOIN of_sku USING (q)
  LEFT JOIN of_category USING (q) LEFT JOIN of_recipient USING (q) LEFT JOIN of_phone USING (q)
  LEFT JOIN of_order USING (q) LEFT JOIN of_login USING (q) LEFT JOIN of_f1 USING (q) LEFT JOIN of_g1 USING (q)
ORDER BY asked.q
"""


def _statement() -> str:
    """Write it all as one statement."""
    shared = ", ".join(_shared(name, column) for name, column in (("f1", "device_tok"), ("g1", "payment_tok")))
    return f"WITH {_SEEN}, {_COUNTED}, {shared} {_ANSWER}"


def _shared(name: str, column: str) -> str:
    """Write how many accounts share each thing that was used, as of each instant."""
    return f"""{name}_first AS (
  SELECT {column} AS thing, account_id, MIN(visible_at) AS since FROM orders WHERE {column} IS NOT NULL GROUP BY ALL
), {name}_running AS (
  SELECT thing, since, COUNT(*) OVER (PARTITION BY thing ORDER BY since) AS accounts FROM {name}_first
), {name}_used AS (
  SELECT q, t, {column} AS thing, COUNT(*) AS n FROM orders_seen WHERE age < 180 AND {column} IS NOT NULL GROUP BY ALL
), of_{name} AS (
  SELECT q, SUM(n * LN(LEAST(accounts, 1000))) / SUM(n) AS {name}
  FROM {name}_used u ASOF JOIN {name}_running r ON u.thing = r.thing AND u.t >= r.since GROUP BY q
)"""


def by_hand_in_sql(connection: duckdb.DuckDBPyConnection, priors: Mapping[str, float]) -> NDArray[np.float64]:
    """Compute the features with one statement; applications in the order of their ids, NaN where absent."""
    found = connection.execute(_statement(), {name: priors[name] for name in SHRUNK}).fetchnumpy()
    columns = (np.ma.asarray(found[name.lower()], dtype=np.float64).filled(np.nan) for name in FEATURES)
    return np.column_stack(list(columns))


def by_hand_in_polars(folder: Path, priors: Mapping[str, float]) -> NDArray[np.float64]:
    """Compute the features lazily on the streaming engine; applications in the order of their ids."""
    pl: Any = importlib.import_module("polars")
    asked = pl.scan_parquet(folder / "applications.parquet").select(
        pl.col("application_id").alias("q"), "account_id", pl.col("submitted_at").alias("t")
    )

    def seen(table: str, time: str) -> Any:
        rows = asked.join(pl.scan_parquet(folder / f"{table}.parquet"), on="account_id")
        is_open = pl.col("superseded_at").is_null() | (pl.col("superseded_at") > pl.col("t"))
        age = (pl.col("t").dt.truncate("1d") - pl.col(time).dt.truncate("1d")).dt.total_days()
        return rows.filter((pl.col("visible_at") <= pl.col("t")) & is_open).with_columns(age.alias("age"))

    orders = seen("orders", "ordered_at").filter(pl.col("age") < 365)  # days
    recent = orders.filter(pl.col("age") < 180)  # days
    parts = [
        *_of_lines(pl, seen("order_lines", "ordered_at").filter(pl.col("age") < 180), orders, folder, priors),  # days
        *_of_orders(pl, orders, recent, priors),
        _of_logins(pl, seen("logins", "logged_in_at").filter(pl.col("age") < 180), priors),  # days
        *(
            _of_shared(pl, recent, folder, name, column)
            for name, column in (("F1", "device_tok"), ("G1", "payment_tok"))
        ),
    ]
    whole = asked.select("q")
    for part in parts:
        whole = whole.join(part, on="q", how="left")
    table = whole.with_columns(pl.col("L5").fill_null(0.0)).sort("q").select(FEATURES).collect(engine="streaming")
    return np.asarray(table.cast(pl.Float64).to_numpy(), dtype=np.float64)


def _shrunk(rate: Any, evidence: Any, name: str, priors: Mapping[str, float]) -> Any:
    strength = SHRUNK[name]
    return ((rate * evidence + strength * priors[name]) / (evidence + strength)).alias(name)


def _entropy(pl: Any, counted: Any, name: str, fewest: int) -> Any:
    n = pl.col("n").cast(pl.Float64)
    value = n.sum().log() - (n * n.log()).sum() / n.sum() + (pl.len() - 1) / (2.0 * n.sum())
    return counted.group_by("q").agg(pl.when(n.sum() >= fewest).then(value).alias(name))


def _of_lines(pl: Any, lines: Any, orders: Any, folder: Path, priors: Mapping[str, float]) -> list[Any]:
    skus = pl.scan_parquet(folder / "skus.parquet").select("sku_id", "category_l1", "category_l2")
    gifts = orders.select("q", "order_id", pl.col("gift").fill_null(value=False).alias("gift"))
    units = pl.col("quantity")
    member, coupon = (pl.col(f"{name}_discount_minor").fill_null(0) for name in ("member", "coupon"))
    subsidised = pl.col("subsidised_by").is_not_null()
    paid = (units * pl.col("net_price_minor")).sum()
    saved = (units * (pl.col("list_price_minor") - pl.col("net_price_minor")).clip(0)).sum()
    incentives = ((member > 0).cast(pl.Int64) + (coupon > 0).cast(pl.Int64) + subsidised.cast(pl.Int64)).sum()
    lately = lines.filter(pl.col("age") < 90)  # days
    of_line = lines.group_by("q").agg(
        _shrunk(units.filter(subsidised).sum() / units.sum(), units.sum(), "B5", priors),
        _shrunk(saved / paid, pl.len(), "D3", priors),
        _shrunk(incentives / pl.len(), pl.len(), "D7", priors),
    )
    taken = lately.group_by("q").agg((member + coupon).sum().alias("D1"))
    days = lately.join(gifts, on=["q", "order_id"], how="left").filter(~pl.col("gift").fill_null(value=False))
    of_day = (
        days.group_by("q", "sku_id", "age").agg(units.sum().alias("n")).group_by("q").agg(pl.col("n").max().alias("A3"))
    )
    u = pl.col("n")
    of_sku = (
        lately.group_by("q", "sku_id")
        .agg(units.sum().alias("n"), pl.len().alias("lines"))
        .group_by("q")
        .agg(
            # Fewer units, or lines, than these say nothing.
            pl.when(u.sum() >= 5).then((u * u).sum() / (u.sum() * u.sum())).alias("A6"),
            pl.when(pl.col("lines").sum() >= 2).then((u.sum() + 1).log() - (pl.len() + 1).log()).alias("B3"),
        )
    )
    category = pl.coalesce("category_l2", "category_l1").alias("category")
    counted = lines.join(skus, on="sku_id", how="left").group_by("q", category).agg(pl.len().alias("n"))
    return [of_line, taken, of_day, of_sku, _entropy(pl, counted, "B1", 3)]


def _of_orders(pl: Any, orders: Any, recent: Any, priors: Mapping[str, float]) -> list[Any]:
    def counted(column: str) -> Any:
        return recent.filter(pl.col(column).is_not_null()).group_by("q", column).agg(pl.len().alias("n"))

    once = (pl.col("n") == 1).sum() - (pl.col("n").max() == 1).cast(pl.Int64)
    return [
        orders.group_by("q").agg((1 + pl.len()).log().alias("L5")),
        recent.group_by("q").agg(
            _shrunk((pl.col("invoice_type") == "company").sum() / pl.len(), pl.len(), "J5", priors)
        ),
        counted("recipient_tok").group_by("q").agg(_shrunk(once / pl.len(), pl.len(), "E2", priors)),
        _entropy(pl, counted("recipient_phone_tok"), "E3", 3),
    ]


def _of_logins(pl: Any, logins: Any, priors: Mapping[str, float]) -> Any:
    hidden = pl.col("ip_class").is_in(["datacentre", "proxy"]).sum()
    return logins.group_by("q").agg(_shrunk(hidden / pl.len(), pl.len(), "F5", priors))


def _of_shared(pl: Any, recent: Any, folder: Path, name: str, column: str) -> Any:
    """Count accounts by thing as of each instant: first sightings, a running count, an as-of join."""
    first = (
        pl.scan_parquet(folder / "orders.parquet")
        .filter(pl.col(column).is_not_null())
        .group_by(column, "account_id")
        .agg(pl.col("visible_at").min().alias("since"))
        .sort("since")
        .with_columns(pl.int_range(1, pl.len() + 1).over(column).alias("accounts"))
        .select(column, "since", "accounts")
    )
    used = recent.filter(pl.col(column).is_not_null()).group_by("q", "t", column).agg(pl.len().alias("n")).sort("t")
    found = used.join_asof(first, left_on="t", right_on="since", by=column, check_sortedness=False)
    value = (pl.col("n") * pl.col("accounts").clip(1, 1000).cast(pl.Float64).log()).sum() / pl.col("n").sum()
    return found.group_by("q").agg(value.alias(name))
