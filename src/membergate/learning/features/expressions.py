"""The SQL that declarations are written in: DuckDB's dialect, parsed by sqlglot, with three words of our own.

- `FIXED_SUM(x)` sums reals exactly: each term is rounded to 2^-20 and summed as an integer, so that neither threads nor
  the order of rows can change the last bit. Plain `SUM` is for integers.
- `PRIOR('name')` is a scalar of the norms: a population value for what is unknown or too thin.
- `SURPRISE(n, expected)` is the Chernoff bound on seeing n or more where a Poisson law expects fewer, in nats:
  `n ln(n / expected) - (n - expected)`, 0 where n is not above what is expected, at most `MOST_SURPRISE`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import sqlglot
from sqlglot import exp

from membergate.domain.errors import BadInputError

DIALECT = "duckdb"
FIXED_POINT = 1 << 20
"""Steps per unit of a fixed-point sum; about six decimals."""
MOST_SURPRISE = 12.0
"""Nats beyond which one coincidence says no more: a single hot bucket must not own a score."""
EXACT_AGGREGATES = (
    exp.Sum, exp.Count, exp.Min, exp.Max, exp.ArgMin, exp.ArgMax, exp.LogicalOr, exp.LogicalAnd,
    exp.PercentileDisc,
)  # fmt: skip
"""Aggregates whose result does not depend on the order of rows, given integer sums."""


@lru_cache(maxsize=1024)
def _parsed(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, dialect=DIALECT)


def parse(sql: str) -> exp.Expr:
    """Parse one expression; the tree is the caller's own.

    Raises
    ------
    BadInputError
        If it does not parse.
    """
    try:
        return _parsed(sql).copy()
    except sqlglot.errors.ParseError as error:
        raise BadInputError("a declaration's SQL does not parse", where=sql, allowed=str(error)) from error


def render(tree: exp.Expr) -> str:
    """Write a tree as DuckDB SQL."""
    return tree.sql(dialect=DIALECT)


@lru_cache(maxsize=1024)
def columns_of(sql: str) -> frozenset[tuple[str, str]]:
    """Give the (qualifier, name) of every column that the SQL names; the qualifier is empty where there is none."""
    return frozenset((column.table, column.name) for column in _parsed(sql).find_all(exp.Column))


def priors_of(sql: str) -> frozenset[str]:
    """Give the names of the norms' scalars that the SQL reads."""
    return frozenset(
        call.expressions[0].name for call in parse(sql).find_all(exp.Anonymous) if call.name.upper() == "PRIOR"
    )


def name_of_key(key: str) -> str:
    """Give the name of a grouping key: its alias, or the column's own name."""
    return parse(key).alias_or_name


def with_columns(tree: exp.Expr, rename: Callable[[exp.Column], exp.Expr]) -> exp.Expr:
    """Replace every column of the tree."""
    return tree.transform(lambda node: rename(node) if isinstance(node, exp.Column) else node)


def with_our_words(tree: exp.Expr, scalars: Mapping[str, float] | None) -> exp.Expr:
    """Expand `FIXED_SUM`, `PRIOR` and `SURPRISE` into plain SQL; without scalars, priors become named parameters.

    Raises
    ------
    BadInputError
        If a prior is not among the scalars, or an aggregate is not exact.
    """

    def expand(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.AggFunc) and not isinstance(node, EXACT_AGGREGATES):
            raise BadInputError(
                "an aggregate depends on the order of rows",
                where=render(node),
                allowed="FIXED_SUM for reals; SUM of integers, COUNT, MIN, MAX, ARG_MIN, ARG_MAX, BOOL_OR, BOOL_AND",
            )
        if isinstance(node, exp.Filter) and _is_word(node.this, "FIXED_SUM"):
            condition = with_our_words(node.expression.this, scalars)
            return filtered(_fixed_sum(with_our_words(node.this.expressions[0], scalars)), condition)
        if not isinstance(node, exp.Anonymous):
            return node
        word = node.name.upper()
        if word == "PRIOR":
            return _scalar(node.expressions[0].name, scalars)
        if word == "FIXED_SUM":
            return _fixed_sum(with_our_words(node.expressions[0], scalars))
        if word == "SURPRISE":
            return _surprise(*node.expressions)
        return node

    return tree.transform(expand)


def filtered(tree: exp.Expr, condition: exp.Expr | None) -> exp.Expr:
    """Let every aggregate of the tree see only the rows that satisfy the condition."""
    if condition is None:
        return tree
    for aggregate in list(tree.find_all(exp.AggFunc)):
        parent = aggregate.parent
        if isinstance(parent, exp.Filter):
            where = parent.expression
            where.set("this", exp.and_(where.this, condition.copy()))
        else:
            wrapped = exp.Filter(this=aggregate.copy(), expression=exp.Where(this=condition.copy()))
            if aggregate is tree:
                return wrapped
            aggregate.replace(wrapped)
    return tree


def _is_word(node: exp.Expr, word: str) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.upper() == word


def _scalar(name: str, scalars: Mapping[str, float] | None) -> exp.Expr:
    if scalars is None:
        return exp.Placeholder(this=name)
    if name not in scalars:
        raise BadInputError(f"the norms hold no {name!r}", allowed=", ".join(sorted(scalars)))
    value = scalars[name]
    text = repr(int(value)) if float(value).is_integer() else f"CAST({value!r} AS DOUBLE)"
    return sqlglot.parse_one(text, dialect=DIALECT)


def _fixed_sum(term: exp.Expr) -> exp.Expr:
    return sqlglot.parse_one(
        f"(CAST(SUM(CAST(ROUND(({render(term)}) * {FIXED_POINT}) AS HUGEINT)) AS DOUBLE) / {FIXED_POINT})",
        dialect=DIALECT,
    )


def _surprise(count: exp.Expr, expected: exp.Expr) -> exp.Expr:
    n, mean = f"({render(count)})", f"GREATEST({render(expected)}, 1e-9)"
    return sqlglot.parse_one(
        f"CASE WHEN {n} > {mean} THEN LEAST({MOST_SURPRISE}, {n} * LN({n} / {mean}) - ({n} - {mean})) ELSE 0.0 END",
        dialect=DIALECT,
    )
