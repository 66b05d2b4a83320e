"""The same statements in Spark's SQL: what sqlglot does not translate by itself is rewritten here, tree by tree.

What differs: hashes and instants have other names, decimal literals would make decimals of sums, there is no running
maximum of several values, no `QUANTILE_DISC`, and no ASOF join. An ASOF join becomes a window over the union of both
sides, sorted by time within each thing, so that a hub costs a sort and never a product.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from membergate.learning.features.expressions import DIALECT

SPARK = "spark"
LAST_INSTANT = "9999-12-31 23:59:59"
"""What stands for TIMESTAMP 'infinity', which Spark has not."""


def spark_sql(sql: str, *, earliest: str = "", latest: str = "") -> str:
    """Translate a statement of a program.

    Parameters
    ----------
    sql
        In DuckDB's dialect.
    earliest, latest
        The spine's first and last instant, which DuckDB reads from variables.
    """
    tree = sqlglot.parse_one(sql, dialect=DIALECT)
    instants = {"feature_earliest": earliest, "feature_latest": latest}
    # Leaves first, since what is rewritten further up is written down from what is below it.
    for node in reversed(list(tree.dfs())):
        rewritten = _rewritten(node, instants)
        if rewritten is not node and node.parent is not None:
            node.replace(rewritten)
    for select in reversed(list(tree.find_all(exp.Select))):
        _without_asof(select)
    return tree.sql(dialect=SPARK)


def _rewritten(node: exp.Expr, instants: dict[str, str]) -> exp.Expr:
    if isinstance(node, exp.Anonymous):
        return _renamed(node, instants)
    if isinstance(node, exp.Literal) and not node.is_string and not str(node.this).isdigit():
        return exp.cast(node.copy(), exp.DataType.Type.DOUBLE)
    if isinstance(node, exp.DataType):
        return _typed(node)
    if isinstance(node, exp.Cast) and node.this.is_string and node.this.name == "infinity":
        return exp.cast(exp.Literal.string(LAST_INSTANT), exp.DataType.Type.TIMESTAMPNTZ)
    if isinstance(node, (exp.Greatest, exp.Least)) and not node.expressions:
        only: exp.Expr = node.this
        return only
    return _aggregated(node)


def _renamed(node: exp.Anonymous, instants: dict[str, str]) -> exp.Expr:
    word = node.name.upper()
    if word == "HASH":
        return exp.Anonymous(this="XXHASH64", expressions=node.expressions)
    if word == "EPOCH_US":
        return _parsed(f"UNIX_MICROS(CAST({node.expressions[0].sql(dialect=SPARK)} AS TIMESTAMP_LTZ))")
    if word == "GETVARIABLE":
        instant = exp.Literal.string(instants[node.expressions[0].name])
        return exp.cast(instant, exp.DataType.Type.TIMESTAMPNTZ)
    if word == "LIST_SUM" and node.find(exp.Max):
        return _sum_of_largest(node)
    return node


def _typed(node: exp.DataType) -> exp.Expr:
    if node.this == exp.DataType.Type.UBIGINT:
        return exp.DataType.build("BIGINT")
    if node.this == exp.DataType.Type.INT128:
        return exp.DataType.build("DECIMAL(38, 0)")
    return node


def _aggregated(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.PercentileDisc) and not isinstance(node.parent, exp.Filter):
        return _quantile(node, "")
    if isinstance(node, exp.Filter) and isinstance(node.this, exp.PercentileDisc):
        return _quantile(node.this, f" FILTER (WHERE {node.expression.this.sql(dialect=SPARK)})")
    if isinstance(node, exp.Filter) and isinstance(node.this, exp.ArrayAgg):
        # DuckDB's list of nothing is NULL, Spark's is empty.
        found = node.sql(dialect=SPARK)
        return _parsed(f"CASE WHEN SIZE({found}) > 0 THEN {found} END")
    if isinstance(node, exp.Explode) and isinstance(node.this, exp.GenerateSeries):
        first, end = (node.this.args[name].sql(dialect=SPARK) for name in ("start", "end"))
        return _parsed(f"EXPLODE(CASE WHEN {end} > {first} THEN SEQUENCE({first}, {end} - 1) ELSE ARRAY() END)")
    if isinstance(node, exp.Explode) and node.expressions:
        return exp.Anonymous(this="INLINE", expressions=[node.this])
    return node


def _quantile(node: exp.PercentileDisc, seen: str) -> exp.Expr:
    """Write the exact discrete quantile as an element of a sorted list, by DuckDB's rule; sqlglot would approximate."""
    amount, share = node.this.sql(dialect=SPARK), node.expression.sql(dialect=SPARK)
    listed = _parsed(f"SORT_ARRAY(COLLECT_LIST({amount}){seen})")
    count = f"COUNT({amount}){seen}"
    place = _parsed(f"CAST(GREATEST(1, {count} - FLOOR({count} - {count} * {share})) AS INT)")
    return exp.Anonymous(this="ELEMENT_AT", expressions=[listed, place])


def _sum_of_largest(node: exp.Anonymous) -> exp.Expr:
    """Write `LIST_SUM(MAX(x, n) FILTER (WHERE c))` as a fold over the largest of a sorted list."""
    largest = node.find(exp.Max)
    assert largest is not None  # noqa: S101 # asked by the caller
    amount, count = largest.this.sql(dialect=SPARK), largest.args["count"].sql(dialect=SPARK)
    condition = node.find(exp.Where)
    seen = f" FILTER (WHERE {condition.this.sql(dialect=SPARK)})" if condition is not None else ""
    listed = f"SORT_ARRAY(COLLECT_LIST({amount}){seen}, FALSE)"
    return _parsed(f"AGGREGATE(SLICE({listed}, 1, {count}), CAST(0 AS BIGINT), (total, one) -> total + one)")


def _without_asof(select: exp.Select) -> None:
    """Replace `... JOIN instants AS i USING (row_id) ASOF LEFT JOIN t ON keys AND i.as_of >= t.changed_at`.

    What stands for `i.as_of` may lie some days before it.
    """
    joins: list[exp.Join] = select.args.get("joins") or []
    asof = next((join for join in joins if str(join.args.get("method") or "").upper() == "ASOF"), None)
    if asof is None:
        return
    name = asof.this.alias
    keys = [equal.this.name for equal in asof.args["on"].find_all(exp.EQ)]
    instant = next(asof.args["on"].find_all(exp.GTE)).this.sql(dialect=SPARK).replace("i.as_of", "x.as_of")
    table = asof.this.copy()
    table.set("alias", None)
    source = table.sql(dialect=SPARK)
    grain = select.args["from_"].this.this.sql(dialect=SPARK)
    names = ", ".join(keys)
    counted = f"""
      SELECT row_id, {names}, so_far FROM (
        SELECT row_id, {names}, is_row,
          LAST_VALUE(so_far, TRUE) OVER (PARTITION BY {names} ORDER BY at, is_row
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS so_far
        FROM (
          SELECT a.row_id, {", ".join(f"a.{key}" for key in keys)}, {instant} AS at, 1 AS is_row,
            CAST(NULL AS BIGINT) AS so_far
          FROM (SELECT DISTINCT row_id, {names} FROM ({grain}) AS w) AS a JOIN feature_instants AS x USING (row_id)
          UNION ALL
          SELECT CAST(NULL AS INT) AS row_id, {names}, changed_at AS at, 0 AS is_row, so_far FROM {source} AS s
        ) AS b
      ) AS c WHERE is_row = 1"""
    on = " AND ".join([f"{name}.row_id = g.row_id", *(f"{name}.{key} = g.{key}" for key in keys)])
    join = _parsed(f"SELECT 1 FROM g LEFT JOIN ({counted}) AS {name} ON {on}").args["joins"][0]
    select.set("joins", [join])


def _parsed(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, dialect=SPARK)
