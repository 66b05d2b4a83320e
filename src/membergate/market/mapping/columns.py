"""Reading one column's rule: where its value comes from, and what is done to it."""

from __future__ import annotations

import zoneinfo

from membergate.market.declaring import Kind, Table
from membergate.market.mapping.expressions import columns_of, compile_expression
from membergate.market.mapping.form import ColumnRule
from membergate.market.mapping.places import Place
from membergate.market.mapping.tokens import WRITINGS
from membergate.market.sources import nearest

MINOR_PER_MAJOR = 100.0
"""What `unit: major` multiplies with. A currency without a minor unit gives `unit: 1`, one with thousandths `1000`."""


def read_rule(table: Table, name: str, node: Place, *, may_aggregate: bool) -> ColumnRule:
    """Read where a canonical column comes from.

    Raises
    ------
    BadInputError
        If the rule says something wrong.
    """
    if isinstance(node.content, str):
        node = node.of({"from": node.content})
    node.allow("from", "constant", "expression", "cast", "unit", "time_zone", "token", "optional")
    origins = [key for key in ("from", "constant", "expression") if key in node.content]
    if len(origins) != 1:
        raise node.wrong("a column comes from exactly one place", "one of: from, constant, expression")
    reads: frozenset[str] = frozenset()
    if "from" in node.content:
        source = node.text("from") or ""
        reads = frozenset({source})
        sql = '"' + source.replace('"', '""') + '"'
        sql = f"any_value({sql})" if may_aggregate else sql
    elif "constant" in node.content:
        sql = _constant(node)
    else:
        text = node.text("expression") or ""
        sql = compile_expression(text, where=node.where, may_aggregate=may_aggregate)
        reads = columns_of(text, where=node.where)
    if "cast" in node.content:
        sql = f"TRY_CAST({sql} AS {_cast(node)})"
    is_optional = node.flag("optional")
    if is_optional and table.column(name).is_required:
        raise node.wrong(f"{table.name}.{name} is required and cannot be optional", "optional: true for other columns")
    factor = _factor(table, name, node)
    return ColumnRule(sql, factor, read_zone(node), node.where, reads, is_optional, _token(table, name, node))


def _token(table: Table, name: str, node: Place) -> str | None:
    writing = node.text("token")
    if writing is None:
        return None
    if table.column(name).kind is not Kind.ID:
        raise node.wrong(f"{table.name}.{name} is no id", "a token for ids and `_tok` columns only")
    if writing not in WRITINGS:
        raise node.wrong(f"unknown token {writing!r}{nearest(writing, WRITINGS)}", ", ".join(WRITINGS))
    return writing


def _constant(node: Place) -> str:
    value = node.content["constant"]
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return "'" + str(value).replace("'", "''") + "'"


_CASTS = {"text": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "time": "TIMESTAMP", "flag": "BOOLEAN"}


def _cast(node: Place) -> str:
    name = node.text("cast") or ""
    if name not in _CASTS:
        raise node.wrong(f"unknown cast {name!r}{nearest(name, _CASTS)}", ", ".join(_CASTS))
    return _CASTS[name]


def _factor(table: Table, name: str, node: Place) -> float | None:
    unit = node.content.get("unit")
    if unit is None:
        return None
    if table.column(name).kind not in {Kind.MONEY, Kind.COUNT}:
        raise node.wrong(f"{table.name}.{name} has no unit", "a unit for columns of money or counts only")
    if unit in {"minor", "major"}:
        return 1.0 if unit == "minor" else MINOR_PER_MAJOR
    if isinstance(unit, int | float) and not isinstance(unit, bool) and unit > 0:
        return float(unit)
    raise node.wrong(f"unknown unit {unit!r}", "major (times 100), minor (as it is), or a positive factor")


def read_zone(node: Place) -> str | None:
    """Read a time zone; None where there is none.

    Raises
    ------
    BadInputError
        If no zone has that name.
    """
    zone = node.text("time_zone")
    if zone is not None and zone not in zoneinfo.available_timezones():
        near = nearest(zone, zoneinfo.available_timezones())
        raise node.wrong(
            f"unknown time zone {zone!r}{near}", "an IANA name such as UTC, Asia/Shanghai, America/New_York"
        )
    return zone
