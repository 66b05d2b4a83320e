"""Loading a market folder into the warehouse: check, link, merge, write; all of it or nothing.

Every row that is read is accounted for: it is loaded, was already known, revises a known row, or is quarantined with a
reason. Nothing is lost in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

import duckdb

from membergate.domain.errors import BadInputError
from membergate.domain.instants import Clock
from membergate.market.consistency import refuse_mismatched_totals, settle_currency
from membergate.market.declaring import Table
from membergate.market.linking import link, parents_of
from membergate.market.mapping import NO_MAPPING, Mapping
from membergate.market.mapping.deriving import Deriving
from membergate.market.mapping.fitting import fit
from membergate.market.mapping.overlapping import keep_one_file
from membergate.market.mapping.viewing import open_views
from membergate.market.merging import Merged, merge
from membergate.market.oddities import oddities
from membergate.market.quarantine import Quarantine, Reason
from membergate.market.reading import (
    Checked,
    check_rows,
    require_rows,
    require_tables,
    unknown_columns,
    unknown_tables,
)
from membergate.market.schema import TABLES
from membergate.market.sources import Opened, open_source, scan
from membergate.market.warehouse import QUARANTINE, Warehouse, count, session, view_columns
from membergate.market.writing import Writing, disk_is_full, writing

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""

_MOST_PARTS = 32  # of one table; the next ingest after that writes it anew, so that hourly ingests do not pile up files
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
    folder: Path,
    warehouse: Warehouse,
    mapping: Mapping | None = None,
    *,
    progress: Progress | None = None,
    clock: Clock | None = None,
    token_key: bytes | None = None,
) -> LoadReport:
    """Check a market folder and load it; on any error the warehouse is exactly as it was.

    Parameters
    ----------
    folder
        The market folder.
    warehouse
        Where the rows go; it is moved on to the new state.
    mapping
        How the folder's own tables and columns become the canonical ones; None where they are.
    progress
        Told about each step.
    clock
        Gives the present; rows that claim to lie after it are quarantined. Without one, `ingested_at` alone is trusted.
    token_key
        Key of the tokens that a mapping makes of personal data; None for a mapping that makes none.

    Raises
    ------
    BadInputError
        If a whole file cannot be used, or no row of a required table can.
    WorkspaceError
        If the warehouse is busy or damaged, or the disk is full.
    """
    try:
        with writing(warehouse.root) as work:
            connection = session(work.staging / "spill", memory_limit=_MEMORY_LIMIT)
            try:
                report = _Loading(
                    connection, work, folder, mapping or NO_MAPPING, progress or _silent, clock, token_key
                ).run()
            finally:
                connection.close()
            warehouse.manifest = work.commit()
    except (duckdb.Error, OSError) as error:
        raise disk_is_full(error, warehouse.root) or error from error
    except RuntimeError as error:
        # DuckDB reports a Ctrl-C that strikes during a query in words of its own.
        if "interrupted" not in str(error).lower():
            raise
        raise KeyboardInterrupt from error
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
        mapping: Mapping,
        progress: Progress,
        clock: Clock | None,
        token_key: bytes | None,
    ) -> None:
        self._connection = connection
        self._work = work
        self._before = Warehouse(work.root, work.manifest)
        self._folder = folder
        self._mapping = mapping
        self._progress = progress
        self._now = f"TIMESTAMP '{clock().astimezone(UTC):%Y-%m-%d %H:%M:%S}'" if clock else None
        self._token_key = token_key
        self._quarantine = Quarantine(connection)
        self._warnings: list[str] = []
        self._rows = {name: (self._held(TABLES[name]),) for name in self._before.columns()}

    def run(self) -> LoadReport:
        checked = self._check_all()
        self._compare(checked)
        reports = []
        for step, rows in enumerate(checked.values(), 1):
            self._progress(f"loading {rows.table.name}", step, len(checked))
            reports.append(self._load(rows))
        for report in reports:
            _require_loaded(report, checked[report.table])
        self._write_quarantine()
        self._warnings += oddities(
            self._connection,
            {name: self._rows[name][-1] for name in checked},
            {name: (*rows.columns, *rows.table.inherited_columns) for name, rows in checked.items()},
        )
        return LoadReport(tuple(reports), tuple(warning for warning in self._warnings if warning))

    def _folder_of(self, step: str) -> Path:
        folder = self._work.staging / step
        folder.mkdir(exist_ok=True)
        return folder

    def _check_all(self) -> dict[str, Checked]:
        self._mapping, sources = fit(self._mapping, scan(self._folder))
        derived, used = self._mapping.derivations, self._mapping.reads
        require_tables({*sources, *derived, *self._before.columns()}, self._folder)
        self._warnings.append(unknown_tables(set(sources) - used))
        opened: dict[str, Opened] = {}
        for name in sources:
            if name in used or name in TABLES:
                self._progress(f"reading {name}", len(opened) + 1, len(sources))
                options = self._mapping.options_of(name)
                opened[name] = open_source(
                    self._connection,
                    sources[name],
                    self._folder_of("source"),
                    encoding=options.encoding,
                    delimiter=options.delimiter,
                )
        views = open_views(self._connection, self._mapping, self._without_overlap(opened, used))
        deriving = Deriving(self._connection, self._mapping, views, self._folder_of("derived"), self._token_key)
        checked = {}
        names = [name for name in TABLES if name in derived or name in opened]
        for step, name in enumerate(names, 1):
            self._progress(f"checking {name}", step, len(names))
            checked[name] = self._check(TABLES[name], opened, deriving)
        return checked

    def _without_overlap(self, opened: dict[str, Opened], used: frozenset[str]) -> dict[str, Opened]:
        """Give the mapping's sources, with one file a key where it says so, and note what that leaves out."""
        kept = {}
        for name in sorted(used & opened.keys()):
            options = self._mapping.options_of(name)
            kept[name], note = keep_one_file(self._connection, opened[name], options, self._folder)
            self._warnings.append(note)
        return kept

    def _check(self, table: Table, opened: dict[str, Opened], deriving: Deriving) -> Checked:
        if table.name in self._mapping.derivations:
            source = deriving.derive(table)
        else:
            source = opened[table.name]
            self._warnings.append(unknown_columns(table, source))
        checked = check_rows(
            self._connection,
            table,
            source,
            self._folder_of("checked"),
            time_zones=self._mapping.time_zones(table),
            now=self._now,
        )
        if table.name not in self._before.columns():
            require_rows(checked)
        self._quarantine.refuse(table, f"(SELECT * FROM {checked.relation} WHERE _reason IS NOT NULL)")
        return checked

    def _compare(self, checked: dict[str, Checked]) -> None:
        """Look at orders beside each other and beside their lines."""
        if "orders" not in checked:
            return
        held = self._work.manifest.currency
        self._work.set_currency(settle_currency(self._connection, checked["orders"], held, self._quarantine))
        if "order_lines" in checked:
            self._warnings.append(
                refuse_mismatched_totals(self._connection, checked["orders"], checked["order_lines"], self._quarantine)
            )

    def _load(self, checked: Checked) -> TableReport:
        table = checked.table
        linked = link(self._connection, checked, self._parents(table), self._quarantine, self._folder_of("linked"))
        entry = self._before.manifest.tables.get(table.name)
        merged = merge(
            self._connection,
            table,
            linked,
            checked.columns,
            self._held(table) if entry else None,
            entry.columns if entry else (),
            self._quarantine,
            compact=entry is not None and len(entry.parts) >= _MOST_PARTS,
        )
        self._write(table, merged)
        self._rows[table.name] = (*self._rows.get(table.name, ()), linked)
        self._warnings.append(self._unknown_skus(table))
        self._quarantine.write_out(table, checked.opened)
        return TableReport(
            table.name,
            read=checked.read,
            loaded=merged.loaded,
            already_known=merged.already_known,
            revised=merged.revised,
            quarantined=self._quarantine.counts(table),
        )

    def _held(self, table: Table) -> str:
        return f"({self._before.relation(table)})"

    def _parents(self, table: Table) -> str | None:
        if table.parent is None:
            return None
        return parents_of(TABLES[table.parent.table], self._rows[table.parent.table])

    def _write(self, table: Table, merged: Merged) -> None:
        if table.name in self._before.columns() and not merged.changes_rows:
            self._work.set_columns(table.name, merged.columns)
            return
        first = ["account_id"] if "account_id" in view_columns(table, merged.columns) else []
        order = ", ".join((*first, "visible_at", *table.key, "ingested_at"))
        part = self._work.write_part(self._connection, table.name, merged.select, order_by=order, instant="visible_at")
        if merged.replaces_all:
            self._work.replace(table.name, part, merged.columns)
        else:
            self._work.append(table.name, part, merged.columns)

    def _write_quarantine(self) -> None:
        stored = self._before.manifest.quarantine
        select = self._quarantine.not_yet_in(self._before.files(stored) if stored.parts else None)
        if count(self._connection, f"({select})"):
            part = self._work.write_part(self._connection, QUARANTINE, select, order_by="ALL", instant=None)
            self._work.append_quarantine(part)

    def _unknown_skus(self, table: Table) -> str:
        """Say how many lines name a SKU that nobody describes; they are loaded, because what was bought was bought."""
        if table.name != "skus" or "order_lines" not in self._rows:
            return ""
        known = " UNION ALL ".join(f"SELECT sku_id FROM {rows}" for rows in self._rows["skus"])
        lines = count(
            self._connection, f"(SELECT sku_id FROM {self._rows['order_lines'][-1]} WHERE sku_id NOT IN ({known}))"
        )
        return (
            f"order_lines: {lines:,} lines name a SKU that `skus` does not hold; their category is unknown"
            if lines
            else ""
        )


def _require_loaded(report: TableReport, checked: Checked) -> None:
    """Refuse an ingest of which a required table has not one usable row.

    Raises
    ------
    BadInputError
        With the reasons for which its rows were refused.
    """
    if not checked.table.is_required or not report.read or report.read > sum(report.quarantined.values()):
        return
    reasons = "; ".join(f"{rows:,} x {reason}: {Reason(reason).meaning}" for reason, rows in report.quarantined.items())
    raise BadInputError(
        f"no row of the required table {report.table} can be used",
        where=f"{checked.opened.labels[0]} ({reasons})",
        allowed="rows that follow the schema",
        next_step="correct the export, or declare units, zones and names in a mapping file",
    )
