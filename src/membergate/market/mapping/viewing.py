"""Sources as relations: raw columns, and the sources that a mapping makes from others."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import replace

import duckdb

from membergate.domain.errors import BadInputError
from membergate.market.checks import Family, family_of
from membergate.market.mapping.form import Mapping, View
from membergate.market.mapping.making import ELEMENT_NUMBER, LINE_NUMBER
from membergate.market.sources import Opened, nearest


def open_views(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, opened: AbstractMapping[str, Opened]
) -> dict[str, Opened]:
    """Give every source of a mapping as a relation: those in files, and those that are made from others.

    Nested values of Parquet files become JSON texts, as they are in JSONL files, so that one mapping reads both.

    Raises
    ------
    BadInputError
        If a view reads a column that its source has not, or an expression does not fit the data.
    """
    sources = {
        name: _filled(_flat(source), mapping.options_of(mapping.file_source(name)).may_lack)
        for name, source in opened.items()
    }
    for view in mapping.views.values():
        if view.base in sources:  # one that is not there is an error only where something is derived from it
            sources[view.name] = _made(connection, view, sources[view.base])
    return sources


def _flat(source: Opened) -> Opened:
    nested = [name for name, kind in source.columns.items() if family_of(kind) is Family.NESTED]
    if not nested:
        return source
    texts = ", ".join(f"CAST(to_json({listed((name,))}) AS VARCHAR) AS {listed((name,))}" for name in nested)
    relation = f"(SELECT * REPLACE ({texts}) FROM {source.relation})"
    return replace(source, relation=relation, columns=source.columns | dict.fromkeys(nested, "VARCHAR"))


def _filled(source: Opened, may_lack: tuple[str, ...]) -> Opened:
    """Add the columns that may be missing and are, NULL on every row."""
    there = {name.lower() for name in source.columns}
    lacking = tuple(name for name in may_lack if name.lower() not in there)
    if not lacking:
        return source
    nothing = ", ".join(f"CAST(NULL AS VARCHAR) AS {listed((name,))}" for name in lacking)
    columns = source.columns | dict.fromkeys(lacking, "VARCHAR")
    relation = f"(SELECT *, {nothing} FROM {source.relation})"
    return replace(source, relation=relation, columns=columns, lacking=frozenset(lacking))


def _made(connection: duckdb.DuckDBPyConnection, view: View, base: Opened) -> Opened:
    for name in (*([view.unnest] if view.unnest else []), *view.number_within, *view.group_by):
        if name not in base.columns:
            raise unknown_column(name, view.base, base.columns, view.where)
    relation = _steps(view, base)
    try:
        described = connection.execute(f"DESCRIBE SELECT * EXCLUDE (_seq) FROM {relation}").fetchall()
    except duckdb.Error as error:
        raise does_not_fit(view.base, view.where, error, base.columns) from error
    columns = {row[0]: row[1] for row in described}
    return replace(base, name=view.name, relation=relation, columns=columns, lacking=base.lacking - set(view.let))


def _steps(view: View, base: Opened) -> str:
    relation = base.relation
    computed = ", ".join(f"{sql} AS {listed((name,))}" for name, sql in view.let.items())
    if view.unnest:
        column = listed((view.unnest,))
        elements = f"json_extract(CASE WHEN json_valid({column}) THEN {column} END, '$[*]')"
        relation = (
            f"(SELECT * REPLACE (CAST(unnest({column}) AS VARCHAR) AS {column}), "
            f"generate_subscripts({column}, 1) AS {ELEMENT_NUMBER} "
            f"FROM (SELECT * REPLACE ({elements} AS {column}) FROM {relation}))"
        )
    if view.number_within:
        within = f"PARTITION BY {listed(view.number_within)} ORDER BY {listed(in_order(base.columns))}"
        relation = f"(SELECT *, row_number() OVER ({within}) AS {LINE_NUMBER} FROM {relation})"
    if view.group_by:
        keys = listed(view.group_by)
        return f"(SELECT {keys}, {computed}, min(_seq) AS _seq FROM {relation} GROUP BY {keys})"
    if view.let:
        made = {name.lower() for name in view.let}  # DuckDB tells names apart by their letters, not by their case
        replaced = tuple(name for name in base.columns if name.lower() in made)
        kept = f"* EXCLUDE ({listed(replaced)})" if replaced else "*"
        relation = f"(SELECT {kept}, {computed} FROM {relation})"
    return f"(SELECT * FROM {relation} WHERE {view.condition})" if view.condition else relation


def in_order(columns: AbstractMapping[str, str]) -> tuple[str, ...]:
    """Name the columns that put a source's rows in the order of the file."""
    return ("_seq", ELEMENT_NUMBER) if ELEMENT_NUMBER in columns else ("_seq",)


def unknown_column(name: str, source: str, columns: AbstractMapping[str, str], where: str) -> BadInputError:
    """Say that a source has no such column, with the nearest one."""
    return BadInputError(
        f"table {source} has no column {name!r}{nearest(name, columns)}", where=where, allowed=", ".join(columns)
    )


def does_not_fit(
    source: str, where: str, error: duckdb.Error, columns: AbstractMapping[str, str] | None = None
) -> BadInputError:
    """Say that an expression does not fit a source, in DuckDB's words, and what to do where it says so of types."""
    said = str(error).splitlines()[0]
    is_of_types = isinstance(error, duckdb.ConversionException) or "type" in said or "cast" in said.lower()
    is_unknown = "not found" in said or "does not exist" in said
    return BadInputError(
        f"the mapping does not fit table {source}: {said}",
        where=where,
        allowed=f"columns of {source}: {', '.join(columns)}" if columns else "",
        next_step="values of CSV and JSONL files are text: cast(price as double)"
        if is_of_types and not is_unknown
        else "",
    )


def listed(names: tuple[str, ...]) -> str:
    """Give column names as SQL, between commas."""
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)
