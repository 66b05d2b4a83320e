"""Mapping files: how somebody's own tables and columns become the canonical ones.

A mapping is YAML. For each canonical table it names a source table (or a list of sources) and, for each column, where
the value comes from, in which unit and in which time zone. Rows can be filtered (those that `where` leaves out are not
part of the market, and not counted), grouped, or reduced to one per key, so that accounts or applications can be
derived from transactions. Canonical tables that the mapping does not mention are read under their own names, if the
folder has them.

```yaml
version: 1
time_zone: America/New_York        # of instants without an offset; a column's own comes first
sources:
  sales: {encoding: latin-1, delimiter: ";"}
tables:
  orders:
    from: sales
    where: kind = 'sale'
    group_by: [receipt]
    columns:
      order_id: receipt                                   # short for {from: receipt}
      total_minor: {expression: sum(amount), unit: major} # 19.99 -> 1999
      currency: {constant: EUR}
```
"""

from __future__ import annotations

import zoneinfo
from pathlib import Path

from membergate.domain.errors import BadInputError
from membergate.market.declaring import Kind, Table
from membergate.market.mapping.expressions import compile_expression
from membergate.market.mapping.form import ColumnRule, Derivation, Lookup, Mapping, SourceOptions
from membergate.market.mapping.places import Place, read_places
from membergate.market.schema import TABLES
from membergate.market.sources import nearest

MINOR_PER_MAJOR = 100.0
"""What `unit: major` multiplies with. A currency without a minor unit gives `unit: 1`, one with thousandths `1000`."""


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises
    ------
    BadInputError
        If it cannot be read or says something wrong; the error points at the place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(
            "cannot read the mapping file", where=f"{path} ({error})", allowed="a YAML file in UTF-8"
        ) from None
    return parse_mapping(text, origin=str(path))


def parse_mapping(text: str, *, origin: str) -> Mapping:
    """Read a mapping from YAML text; `origin` names it in errors.

    Raises
    ------
    BadInputError
        If it says something wrong; the error points at the place.
    """
    root = read_places(text, origin=origin)
    root.allow("version", "time_zone", "encoding", "delimiter", "sources", "tables")
    if root.content.get("version") != 1:
        raise root.wrong("the mapping names no version that is known here", "version: 1")
    defaults = _options(root, SourceOptions())
    options = {}
    for name, node in root.child("sources", {}).children().items():
        node.allow("encoding", "delimiter")
        options[name] = _options(node, defaults)
    tables = {name: _derivations(name, node) for name, node in root.child("tables").children().items()}
    return Mapping(origin, tables, _zone(root), options, defaults)


def _options(node: Place, defaults: SourceOptions) -> SourceOptions:
    return SourceOptions(node.text("encoding") or defaults.encoding, node.text("delimiter") or defaults.delimiter)


def _zone(node: Place) -> str | None:
    zone = node.text("time_zone")
    if zone is not None and zone not in zoneinfo.available_timezones():
        near = nearest(zone, zoneinfo.available_timezones())
        raise node.wrong(
            f"unknown time zone {zone!r}{near}", "an IANA name such as UTC, Asia/Shanghai, America/New_York"
        )
    return zone


def _derivations(name: str, node: Place) -> tuple[Derivation, ...]:
    if name not in TABLES:
        raise node.wrong(f"unknown canonical table {name!r}{nearest(name, TABLES)}", ", ".join(TABLES))
    if isinstance(node.content, list):
        parts = [node.of(part, str(place)) for place, part in enumerate(node.content)]
    else:
        parts = [node]
    return tuple(_derivation(TABLES[name], part) for part in parts)


def _derivation(table: Table, node: Place) -> Derivation:
    node.allow("from", "where", "group_by", "distinct_on", "order_by", "lookup", "columns")
    source = node.text("from")
    if source is None:
        raise node.wrong("the source table is missing", "from: NAME, as the file is called without its ending")
    group_by, distinct_on = node.names("group_by"), node.names("distinct_on")
    if group_by and distinct_on:
        raise node.wrong("group_by and distinct_on exclude each other", "one of the two")
    known = [column.name for column in table.readable_columns]
    rules = {}
    for name, child in node.child("columns").children().items():
        if name not in known:
            raise child.wrong(f"unknown canonical column {table.name}.{name}{nearest(name, known)}", ", ".join(known))
        rules[name] = _rule(table, name, child, may_aggregate=bool(group_by))
    missing = [name for name in table.required_columns if name not in rules]
    if missing:
        raise node.wrong(
            f"the required columns {', '.join(missing)} of {table.name} are not mapped", f"columns: {missing[0]}: …"
        )
    condition = node.text("where")
    return Derivation(
        table,
        source,
        rules,
        compile_expression(condition, where=f"{node.where}.where") if condition else None,
        group_by,
        distinct_on,
        node.names("order_by"),
        tuple(_lookup(other, child) for other, child in node.child("lookup", {}).children().items()),
        node.where,
    )


def _lookup(name: str, node: Place) -> Lookup:
    node.allow("key", "take")
    key, take = node.text("key"), node.names("take")
    if not key or not take:
        raise node.wrong("a lookup needs a key and columns", "{key: product_id, take: [department]}")
    return Lookup(name, key, take)


def _rule(table: Table, name: str, node: Place, *, may_aggregate: bool) -> ColumnRule:
    if isinstance(node.content, str):
        node = node.of({"from": node.content})
    node.allow("from", "constant", "expression", "cast", "unit", "time_zone")
    origins = [key for key in ("from", "constant", "expression") if key in node.content]
    if len(origins) != 1:
        raise node.wrong("a column comes from exactly one place", "one of: from, constant, expression")
    if "from" in node.content:
        sql = '"' + (node.text("from") or "").replace('"', '""') + '"'
        sql = f"any_value({sql})" if may_aggregate else sql
    elif "constant" in node.content:
        sql = _constant(node)
    else:
        sql = compile_expression(node.text("expression") or "", where=node.where, may_aggregate=may_aggregate)
    if "cast" in node.content:
        sql = f"TRY_CAST({sql} AS {_cast(node)})"
    return ColumnRule(sql, _factor(table, name, node), _zone(node), node.where)


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
