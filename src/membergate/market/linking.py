"""Hanging rows under their parents: what a child inherits, from when it may be seen, and which rows are orphans."""

from __future__ import annotations

from pathlib import Path

import duckdb

from membergate.market.declaring import Table
from membergate.market.quarantine import Quarantine, Reason
from membergate.market.reading import Checked
from membergate.market.schema import TABLES
from membergate.market.warehouse import literal

_ALWAYS = "TIMESTAMP '1970-01-01'"


def accepted(checked: Checked, quarantine: Quarantine) -> str:
    """Give the relation of a table's rows that nothing was found wrong with so far."""
    return (
        f"(SELECT * EXCLUDE (_reason, _column, _value) FROM {checked.relation} WHERE _reason IS NULL "
        f"AND _seq NOT IN (SELECT seq FROM {quarantine.of(checked.table)}))"
    )


def link(
    connection: duckdb.DuckDBPyConnection, checked: Checked, parents: str | None, quarantine: Quarantine, staging: Path
) -> str:
    """Give a table's accepted rows their parent's columns and their instants; refuse the orphans.

    Parameters
    ----------
    parents
        SQL relation of the parent table's rows, as `parents_of` gives it; None for a table without a parent.
    staging
        Folder in which the linked rows are written.

    Returns
    -------
    str
        SQL relation of the linked rows: the table's own columns that the source has, the inherited ones, `ingested_at`,
        `visible_at` and `_seq`.
    """
    table = checked.table
    target = staging / f"{table.name}.parquet"
    connection.execute(
        f"COPY ({_linked_select(checked, accepted(checked, quarantine), parents)}) "
        f"TO {literal(str(target))} (FORMAT parquet, COMPRESSION snappy)"
    )
    linked = f"read_parquet({literal(str(target))})"
    if table.parent is not None and parents is not None:
        refused = f"(SELECT row_key FROM {quarantine.of(TABLES[table.parent.table])})"
        orphans = f"(SELECT * FROM {linked} WHERE _is_orphan)"
        key = table.parent.key
        quarantine.refuse(
            table,
            f"(SELECT * FROM {orphans} WHERE {key} IN {refused})",
            reason=Reason.PARENT_QUARANTINED,
            column=key,
            value=key,
        )
        quarantine.refuse(
            table,
            f"(SELECT * FROM {orphans} WHERE {key} NOT IN {refused})",
            reason=Reason.ORPHAN,
            column=key,
            value=key,
        )
    return f"(SELECT * EXCLUDE (_is_orphan) FROM {linked} WHERE NOT _is_orphan)"


def _linked_select(checked: Checked, rows: str, parents: str | None) -> str:
    table = checked.table
    own = ", ".join(f"c.{name}" for name in checked.columns)
    if table.parent is None or parents is None:
        inherited, join, is_orphan, parent_visible = "", "", "false", ""
    else:
        inherited = "".join(f"p.{name}, " for name in table.parent.inherits)
        join = f"LEFT JOIN {parents} AS p ON c.{table.parent.key} = p.{table.parent.key}"
        is_orphan = f"p.{table.parent.key} IS NULL"
        # A child that carries its parent's columns must not show them before the parent itself may be seen.
        parent_visible = ", p.visible_at" if inherited else ""
    event = _event(table, checked.columns)
    known = f"coalesce(c.ingested_at, {event}, {_ALWAYS})" if event else f"coalesce(c.ingested_at, {_ALWAYS})"
    visible = ", ".join(part for part in (event, known) if part) + parent_visible
    return (
        f"SELECT {own}, {inherited}{known} AS ingested_at, greatest({visible}) AS visible_at, c._seq, "
        f"{is_orphan} AS _is_orphan FROM {rows} AS c {join}"
    )


def _event(table: Table, columns: tuple[str, ...]) -> str:
    """Give the SQL of a row's event time, its own (`c`) or its parent's (`p`); empty for a static table."""
    inherited = [name for name in table.event if name in table.inherited_columns]
    names = [f"c.{name}" for name in table.event if name in columns] + [f"p.{name}" for name in inherited]
    return f"coalesce({', '.join(names)})" if names else ""


def parents_of(table: Table, rows: tuple[str, ...]) -> str:
    """Give the relation that children join: each key once, what they inherit, and since when it may be seen.

    Parameters
    ----------
    rows
        Relations that together hold every row of the parent table, known and new.
    """
    wanted = _inherited_from(table)
    columns = ", ".join((*table.key, *wanted, "visible_at"))
    every = " UNION ALL ".join(f"SELECT {columns} FROM {relation}" for relation in rows)
    carried = "".join(f"any_value({name}) AS {name}, " for name in wanted)
    key = ", ".join(table.key)
    return f"(SELECT {key}, {carried}min(visible_at) AS visible_at FROM ({every}) GROUP BY {key})"


def _inherited_from(table: Table) -> tuple[str, ...]:
    """Name the columns of a table that some child inherits; they never change in a row's life."""
    wanted = {
        name
        for child in TABLES.values()
        if child.parent and child.parent.table == table.name
        for name in child.parent.inherits
    }
    return tuple(sorted(wanted - set(table.key)))


def fixed_columns(table: Table) -> tuple[str, ...]:
    """Name the columns that no version of a row may change: they place it, and its children, in the market."""
    parent = (table.parent.key, *table.parent.inherits) if table.parent else ()
    return tuple(sorted({*parent, *_inherited_from(table)} - set(table.key)))
