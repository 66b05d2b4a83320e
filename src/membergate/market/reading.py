"""From a market folder to checked tables: which source feeds which table, and the whole-file errors.

What is wrong with a whole file (a required table or column that is missing, no rows where there must be some) ends the
ingest with one readable error. What is wrong with a row is left to the row: see `checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from membergate.domain.errors import BadInputError
from membergate.market.checks import Family, checked_select, family_of, has_zone, is_fractional
from membergate.market.declaring import Kind, Table
from membergate.market.schema import REQUIRED_TABLES, TABLES
from membergate.market.sources import Opened, market_inside, nearest, unreadable
from membergate.market.warehouse import count, literal
from membergate.market.writing import disk_is_full

FRACTIONAL_SHARE = 0.05
"""From this share of fractions on, a money column is plainly in the major unit, and its whole values are too."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A table's rows, read and checked one by one.

    Parameters
    ----------
    table
        The canonical table.
    opened
        The source with its raw columns.
    columns
        Canonical columns that the source has, in schema order, without `ingested_at`.
    relation
        SQL relation of typed columns (`ingested_at` always among them), `_seq`, `_reason`, `_column`, `_value`.
    read
        How many rows the source holds, malformed lines included.
    """

    table: Table
    opened: Opened
    columns: tuple[str, ...]
    relation: str
    read: int


def require_tables(found: set[str], folder: Path) -> None:
    """Refuse a market that lacks a required table; `found` are those that the source or the warehouse has.

    Raises
    ------
    BadInputError
        With the names of all that are missing.
    """
    missing = [name for name in REQUIRED_TABLES if name not in found]
    if missing:
        names = ", ".join(missing)
        raise BadInputError(
            f"the market lacks the required table{'s' if len(missing) > 1 else ''} {names}",
            where=f"{folder} (it holds {', '.join(sorted(found)) or 'no table'})",
            allowed=f"required: {', '.join(REQUIRED_TABLES)}; all other tables are optional",
            next_step=market_inside(folder)
            or f"add {missing[0]}.parquet, .csv or .jsonl, or derive it from another table in a mapping file",
        )


def check_rows(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    opened: Opened,
    staging: Path,
    *,
    time_zones: Mapping[str, str],
    now: str | None,
) -> Checked:
    """Read a source as a canonical table, every row with what is wrong with it.

    Parameters
    ----------
    staging
        Folder in which the checked rows are written.
    time_zones
        For time columns that declare it, the zone of instants without an offset; UTC for the others.
    now
        SQL timestamp after which nothing can have happened; None trusts `ingested_at` alone.

    Raises
    ------
    BadInputError
        If a required column is missing, a money column is in the major unit, or the file is damaged.
    """
    families = _families(table, opened)
    target = staging / f"{table.name}.parquet"
    relation = f"read_parquet({literal(str(target))})"
    try:
        mixed = _mixed_columns(connection, table, opened, families) - set(time_zones)
        select = checked_select(table, families, opened.relation, time_zones=time_zones, mixed=mixed, now=now)
        connection.execute(f"COPY ({select}) TO {literal(str(target))} (FORMAT parquet, COMPRESSION snappy)")
    except duckdb.Error as error:
        raise disk_is_full(error, staging) or unreadable(opened.labels[0], error) from error
    rows = count(connection, relation)
    columns = tuple(name for name in table.column_names if name in families)
    return Checked(table, opened, columns, relation, rows + len(opened.malformed))


def _families(table: Table, opened: Opened) -> dict[str, Family]:
    missing = [name for name in table.required_columns if name not in opened.columns]
    if missing:
        hint = nearest(missing[0], set(opened.columns) - set(table.column_names))
        raise BadInputError(
            f"table {table.name} lacks the required column{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            where=f"{opened.labels[0]} (it has {', '.join(opened.columns)})",
            allowed=f"required: {', '.join(table.required_columns)}",
            next_step=f"add the column, or map your own onto it in a mapping file{hint}",
        )
    known = {column.name for column in table.readable_columns}
    return {name: family_of(kind) for name, kind in opened.columns.items() if name in known}


def _mixed_columns(
    connection: duckdb.DuckDBPyConnection, table: Table, opened: Opened, families: dict[str, Family]
) -> frozenset[str]:
    """Look over whole columns for what single values cannot show: mixed zones, and money in the major unit."""
    looks: dict[str, str] = {}
    for column in table.readable_columns:
        family, raw = families.get(column.name), f'"{column.name}"'
        if column.kind is Kind.TIME and family is Family.TEXT:
            looks[column.name] = f"avg(CAST({has_zone(raw)} AS INTEGER)) FILTER (trim({raw}) <> '')"
        elif column.kind is Kind.MONEY and family in {Family.TEXT, Family.REAL}:
            looks[column.name] = (
                f"avg(CAST({is_fractional(raw)} AS INTEGER)) FILTER (TRY_CAST({raw} AS DOUBLE) IS NOT NULL)"
            )
    if not looks:
        return frozenset()
    shares = connection.execute(f"SELECT {', '.join(looks.values())} FROM {opened.relation}").fetchone() or ()
    found = {name: share or 0.0 for name, share in zip(looks, shares, strict=True)}
    for name, share in found.items():
        if table.column(name).kind is Kind.MONEY and share >= FRACTIONAL_SHARE:
            raise BadInputError(
                f"{share:.0%} of the amounts in {table.name}.{name} have a fraction: the column is not in minor units",
                where=opened.labels[0],
                allowed="whole numbers in the currency's minor unit (1999 for 19.99)",
                next_step=f"multiply before the export, or give `{name}: {{from: {name}, unit: major}}` in a mapping",
            )
    return frozenset(name for name, share in found.items() if table.column(name).kind is Kind.TIME and 0 < share < 1)


def require_rows(checked: Checked) -> None:
    """Refuse a required table without rows.

    Raises
    ------
    BadInputError
        If the source holds none.
    """
    if checked.table.is_required and checked.read == 0:
        raise BadInputError(
            f"the required table {checked.table.name} has no rows",
            where=checked.opened.labels[0],
            allowed="at least one row",
            next_step="export the table again; an empty market cannot be learned from",
        )


def unknown_columns(table: Table, opened: Opened) -> str:
    """Say which columns of a source nobody reads; empty where all are known."""
    known = {column.name for column in table.readable_columns}
    unread = [f"{name}{nearest(name, known)}" for name in opened.columns if name not in known]
    return f"{table.name}: columns that the schema does not know are ignored: {', '.join(unread)}" if unread else ""


def unknown_tables(names: set[str]) -> str:
    """Say which tables of a folder nobody reads; empty where all are known."""
    unread = [f"{name}{nearest(name, TABLES)}" for name in sorted(names - set(TABLES))]
    return f"tables that the schema does not know are ignored: {', '.join(unread)}" if unread else ""
