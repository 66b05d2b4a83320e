"""Changing a warehouse: one writer at a time, and all of it or nothing.

New parts are written into a staging folder inside the warehouse, flushed to disk, renamed into place and only then
named by a new manifest. An error, a full disk or an interrupt before that last step leaves the old state and no debris;
what a killed process leaves behind is swept away by the next writer.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb

from membergate.domain.errors import WorkspaceError
from membergate.market.manifest import Manifest, Part, TableEntry, digest_of, read_manifest, write_manifest
from membergate.market.warehouse import literal

_FULL_SIGNS = ("No space left", "File too large", "Disk quota", "max_temp_directory_size", "failed to offload")
_LOCK_NAME = ".lock"
_STAGING_NAME = ".staging"
_ROW_GROUP = 122_880  # rows; DuckDB's own unit, small enough that one account's rows touch one or two groups


class Writing:
    """The new state while it is being made.

    Parameters
    ----------
    root
        The warehouse folder.
    manifest
        The state that is being changed.
    """

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root = root
        self.staging = root / _STAGING_NAME
        self.manifest = manifest
        self._before = manifest
        self._moves: list[tuple[Path, Path]] = []

    def write_part(
        self, connection: duckdb.DuckDBPyConnection, folder: str, select: str, *, order_by: str, instant: str | None
    ) -> Part:
        """Write a query's rows as one new part of a folder; `instant` names the column of which the latest is kept."""
        name = f"{folder}/part-{self.manifest.generation + 1:06d}.parquet"
        staged = self.staging / "parts" / name
        staged.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(
            f"COPY ({select} ORDER BY {order_by}) TO {literal(str(staged))} "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
        )
        _flush(staged)
        latest = f"max({instant})" if instant else "NULL"
        found = connection.execute(f"SELECT count(*), {latest} FROM read_parquet({literal(str(staged))})").fetchone()
        rows, last = found if found is not None else (0, None)
        self._moves.append((staged, self.root / name))
        return Part(name, digest_of(staged), staged.stat().st_size, rows, last.isoformat() if last else "")

    def append(self, table: str, part: Part, columns: tuple[str, ...]) -> None:
        """Add a part to a table's entry, which from now on has these columns."""
        parts = self.manifest.tables[table].parts if table in self.manifest.tables else ()
        self.manifest = self.manifest.with_table(table, TableEntry(columns, (*parts, part)))

    def replace(self, table: str, part: Part, columns: tuple[str, ...]) -> None:
        """Let one part stand for everything that the table held."""
        self.manifest = self.manifest.with_table(table, TableEntry(columns, (part,)))

    def set_columns(self, table: str, columns: tuple[str, ...]) -> None:
        """Let a table's entry have these columns from now on, its parts unchanged."""
        self.manifest = self.manifest.with_table(table, replace(self.manifest.tables[table], columns=columns))

    def append_quarantine(self, part: Part) -> None:
        """Add a part to the refused rows."""
        self.manifest = replace(self.manifest, quarantine=TableEntry((), (*self.manifest.quarantine.parts, part)))

    def set_currency(self, currency: str) -> None:
        """Fix the market's one currency."""
        self.manifest = replace(self.manifest, currency=currency)

    def commit(self) -> Manifest:
        """Put the new parts in place and make them the state."""
        if self.manifest == self._before:
            return self._before
        new = replace(self.manifest, generation=self.manifest.generation + 1)
        try:
            for staged, target in self._moves:
                target.parent.mkdir(exist_ok=True)
                staged.replace(target)
                _flush(target.parent)
            write_manifest(self.root, new)
        except BaseException:
            for _, target in self._moves:
                target.unlink(missing_ok=True)
            raise
        _flush(self.root)
        self._sweep(new)
        return new

    def _sweep(self, new: Manifest) -> None:
        """Remove parts that neither the new state names nor the one before it, which a reader may still hold."""
        named = {self.root / part.file for part in (*new.parts, *self._before.parts)}
        for path in self.root.glob("*/part-*.parquet"):
            if path not in named:
                path.unlink()


@contextmanager
def writing(root: Path) -> Iterator[Writing]:
    """Hold the warehouse for writing; whatever is not committed when the block ends is gone.

    Raises
    ------
    WorkspaceError
        If somebody else is writing, or the warehouse is damaged.
    """
    made = _make_folders(root)
    try:
        with _locked(root):
            work = Writing(root, read_manifest(root) or Manifest())
            shutil.rmtree(work.staging, ignore_errors=True)  # left by a writer that was killed
            work.staging.mkdir()
            try:
                yield work
            finally:
                shutil.rmtree(work.staging, ignore_errors=True)
                _drop_empty_folders(root)
    finally:
        for folder in reversed(made):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def disk_is_full(error: BaseException, folder: Path) -> WorkspaceError | None:
    """Say that the disk is full, if that is what an error means; None for any other error."""
    text = str(error)
    is_full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    if not is_full and not (isinstance(error, duckdb.Error) and any(sign in text for sign in _FULL_SIGNS)):
        return None
    return WorkspaceError(
        "the disk is full, or a file may grow no further; nothing was changed",
        where=f"{folder} ({text.splitlines()[0][:200]})",
        next_step="free some space, or choose a workspace on another disk, and ingest again",
    )


def _make_folders(root: Path) -> list[Path]:
    """Create the folder and its missing parents, and give those that were created, outermost first."""
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir()
    return missing[::-1]


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    path = root / _LOCK_NAME
    descriptor = _take_lock(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _take_lock(path: Path) -> int:
    """Lock the file for as long as its descriptor is open: the system frees it even if the process is killed."""
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between our open and our lock the last holder may have removed the file: then we hold a ghost.
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise WorkspaceError(
                "another process is writing to this warehouse",
                where=str(path.parent),
                next_step="wait until it has finished, then run the command again",
            ) from None
        os.close(descriptor)


def _drop_empty_folders(root: Path) -> None:
    for folder in root.iterdir():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
