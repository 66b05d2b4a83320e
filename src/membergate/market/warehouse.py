"""The warehouse: the market's checked rows, as immutable Parquet parts that DuckDB reads through one view a table.

Every row knows from when it may be seen (`visible_at`) and until when (`superseded_at`), so that a reader can stand at
any instant: a row is visible as of t when `visible_at <= t AND (superseded_at IS NULL OR superseded_at > t)`.
Timestamps are naive UTC with microseconds, money and quantities 64-bit integers, ids text.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from membergate.domain.errors import NotEnoughDataError, WorkspaceError
from membergate.market.declaring import Kind, Table
from membergate.market.manifest import Manifest, TableEntry, digest_of, read_manifest
from membergate.market.schema import TABLES, VERSION_COLUMNS

QUARANTINE = "quarantine"
"""Name of the view over the refused rows, beside the canonical tables."""
SPILL_NAME = ".spill"
"""Where DuckDB puts what does not fit into memory; it removes it itself."""
MOST_MEMORY = 4 << 30
"""Bytes that DuckDB may use where nothing else is said; what is held beside it (features, a model) comes on top."""


class Warehouse:
    """One market's checked rows on disk.

    Opened for reading it is a snapshot: what a later ingest writes is seen by opening it again.

    Parameters
    ----------
    root
        The warehouse folder.
    manifest
        The state to read; use `open` or `open_or_create`.
    """

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root = root
        self.manifest = manifest

    @staticmethod
    def open(root: Path) -> Warehouse:
        """Open a warehouse that holds a market.

        Raises
        ------
        WorkspaceError
            If there is none, or it is damaged.
        """
        manifest = read_manifest(root)
        if manifest is None:
            raise WorkspaceError(
                "there is no warehouse here yet",
                where=str(root),
                next_step="load a market first: membergate ingest MARKET_FOLDER",
            )
        return Warehouse(root, manifest)

    @staticmethod
    def open_or_create(root: Path) -> Warehouse:
        """Open a warehouse, or one that will come into being on disk with the first rows loaded into it.

        Raises
        ------
        WorkspaceError
            If it is damaged.
        """
        return Warehouse(root, read_manifest(root) or Manifest())

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the loaded parts: the lineage of everything computed from this state."""
        return self.manifest.fingerprint

    @property
    def currency(self) -> str:
        """The ISO 4217 code of the market's money; empty before the first order."""
        return self.manifest.currency

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Give, for each loaded table, the canonical columns that the data really has, in schema order."""
        return {name: self.manifest.tables[name].columns for name in TABLES if name in self.manifest.tables}

    def rows(self) -> dict[str, int]:
        """Give the number of rows of each loaded table, versions counted one by one."""
        return {name: self.manifest.tables[name].rows for name in TABLES if name in self.manifest.tables}

    def last_instant(self) -> datetime:
        """Give the latest instant at which a row becomes visible, aware and in UTC.

        Announced tables (promotions) are left out: a promotion planned for next year is no reason to stand there.

        Raises
        ------
        NotEnoughDataError
            If the warehouse holds no dated row.
        """
        seen = [
            part.last_visible_at
            for name, entry in self.manifest.tables.items()
            for part in entry.parts
            if part.last_visible_at and not TABLES[name].is_announced
        ]
        if not seen:
            raise NotEnoughDataError(
                "the warehouse holds no dated row",
                where=str(self.root),
                next_step="load a market first: membergate ingest MARKET_FOLDER",
            )
        return max(datetime.fromisoformat(text) for text in seen).replace(tzinfo=UTC)

    def connect(self, *, memory_limit: str | None = None, threads: int | None = None) -> duckdb.DuckDBPyConnection:
        """Give a fresh in-memory connection with one view per loaded table, and one named `quarantine`.

        Parameters
        ----------
        memory_limit
            As DuckDB writes it, "2GiB"; None is `usual_memory`. What does not fit is spilled into the workspace.
        threads
            Most threads it may use; None is DuckDB's own choice.
        """
        memory_limit = memory_limit or usual_memory()
        connection = session(self.root / SPILL_NAME, memory_limit=memory_limit, threads=threads)
        for name in self.columns():
            connection.execute(f'CREATE VIEW "{name}" AS {self.relation(TABLES[name])}')
        if self.manifest.quarantine.parts:
            connection.execute(f"CREATE VIEW {QUARANTINE} AS SELECT * FROM {self.files(self.manifest.quarantine)}")
        return connection

    def relation(self, table: Table) -> str:
        """Give the SELECT over one loaded table's parts, columns in the view's order."""
        entry = self.manifest.tables[table.name]
        names = ", ".join(f'"{name}"' for name in view_columns(table, entry.columns))
        return f"SELECT {names} FROM {self.files(entry)}"

    def reaches_back(self, connection: duckdb.DuckDBPyConnection, parts: Collection[str], instant: datetime) -> bool:
        """Tell whether a part that is not among these, named by their digests, has rows visible by an instant.

        Such rows change what the market looked like in the past: a backfill, or an export without `ingested_at`.
        """
        for entry in self.manifest.tables.values():
            new = tuple(part for part in entry.parts if part.sha256 not in parts)
            if new and count(
                connection,
                f"(SELECT 1 FROM {self.files(replace(entry, parts=new))} "
                f"WHERE visible_at <= TIMESTAMP '{instant:%Y-%m-%d %H:%M:%S.%f}' LIMIT 1)",
            ):
                return True
        return False

    def files(self, entry: TableEntry) -> str:
        """Give the DuckDB table function over an entry's parts."""
        return parquet(self.root / part.file for part in entry.parts)

    def verify(self) -> None:
        """Read every part and compare its digest with the manifest.

        Raises
        ------
        WorkspaceError
            If a byte has changed.
        """
        for part in self.manifest.parts:
            if digest_of(self.root / part.file) != part.sha256:
                raise WorkspaceError(
                    "a part of the warehouse was altered since it was written",
                    where=str(self.root / part.file),
                    next_step="restore the workspace from a backup, or ingest the market folder into a new one",
                )


def usual_memory() -> str:
    """Give what DuckDB may use of this machine: `MOST_MEMORY`, or half of what there is, where that is less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{min(MOST_MEMORY, physical // 2) >> 20}MiB"


def session(spill: Path, *, memory_limit: str | None = None, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB that thinks in UTC, spills where it is told, and fetches nothing from the network."""
    settings: dict[str, str | int] = {
        "autoinstall_known_extensions": "false",
        "temp_directory": str(spill),
    }
    if memory_limit is not None:
        settings["memory_limit"] = memory_limit
    if threads is not None:
        settings["threads"] = threads
    connection = duckdb.connect(":memory:", config=settings)  # type: ignore[arg-type] # ints are taken too
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # it would write into a log
    return connection


def view_columns(table: Table, present: Iterable[str]) -> tuple[str, ...]:
    """Give the names of a view's columns: the canonical ones present, those of the parent, the version columns."""
    own = set(present)
    return (*(name for name in table.column_names if name in own), *table.inherited_columns, *VERSION_COLUMNS)


def column_type(table: Table, name: str) -> str:
    """Give the DuckDB type in which the warehouse keeps a view's column, inherited and version columns included."""
    if name in VERSION_COLUMNS:
        return Kind.TIME.sql_type
    if name in table.inherited_columns:
        assert table.parent is not None  # noqa: S101 # a table that inherits has a parent
        return column_type(TABLES[table.parent.table], name)
    return table.column(name).kind.sql_type


def parquet(paths: Iterable[Path]) -> str:
    """Give the DuckDB table function that reads these Parquet files as one table."""
    return f"read_parquet([{', '.join(literal(str(path)) for path in paths)}], union_by_name = true)"


def literal(text: str) -> str:
    """Write a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """Give the number of rows of a relation."""
    found = connection.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(found[0]) if found else 0
