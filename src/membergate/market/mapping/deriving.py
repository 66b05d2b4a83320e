"""Running a mapping: a source table's rows, turned into rows with canonical column names."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from pathlib import Path

import duckdb

from membergate.domain.errors import BadInputError
from membergate.market.declaring import Table
from membergate.market.mapping.form import Derivation, Lookup, Mapping
from membergate.market.sources import Opened, nearest, open_staged
from membergate.market.warehouse import literal
from membergate.market.writing import disk_is_full


def derive(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    mapping: Mapping,
    opened: AbstractMapping[str, Opened],
    staging: Path,
) -> Opened:
    """Build a canonical table from its sources and open it like any other file.

    Parameters
    ----------
    opened
        The folder's tables, open, by name.
    staging
        Folder in which the derived rows are written.

    Raises
    ------
    BadInputError
        If the mapping names a table or column that the folder has not, or an expression does not fit the data.
    """
    derivations = mapping.derivations[table.name]
    names = [column.name for column in table.readable_columns if any(column.name in d.columns for d in derivations)]
    selects = [_select(connection, derivation, opened, names) for derivation in derivations]
    target = staging / f"{table.name}.parquet"
    try:
        rows = " UNION ALL BY NAME ".join(selects)
        connection.execute(f"COPY ({rows}) TO {literal(str(target))} (FORMAT parquet, COMPRESSION snappy)")
    except duckdb.Error as error:
        raise disk_is_full(error, staging) or _does_not_fit(derivations[0], error) from error
    sources = ", ".join(dict.fromkeys(derivation.source for derivation in derivations))
    malformed = tuple(row for name in {d.source for d in derivations} for row in opened[name].malformed)
    return open_staged(
        connection, table.name, target, f"{table.name} derived from {sources} by {mapping.origin}", malformed
    )


def _select(
    connection: duckdb.DuckDBPyConnection,
    derivation: Derivation,
    opened: AbstractMapping[str, Opened],
    names: list[str],
) -> str:
    source = _opened(derivation.source, derivation, opened)
    known = dict(source.columns)
    relation = source.relation
    for lookup in derivation.lookups:
        relation = _joined(connection, relation, known, lookup, derivation, opened)
    values = []
    for name in names:
        rule = derivation.columns.get(name)
        sql = rule.sql if rule else "NULL"
        if rule is not None and rule.factor is not None:
            sql = f"round(TRY_CAST({sql} AS DOUBLE) * {rule.factor})"
        values.append(f'{sql} AS "{name}"')
    condition = f" WHERE {derivation.condition}" if derivation.condition else ""
    select = f"SELECT {', '.join(values)} FROM {relation}"
    if derivation.group_by:
        keys = _listed(derivation.group_by)
        select += f"{condition} GROUP BY {keys} ORDER BY min(_seq)"
    elif derivation.distinct_on:
        order = _listed((*derivation.order_by, "_seq"))
        partition = f"PARTITION BY {_listed(derivation.distinct_on)} ORDER BY {order}"
        select += f"{condition} QUALIFY row_number() OVER ({partition}) = 1"
    else:
        select += condition
    try:
        connection.execute(f"EXPLAIN {select}")
    except duckdb.Error as error:
        raise _does_not_fit(derivation, error, known) from error
    return f"({select})"


def _joined(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    known: dict[str, str],
    lookup: Lookup,
    derivation: Derivation,
    opened: AbstractMapping[str, Opened],
) -> str:
    """Join a lookup's columns, after seeing that its key is unique: otherwise rows would multiply in silence."""
    other = _opened(lookup.source, derivation, opened)
    for name in (lookup.key, *lookup.take):
        if name not in other.columns:
            raise _unknown(name, lookup.source, other.columns, derivation)
    key = _listed((lookup.key,))
    found = connection.execute(f"SELECT count(*) - count(DISTINCT {key}) FROM {other.relation}").fetchone()
    if found and found[0]:
        raise BadInputError(
            f"the lookup table {lookup.source} holds {lookup.key} more than once ({found[0]} rows too many)",
            where=derivation.where,
            allowed="a key that each row of the lookup table has for itself",
        )
    known.update({name: other.columns[name] for name in lookup.take})
    return f"({relation} LEFT JOIN (SELECT {_listed((lookup.key, *lookup.take))} FROM {other.relation}) USING ({key}))"


def _opened(name: str, derivation: Derivation, opened: AbstractMapping[str, Opened]) -> Opened:
    if name not in opened:
        raise BadInputError(
            f"the mapping reads a table {name!r} that the folder has not{nearest(name, opened)}",
            where=derivation.where,
            allowed=", ".join(sorted(opened)),
        )
    return opened[name]


def _unknown(name: str, source: str, columns: AbstractMapping[str, str], derivation: Derivation) -> BadInputError:
    return BadInputError(
        f"table {source} has no column {name!r}{nearest(name, columns)}",
        where=derivation.where,
        allowed=", ".join(columns),
    )


def _does_not_fit(
    derivation: Derivation, error: duckdb.Error, columns: AbstractMapping[str, str] | None = None
) -> BadInputError:
    return BadInputError(
        f"the mapping does not fit table {derivation.source}: {str(error).splitlines()[0]}",
        where=derivation.where,
        allowed=f"columns of {derivation.source}: {', '.join(columns)}" if columns else "",
        next_step="values of CSV and JSONL files are text: cast(price as double)",
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)
