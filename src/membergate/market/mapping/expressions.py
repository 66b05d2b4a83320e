"""The expression language of mapping files: SQL scalars over one row's columns, nothing else.

An expression is parsed by sqlglot and every node of its tree must be on the list below, so it can neither read files,
nor look at other tables, nor run for long. Casts turn into TRY_CAST: a value that cannot be cast becomes a missing one,
which the schema's checks then see and name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from membergate.domain.errors import BadInputError
from membergate.market.sources import nearest

LONGEST = 4_000
"""Characters of an expression."""
_MOST_NODES = 500

_SCALARS: tuple[type[exp.Expr], ...] = (
    # leaves and shape
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Tuple, exp.Var, exp.Interval,
    exp.DataType, exp.DataTypeParam, exp.IntervalSpan,
    # arithmetic and logic
    exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Round, exp.Floor, exp.Ceil, exp.Abs,
    exp.Greatest, exp.Least, exp.Not, exp.And, exp.Or, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is,
    exp.In, exp.Between, exp.NullSafeEQ, exp.NullSafeNEQ,
    # choice and casts
    exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Cast, exp.TryCast,
    # text
    exp.Concat, exp.ConcatWs, exp.DPipe, exp.Lower, exp.Upper, exp.Trim, exp.Substring, exp.Length, exp.Replace,
    exp.Like, exp.ILike, exp.StartsWith, exp.Pad, exp.SplitPart, exp.RegexpExtract, exp.RegexpLike, exp.RegexpReplace,
    exp.Left, exp.Right,
    # parts of JSON texts, by a path that is written out
    exp.JSONExtractScalar, exp.JSONPath, exp.JSONPathRoot, exp.JSONPathKey, exp.JSONPathSubscript,
    # time
    exp.StrToTime, exp.TimestampTrunc, exp.DateTrunc, exp.UnixToTime, exp.TsOrDsToTimestamp,
)  # fmt: skip
_AGGREGATES: tuple[type[exp.Expr], ...] = (
    exp.Sum, exp.Min, exp.Max, exp.Count, exp.Avg, exp.AnyValue, exp.ArgMin, exp.ArgMax, exp.LogicalOr, exp.LogicalAnd,
    exp.Distinct, exp.IgnoreNulls,
)  # fmt: skip
JSON_ENTRY = "json_entry"
"""Our own function: of a JSON list of objects, the one in which a path holds a value."""
_PLAIN_FUNCTIONS = frozenset({"make_timestamp", "try_strptime", JSON_ENTRY})
_ENTRY_ARGUMENTS = 3


def compile_expression(
    text: str, *, where: str, columns: Iterable[str] | None = None, may_aggregate: bool = False
) -> str:
    """Check an expression and give it as DuckDB SQL.

    Parameters
    ----------
    text
        The expression as written.
    where
        Where it stands, for errors.
    columns
        The names that it may use; None leaves that to a later look.
    may_aggregate
        Whether it stands where rows are grouped, and may use sum, min, max, count, avg, any_value, arg_min, arg_max.

    Raises
    ------
    BadInputError
        If it does not parse, is too large, uses what is not allowed, or names a column that is not there.
    """
    tree = _parse(text, where)
    nodes = list(tree.walk())
    if len(text) > LONGEST or len(nodes) > _MOST_NODES:
        raise BadInputError("the expression is too large", where=where, allowed=f"{LONGEST} characters")
    for node in nodes:
        _check(node, where, may_aggregate=may_aggregate)
    known = None if columns is None else set(columns)
    for column in tree.find_all(exp.Column):
        if known is not None and column.name not in known:
            raise BadInputError(
                f"the expression names an unknown column {column.name}{nearest(column.name, known)}",
                where=f"{where}: {text}",
                allowed=", ".join(sorted(known)),
            )
    return _harmless(tree).sql(dialect="duckdb", identify=True)


def columns_of(text: str, *, where: str) -> frozenset[str]:
    """Name the columns that an expression reads."""
    return frozenset(column.name for column in _parse(text, where).find_all(exp.Column))


def _parse(text: str, where: str) -> exp.Expr:
    try:
        tree = sqlglot.parse_one(text, read="duckdb")
    except SqlglotError as error:
        raise BadInputError(
            f"the expression does not parse: {str(error).splitlines()[0]}",
            where=f"{where}: {text[:200]}",
            allowed="one SQL scalar expression, such as round(price * 100)",
        ) from None
    return tree


def _check(node: exp.Expr, where: str, *, may_aggregate: bool) -> None:
    if isinstance(node, exp.Column) and node.table:
        problem = f"{node.sql()} names a table; columns stand alone"
    elif isinstance(node, exp.JSONExtractScalar) and not isinstance(node.expression, exp.JSONPath):
        problem = f"{node.sql(dialect='duckdb')[:60]} needs a path as text, such as '$.price'"
    elif _is_json_entry(node) and not _has_entry_arguments(node):
        problem = f"{node.sql(dialect='duckdb')[:60]} is not json_entry(column, '$.key', 'name')"
    elif _is_allowed(node, may_aggregate=may_aggregate):
        return
    elif isinstance(node, _AGGREGATES):
        problem = f"{node.sql()[:60]} aggregates, and the rows are not grouped; add group_by"
    else:
        problem = f"{node.sql(dialect='duckdb')[:60] or type(node).__name__} is not allowed here"
    raise BadInputError(
        problem,
        where=where,
        allowed="columns, literals, arithmetic, comparisons, CASE, CAST, coalesce, text and time functions",
    )


def _is_json_entry(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.lower() == JSON_ENTRY


def _has_entry_arguments(node: exp.Expr) -> bool:
    arguments = node.expressions
    return (
        len(arguments) == _ENTRY_ARGUMENTS
        and all(isinstance(argument, exp.Literal) and argument.is_string for argument in arguments[1:])
        and re.fullmatch(r"\$(\.\w+)+", arguments[1].name) is not None
    )


def _is_allowed(node: exp.Expr, *, may_aggregate: bool) -> bool:
    if isinstance(node, exp.Star):
        return isinstance(node.parent, exp.Count)
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _PLAIN_FUNCTIONS
    return type(node) in _SCALARS or (may_aggregate and isinstance(node, _AGGREGATES))


def _harmless(tree: exp.Expr) -> exp.Expr:
    """Replace what could fail on a single value by its form that gives NULL."""
    root = exp.Paren(this=tree)  # so that the root itself can be replaced
    for node in reversed(list(root.walk())):  # children before parents, so that nothing is replaced unseen
        if isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast):
            node.replace(exp.TryCast(this=node.this, to=node.args["to"]))
        elif isinstance(node, exp.StrToTime):
            node.replace(exp.Anonymous(this="try_strptime", expressions=[node.this, node.args["format"]]))
        elif isinstance(node, exp.UnixToTime):
            node.replace(exp.Anonymous(this="try", expressions=[node.copy()]))
        elif isinstance(node, exp.JSONExtractScalar):
            node.set("this", _valid_json(node.this))
        elif _is_json_entry(node):
            node.replace(_entry(*node.expressions))
    return root


def _valid_json(text: exp.Expr) -> exp.Expr:
    """Let only JSON through: any other text would end the query."""
    is_valid = exp.Anonymous(this="json_valid", expressions=[text.copy()])
    return exp.Paren(this=exp.Case(ifs=[exp.If(this=is_valid, true=text.copy())]))


def _entry(entries: exp.Expr, path: exp.Expr, value: exp.Expr) -> exp.Expr:
    """Give the entry of a list whose `path` holds `value`, as JSON text."""
    entries = _valid_json(entries)
    every = exp.Literal.string("$[*]" + path.name.removeprefix("$"))
    held = exp.Anonymous(this="json_extract_string", expressions=[entries.copy(), every])
    place = exp.Anonymous(this="list_position", expressions=[held, value.copy()])
    found = exp.Anonymous(this="json_extract", expressions=[entries.copy(), exp.Literal.string("$[*]")])
    return exp.Cast(this=exp.Anonymous(this="list_extract", expressions=[found, place]), to=exp.DataType.build("text"))
