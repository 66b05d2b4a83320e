"""Loading a market folder into the warehouse: check, link, merge, write; all of it or nothing.

Every row that is read is accounted for: it is loaded, was already known, revises a known row, or is quarantined with a
reason. Nothing is lost in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from membergate.domain.instants import Clock
from membergate.market.linking import link, parents_of
from membergate.market.merging import Merged, merge
from membergate.market.quarantine import Quarantine
from membergate.market.reading import Checked, check_rows, require_tables, unknown_columns, unknown_tables
from membergate.market.schema import TABLES, Table
from membergate.market.sources import open_source, scan
from membergate.market.warehouse import Warehouse, session, view_columns
from membergate.market.writing import Writing, writing

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""

_MEMORY_LIMIT = "1500MiB"  # DuckDB's; what does not fit is spilled into the staging folder


@dataclass(frozen=True, slots=True)
class TableReport:
    """What became of the rows of one table.

    `read == loaded + already_known + revised + sum(quarantined.values())`, always.

    Parameters
    ----------
    table
        The canonical table.
    read
        Rows that the source held.
    loaded
        New rows, and new versions of known ones.
    already_known
        Rows that the warehouse, or an earlier row of the source, already held.
    revised
        Rows that changed what a known row says, without being a version of their own.
    quarantined
        Refused rows by reason code, the most frequent first.
    """

    table: str
    read: int
    loaded: int
    already_known: int
    revised: int
    quarantined: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What an ingest did: one report a table, in the schema's order, and what a reader should know besides."""

    tables: tuple[TableReport, ...]
    warnings: tuple[str, ...] = ()


def load(
    folder: Path, warehouse: Warehouse, *, progress: Progress | None = None, clock: Clock | None = None
) -> LoadReport:
    """Check a market folder and load it; on any error the warehouse is exactly as it was.

    Parameters
    ----------
    folder
        The market folder.
    warehouse
        Where the rows go; it is moved on to the new state.
    progress
        Told about each step.
    clock
        Gives the present; rows that claim to lie after it are quarantined. Without one, `ingested_at` alone is trusted.

    Raises
    ------
    BadInputError
        If a whole file cannot be used.
    WorkspaceError
        If the warehouse is busy or damaged, or the disk is full.
    """
    with writing(warehouse.root) as work:
        connection = session(work.staging / "spill", memory_limit=_MEMORY_LIMIT)
        try:
            report = _Loading(connection, work, folder, progress or _silent, clock).run()
        finally:
            connection.close()
        warehouse.manifest = work.commit()
    return report


def _silent(step: str, done: int, of: int) -> None:
    """Tell nobody."""


class _Loading:
    """One ingest, from the folder to staged parts."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        work: Writing,
        folder: Path,
        progress: Progress,
        clock: Clock | None,
    ) -> None:
        self._connection = connection
        self._work = work
        self._folder = folder
        self._progress = progress
        self._now = f"TIMESTAMP '{clock():%Y-%m-%d %H:%M:%S}'" if clock else None
        self._quarantine = Quarantine(connection)
        self._warnings: list[str] = []
        self._rows: dict[str, tuple[str, ...]] = {}
        for name in ("source", "checked", "linked"):
            (work.staging / name).mkdir()

    def run(self) -> LoadReport:
        checked = self._check_all()
        reports = []
        for step, table in enumerate(checked, 1):
            self._progress(f"loading {table.table.name}", step, len(checked))
            reports.append(self._load(table))
        return LoadReport(tuple(reports), tuple(warning for warning in self._warnings if warning))

    def _check_all(self) -> list[Checked]:
        sources = scan(self._folder)
        require_tables(set(sources), self._folder)
        self._warnings.append(unknown_tables(set(sources)))
        checked = []
        names = [name for name in TABLES if name in sources]
        for step, name in enumerate(names, 1):
            self._progress(f"checking {name}", step, len(names))
            opened = open_source(self._connection, sources[name], self._work.staging / "source")
            self._warnings.append(unknown_columns(TABLES[name], opened))
            checked.append(
                check_rows(
                    self._connection,
                    TABLES[name],
                    opened,
                    self._work.staging / "checked",
                    time_zone=None,
                    now=self._now,
                )
            )
        return checked

    def _load(self, checked: Checked) -> TableReport:
        table = checked.table
        self._quarantine.refuse(table, f"(SELECT * FROM {checked.relation} WHERE _reason IS NOT NULL)")
        linked = link(self._connection, checked, self._parents(table), self._quarantine, self._work.staging / "linked")
        entry = self._work.manifest.tables.get(table.name)
        held = f"({Warehouse(self._work.root, self._work.manifest).relation(table)})" if entry and entry.parts else None
        held_columns = entry.columns if entry else ()
        merged = merge(self._connection, table, linked, checked.columns, held, held_columns, self._quarantine)
        self._write(table, merged)
        self._rows[table.name] = tuple(relation for relation in (held, linked) if relation)
        return TableReport(
            table.name,
            read=checked.read,
            loaded=merged.loaded,
            already_known=merged.already_known,
            revised=merged.revised,
            quarantined=self._quarantine.counts(table),
        )

    def _parents(self, table: Table) -> str | None:
        if table.parent is None:
            return None
        return parents_of(TABLES[table.parent.table], self._rows[table.parent.table])

    def _write(self, table: Table, merged: Merged) -> None:
        entry = self._work.manifest.tables.get(table.name)
        if entry is not None and not merged.changes_rows:
            self._work.set_columns(table.name, merged.columns)
            return
        first = ["account_id"] if "account_id" in view_columns(table, merged.columns) else []
        order = ", ".join((*first, "visible_at", *table.key, "ingested_at"))
        part = self._work.write_part(self._connection, table.name, merged.select, order_by=order, instant="visible_at")
        if merged.replaces_all:
            self._work.replace(table.name, part, merged.columns)
        else:
            self._work.append(table.name, part, merged.columns)
