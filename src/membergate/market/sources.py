"""What lies in a market folder, and how each file of it is opened as a relation of raw columns.

A table is one `NAME.parquet`, `NAME.csv` or `NAME.jsonl`, or a folder `NAME/` of Parquet parts. Text files are first
turned into Parquet with every value as text, so that everything behind this module reads one format, in parallel, and a
row keeps its number.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from membergate.domain.errors import BadInputError
from membergate.market.schema import REQUIRED_TABLES, TABLES
from membergate.market.textfiles import MalformedRow, as_utf8, stage_csv, stage_jsonl
from membergate.market.warehouse import literal

FORMATS = (".parquet", ".csv", ".jsonl")
"""What a table's file may end in."""
FILE_STRIDE = 2**40
"""A row's sequence number is its file's ordinal times this, plus its place in the file."""


@dataclass(frozen=True, slots=True)
class Source:
    """One table as it lies in a folder.

    Parameters
    ----------
    name
        The file's or folder's name without its ending.
    files
        Its files, in the order of their names; more than one for a folder of Parquet parts, or where a mapping says so.
    """

    name: str
    files: tuple[Path, ...]

    @property
    def ending(self) -> str:
        """`.parquet`, `.csv` or `.jsonl`."""
        return self.files[0].suffix.lower()

    @property
    def label(self) -> str:
        """How the source is named to a person."""
        return str(self.files[0] if len(self.files) == 1 else self.files[0].parent)


@dataclass(frozen=True, slots=True)
class Opened:
    """A source that DuckDB can read.

    Parameters
    ----------
    name
        The source's name.
    relation
        SQL relation with the raw columns and `_seq`.
    columns
        Raw column names and their DuckDB types.
    labels
        A person's name for each file; a row's `_seq // FILE_STRIDE` is its place here.
    malformed
        Lines that are no records.
    lacking
        Columns of which the files have none, and that are NULL on every row because a mapping says that they may be.
    """

    name: str
    relation: str
    columns: dict[str, str]
    labels: tuple[str, ...]
    malformed: tuple[MalformedRow, ...] = ()
    lacking: frozenset[str] = frozenset()


def scan(folder: Path) -> dict[str, Source]:
    """List the tables that lie in a folder, by name.

    Raises
    ------
    BadInputError
        If the folder is missing or holds no table, a table comes twice, or a table's file has an unknown ending.
    """
    if not folder.is_dir():
        what = "the market is a file, not a folder" if folder.exists() else "there is no such folder"
        raise BadInputError(what, where=str(folder), allowed="a folder with one file per table", next_step=_LAYOUT)
    found: dict[str, Source] = {}
    for path in sorted(folder.iterdir()):
        source = _source_at(path)
        if source is None:
            continue
        if source.name in found:
            raise BadInputError(
                f"the table {source.name} lies in the folder twice",
                where=f"{found[source.name].label} and {source.label}",
                allowed="one file or folder per table",
                next_step="remove one of the two",
            )
        found[source.name] = source
    if not found:
        raise BadInputError(
            "there is no table in this folder",
            where=str(folder),
            allowed="NAME.parquet, NAME.csv, NAME.jsonl, or a folder NAME/ of Parquet parts",
            next_step=market_inside(folder) or _LAYOUT,
        )
    return found


_LAYOUT = f"the tables are {', '.join(TABLES)}; other names need a mapping file"


def market_inside(folder: Path) -> str:
    """Point at the folder within this one that holds the required tables, as `membergate simulate OUT` makes it."""
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        if {path.name.split(".")[0] for path in inner.iterdir()} >= set(REQUIRED_TABLES):
            return f"the tables lie one folder deeper: give {inner}"
    return ""


def _source_at(path: Path) -> Source | None:
    name = path.name.split(".")[0]
    if path.name.startswith((".", "_")):
        return None
    if path.is_dir():
        parts = tuple(part for part in sorted(path.rglob("*.parquet")) if not part.name.startswith((".", "_")))
        if not parts and name in TABLES:
            raise BadInputError(
                f"the folder of table {name} holds no Parquet part",
                where=str(path),
                allowed="files that end in .parquet",
                next_step="export the table as Parquet parts, or as one CSV or JSONL file beside the others",
            )
        return Source(name, parts) if parts else None
    if path.suffix.lower() in FORMATS and path.name.count(".") == 1:
        return Source(name, (path,))
    if name in TABLES:
        raise BadInputError(
            f"cannot read table {name}: unknown file ending {''.join(path.suffixes)!r}",
            where=str(path),
            allowed=", ".join(FORMATS),
            next_step="export the table again in one of these formats",
        )
    return None


def open_source(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    staging: Path,
    *,
    encoding: str = "utf-8",
    delimiter: str = ",",
) -> Opened:
    """Open a source as a relation of raw columns.

    Raises
    ------
    BadInputError
        If a file is empty, cut short, of another encoding than declared, or no file of its kind.
    """
    for path in source.files:
        if path.stat().st_size == 0:
            raise BadInputError(
                "the file is empty",
                where=str(path),
                allowed="a header, and rows below it",
                next_step="export the table again; a market without this table needs no file for it",
            )
    if source.ending == ".parquet":
        return _open_parquet(connection, source.name, source.files, tuple(map(str, source.files)))
    staged: list[tuple[Path, str]] = []
    malformed: list[MalformedRow] = []
    for place, path in enumerate(source.files):
        name = source.name if len(source.files) == 1 else f"{source.name}.{place}"
        target = staging / f"{name}.parquet"
        text = as_utf8(path, staging / f"{name}.utf8", encoding)
        try:
            if source.ending == ".csv":
                malformed += stage_csv(connection, text, path, target, delimiter)
            else:
                malformed += stage_jsonl(connection, text, path, target)
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            raise unreadable(str(path), error) from error
        staged.append((target, str(path)))
    return open_staged(connection, source.name, staged, tuple(malformed))


def open_staged(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    staged: list[tuple[Path, str]],
    malformed: tuple[MalformedRow, ...] = (),
) -> Opened:
    """Open Parquet files that the ingest itself has written, each under a person's name for it."""
    files, labels = zip(*staged, strict=True)
    return replace(_open_parquet(connection, name, files, labels), malformed=malformed)


def nearest(name: str, known: Iterable[str]) -> str:
    """Give ' (did you mean X?)' for the known name nearest to a wrong one; empty where none is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def _open_parquet(
    connection: duckdb.DuckDBPyConnection, name: str, files: tuple[Path, ...], labels: tuple[str, ...]
) -> Opened:
    paths = ", ".join(literal(str(path)) for path in files)
    options = "union_by_name = true, filename = '_path', file_row_number = true, binary_as_string = true"
    reader = f"read_parquet([{paths}], {options})"
    try:
        described = connection.execute(f"DESCRIBE SELECT * EXCLUDE (_path, file_row_number) FROM {reader}").fetchall()
    except duckdb.Error as error:
        raise unreadable(labels[0] if len(labels) == 1 else str(files[0].parent), error) from error
    ordinal = f"(list_position([{paths}], _path) - 1) * {FILE_STRIDE} + " if len(files) > 1 else ""
    relation = f"(SELECT * EXCLUDE (_path, file_row_number), {ordinal}file_row_number AS _seq FROM {reader})"
    return Opened(name, relation, {row[0]: row[1] for row in described}, labels)


def unreadable(label: str, error: duckdb.Error) -> BadInputError:
    """Say that a file is damaged, with DuckDB's own words for what is wrong with it."""
    return BadInputError(
        "the file cannot be read: it is cut short, damaged, or of another format than its name says",
        where=f"{label} ({str(error).splitlines()[0][:200]})",
        allowed="complete Parquet, CSV or JSONL files",
        next_step="copy or export the file again",
    )
