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

from pathlib import Path

from membergate.domain.errors import BadInputError
from membergate.market.declaring import Table
from membergate.market.mapping.columns import read_rule, read_zone
from membergate.market.mapping.expressions import compile_expression
from membergate.market.mapping.form import Derivation, Lookup, Mapping, SourceOptions
from membergate.market.mapping.making import read_delimiter, read_sources
from membergate.market.mapping.places import Place, read_places
from membergate.market.schema import TABLES
from membergate.market.sources import nearest


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
    defaults = SourceOptions(root.text("encoding") or "utf-8", read_delimiter(root, ","))
    options, views = read_sources(root.child("sources", {}), defaults)
    tables = {name: _derivations(name, node) for name, node in root.child("tables").children().items()}
    return Mapping(origin, tables, read_zone(root), options, defaults, views)


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
        rules[name] = read_rule(table, name, child, may_aggregate=bool(group_by))
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
    node.allow("key", "take", "at")
    keys, take, at = node.pairs("key"), node.pairs("take"), node.pairs("at")
    if not keys or not take:
        raise node.wrong("a lookup needs a key and columns", "{key: product_id, take: [department]}")
    if len(at) > 1:
        raise node.wrong("a lookup goes by one instant", "at: {returned_at: sold_at}, or a name that both sources have")
    return Lookup(name, keys, take, next(iter(at.items()), None))
