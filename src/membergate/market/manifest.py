"""The manifest: which immutable Parquet parts make up a warehouse right now.

One small JSON file, replaced atomically. Whatever it does not name does not exist for a reader, so a writer that dies
half-way leaves the old state standing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from membergate.domain.errors import WorkspaceError
from membergate.market.schema import SCHEMA_VERSION

MANIFEST_NAME = "manifest.json"
_FORMAT = "membergate-warehouse/1"


@dataclass(frozen=True, slots=True)
class Part:
    """One immutable Parquet file.

    Parameters
    ----------
    file
        Its path relative to the warehouse, with forward slashes.
    sha256
        Digest of its bytes, hexadecimal.
    size
        Its length in bytes.
    rows
        How many rows it holds.
    last_visible_at
        ISO 8601 text (naive UTC) of the latest instant at which one of its rows becomes visible; empty where none is.
    """

    file: str
    sha256: str
    size: int
    rows: int
    last_visible_at: str = ""


@dataclass(frozen=True, slots=True)
class TableEntry:
    """What the warehouse holds of one table.

    Parameters
    ----------
    columns
        Canonical columns that some source really carried, in schema order.
    parts
        Its files, in the order in which they were appended.
    """

    columns: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def rows(self) -> int:
        """Rows over all parts, versions counted one by one."""
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state of a warehouse.

    Parameters
    ----------
    generation
        How many times it has been written; 0 is an empty warehouse that is not on disk yet.
    currency
        The one currency of the market's money; empty before the first order.
    tables
        Loaded canonical tables by name.
    quarantine
        The rows that were refused, with reasons.
    """

    generation: int = 0
    currency: str = ""
    tables: Mapping[str, TableEntry] = field(default_factory=dict)
    quarantine: TableEntry = field(default_factory=TableEntry)

    @property
    def fingerprint(self) -> str:
        """SHA-256, hexadecimal, over the loaded rows, not the quarantine: equal data loaded alike gives equal texts."""
        lineage = {
            "schema": SCHEMA_VERSION,
            "currency": self.currency,
            "tables": {
                name: {"columns": entry.columns, "parts": [[part.rows, part.sha256] for part in entry.parts]}
                for name, entry in self.tables.items()
            },
        }
        return hashlib.sha256(json.dumps(lineage, sort_keys=True).encode()).hexdigest()

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every file that the manifest names."""
        return tuple(part for entry in (*self.tables.values(), self.quarantine) for part in entry.parts)

    def with_table(self, name: str, entry: TableEntry) -> Manifest:
        """Give the manifest with one table's entry replaced."""
        return replace(self, tables={**self.tables, name: entry})


def read_manifest(root: Path) -> Manifest | None:
    """Read a warehouse's manifest; None where there is none.

    Raises
    ------
    WorkspaceError
        If it is damaged, of another format, or names files that are missing or cut short.
    """
    path = root / MANIFEST_NAME
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        raise WorkspaceError(
            "this warehouse was written in another format",
            where=str(path),
            allowed=_FORMAT,
            next_step="ingest the market folder into a new workspace",
        )
    try:
        manifest = _from_record(record)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"unreadable entry {error}") from error
    for part in manifest.parts:
        _check_size(root, part)
    return manifest


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Replace the manifest in one step: write beside it, flush to disk, rename over it."""
    record = {"format": _FORMAT, "schema": SCHEMA_VERSION, **asdict(manifest)}
    temporary = root / f"{MANIFEST_NAME}.new"
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(record, stream, indent=1, sort_keys=True)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(root / MANIFEST_NAME)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def digest_of(path: Path) -> str:
    """Give the SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _from_record(record: dict[str, Any]) -> Manifest:
    return Manifest(
        generation=int(record["generation"]),
        currency=str(record["currency"]),
        tables={name: _entry(entry) for name, entry in record["tables"].items()},
        quarantine=_entry(record["quarantine"]),
    )


def _entry(record: dict[str, Any]) -> TableEntry:
    return TableEntry(tuple(record["columns"]), tuple(Part(**part) for part in record["parts"]))


def _check_size(root: Path, part: Part) -> None:
    path = root / part.file
    size = path.stat().st_size if path.is_file() else None
    if size != part.size:
        found = "it is missing" if size is None else f"it has {size} bytes instead of {part.size}"
        raise _damaged(path, found)


def _damaged(path: Path, found: str) -> WorkspaceError:
    return WorkspaceError(
        f"the warehouse is damaged: {found}",
        where=str(path),
        next_step="restore the workspace from a backup, or ingest the market folder into a new one",
    )
