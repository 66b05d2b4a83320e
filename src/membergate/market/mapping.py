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
from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from membergate.domain.errors import BadInputError
from membergate.market.declaring import Kind, Table
from membergate.market.expressions import compile_expression
from membergate.market.schema import TABLES
from membergate.market.sources import nearest

MINOR_PER_MAJOR = 100.0
"""What `unit: major` multiplies with. A currency without a minor unit gives `unit: 1`, one with thousandths `1000`."""


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """Where one canonical column comes from.

    Parameters
    ----------
    sql
        DuckDB SQL of the value over the source's columns.
    factor
        What the value is multiplied with, and then rounded to a whole number; None leaves it as it is.
    time_zone
        Zone of instants without an offset; None is the mapping's.
    where
        Where the rule stands, for errors.
    """

    sql: str
    factor: float | None
    time_zone: str | None
    where: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """A second table from which columns are taken by a key that it holds once."""

    source: str
    key: str
    take: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Derivation:
    """How one source feeds one canonical table.

    Parameters
    ----------
    table
        The canonical table.
    source
        The source table's name in the folder.
    columns
        Rules by canonical column.
    condition
        SQL of which rows count; None is all.
    group_by
        Source columns of which each combination becomes one row.
    distinct_on, order_by
        Source columns of which each combination gives its first row, in this order.
    lookups
        Tables from which further columns are taken.
    where
        Where it stands, for errors.
    """

    table: Table
    source: str
    columns: AbstractMapping[str, ColumnRule]
    condition: str | None
    group_by: tuple[str, ...]
    distinct_on: tuple[str, ...]
    order_by: tuple[str, ...]
    lookups: tuple[Lookup, ...]
    where: str


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a text source is written."""

    encoding: str = "utf-8"
    delimiter: str = ","


@dataclass(frozen=True, slots=True)
class Mapping:
    """A whole mapping file, checked.

    Parameters
    ----------
    origin
        The file, for errors.
    derivations
        By canonical table, in the order in which the file lists them.
    time_zone
        Zone of instants without an offset; None is UTC.
    options
        How text sources are written, by source; `options_of` adds the defaults.
    defaults
        For the sources that say nothing themselves.
    """

    origin: str
    derivations: AbstractMapping[str, tuple[Derivation, ...]]
    time_zone: str | None = None
    options: AbstractMapping[str, SourceOptions] = field(default_factory=dict)
    defaults: SourceOptions = field(default_factory=SourceOptions)

    def options_of(self, source: str) -> SourceOptions:
        """Give how a text source is written."""
        return self.options.get(source, self.defaults)

    def time_zones(self, table: Table) -> dict[str, str]:
        """Give the declared zone of each time column of a table."""
        zones: dict[str, str] = {}
        for column in table.readable_columns:
            rules = [d.columns[column.name] for d in self.derivations.get(table.name, ()) if column.name in d.columns]
            zone = next((rule.time_zone for rule in rules if rule.time_zone), self.time_zone)
            if column.kind is Kind.TIME and zone:
                zones[column.name] = zone
        return zones


NO_MAPPING = Mapping("", {})
"""For folders that follow the schema as they are."""


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
    try:
        content, tree = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise BadInputError("the mapping is no YAML", where=f"{origin}: {error}") from None
    root = _Node(content, origin, dict(_lines(tree)))
    root.allow("version", "time_zone", "encoding", "delimiter", "sources", "tables")
    if content.get("version") != 1:
        raise root.wrong("the mapping names no version that is known here", "version: 1")
    defaults = _options(root, SourceOptions())
    options = {}
    for name, node in root.child("sources", {}).children().items():
        node.allow("encoding", "delimiter")
        options[name] = _options(node, defaults)
    tables = {name: _derivations(name, node) for name, node in root.child("tables").children().items()}
    return Mapping(origin, tables, _zone(root), options, defaults)


_Path = tuple[str, ...]


def _lines(node: yaml.Node | None, path: _Path = ()) -> Iterator[tuple[_Path, int]]:
    """Give the line, from 1, of every key of a YAML document."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from _lines(item, (*path, str(place)))


class _Node:
    """A place in the file, with the words to point at it."""

    def __init__(self, content: Any, origin: str, lines: dict[_Path, int], path: _Path = ()) -> None:
        self.content = content
        self._origin = origin
        self._lines = lines
        self._path = path

    @property
    def where(self) -> str:
        """The file, the line and the keys that lead here."""
        line = self._lines.get(self._path)
        place = f", line {line}" if line else ""
        return f"{self._origin}{place} ({'.'.join(self._path)})" if self._path else self._origin

    def wrong(self, what: str, allowed: str) -> BadInputError:
        return BadInputError(what, where=self.where, allowed=allowed, next_step="correct the mapping file")

    def allow(self, *names: str) -> None:
        """Refuse anything but keys and values, with these keys."""
        if not isinstance(self.content, dict):
            raise self.wrong(f"expected keys and values, found {self.content!r}", ", ".join(names))
        for name in self.content:
            if name not in names:
                raise self.wrong(f"unknown key {name!r}{nearest(str(name), names)}", ", ".join(names))

    def of(self, content: Any, *path: str) -> _Node:
        """Give another content, at this place or below it."""
        return _Node(content, self._origin, self._lines, (*self._path, *path))

    def child(self, name: str, otherwise: Any = None) -> _Node:
        content = self.content.get(name, otherwise)
        if content is None:
            raise self.wrong(f"the key {name!r} is missing or empty", f"{name}: …")
        return self.of(content, name)

    def children(self) -> dict[str, _Node]:
        if not isinstance(self.content, dict):
            raise self.wrong(f"expected keys and values, found {self.content!r}", "NAME: …")
        return {str(name): self.of(content, str(name)) for name, content in self.content.items()}

    def text(self, name: str) -> str | None:
        found = self.content.get(name)
        if found is not None and not isinstance(found, str):
            raise self.wrong(f"{name} is a text, not {found!r}", f"{name}: some text")
        return found

    def names(self, name: str) -> tuple[str, ...]:
        found = self.content.get(name, [])
        listed = [found] if isinstance(found, str) else found
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise self.wrong(f"{name} lists column names, not {found!r}", f"{name}: [a_column, another]")
        return tuple(listed)


def _options(node: _Node, defaults: SourceOptions) -> SourceOptions:
    return SourceOptions(node.text("encoding") or defaults.encoding, node.text("delimiter") or defaults.delimiter)


def _zone(node: _Node) -> str | None:
    zone = node.text("time_zone")
    if zone is not None and zone not in zoneinfo.available_timezones():
        near = nearest(zone, zoneinfo.available_timezones())
        raise node.wrong(
            f"unknown time zone {zone!r}{near}", "an IANA name such as UTC, Asia/Shanghai, America/New_York"
        )
    return zone


def _derivations(name: str, node: _Node) -> tuple[Derivation, ...]:
    if name not in TABLES:
        raise node.wrong(f"unknown canonical table {name!r}{nearest(name, TABLES)}", ", ".join(TABLES))
    if isinstance(node.content, list):
        parts = [node.of(part, str(place)) for place, part in enumerate(node.content)]
    else:
        parts = [node]
    return tuple(_derivation(TABLES[name], part) for part in parts)


def _derivation(table: Table, node: _Node) -> Derivation:
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


def _lookup(name: str, node: _Node) -> Lookup:
    node.allow("key", "take")
    key, take = node.text("key"), node.names("take")
    if not key or not take:
        raise node.wrong("a lookup needs a key and columns", "{key: product_id, take: [department]}")
    return Lookup(name, key, take)


def _rule(table: Table, name: str, node: _Node, *, may_aggregate: bool) -> ColumnRule:
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


def _constant(node: _Node) -> str:
    value = node.content["constant"]
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return "'" + str(value).replace("'", "''") + "'"


_CASTS = {"text": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "time": "TIMESTAMP", "flag": "BOOLEAN"}


def _cast(node: _Node) -> str:
    name = node.text("cast") or ""
    if name not in _CASTS:
        raise node.wrong(f"unknown cast {name!r}{nearest(name, _CASTS)}", ", ".join(_CASTS))
    return _CASTS[name]


def _factor(table: Table, name: str, node: _Node) -> float | None:
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
