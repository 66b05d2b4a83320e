"""Where a feature table may be written: where nothing stands yet, or over an earlier table; over nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from membergate.domain.errors import BadInputError

KEYS = ("account_id", "as_of", "operator_id")
"""The columns that every feature table begins with."""


def is_remote(out: str) -> bool:
    """Tell whether an address is a store's (`s3a://…`, `hdfs://…`) and no path of this machine."""
    return "://" in out


def checked_file(out: Path) -> Path:
    """Give the file for a feature table, seen to be free or an earlier table.

    Raises
    ------
    BadInputError
        If its folder is not there, or something else stands in its place.
    """
    _require_parent(out)
    if out.is_dir():
        raise BadInputError(
            "a feature table is a file, and a folder stands here",
            where=str(out),
            allowed="a path without anything, or an earlier feature table",
            next_step=f"give a file, such as {out / 'features.parquet'}",
        )
    if out.exists() and not is_feature_table(out):
        raise _taken(out, "a path without anything, or an earlier feature table")
    norms = norms_of(out)
    if norms.exists() and not norms.is_dir():
        raise BadInputError(
            "the table's norms are kept in a folder beside it, and a file stands there",
            where=str(norms),
            allowed="a folder of norms, or nothing",
            next_step="give the table another name",
        )
    return out


def is_feature_table(path: Path) -> bool:
    """Tell whether a file is a Parquet table of features."""
    try:
        return tuple(pq.read_schema(path).names[: len(KEYS)]) == KEYS
    except (pa.ArrowException, OSError):
        return False


def norms_of(table: Path) -> Path:
    """Give the folder of the norms that a table was measured against, beside it."""
    return table.with_suffix(".norms")


def write_table(table: pa.Table, out: Path) -> None:
    """Write a table as Parquet at one stroke: a write that is broken off leaves what stood there."""
    aside = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        pq.write_table(table, aside, compression="zstd")
        aside.replace(out)
    finally:
        aside.unlink(missing_ok=True)


def checked_folder(out: Path, workspace: Path) -> Path:
    """Give the folder for a table in parts, seen to be free, empty or an earlier result of Spark.

    Parameters
    ----------
    out
        The folder; links in its path are followed.
    workspace
        The workspace's folder, which no result may lie in or around.

    Raises
    ------
    BadInputError
        If the folder above it is not there, it touches the workspace, or it holds anything else.
    """
    folder, home = out.resolve(), workspace.resolve()
    if folder.is_relative_to(home) or home.is_relative_to(folder):
        raise BadInputError(
            "the folder of a result would touch the workspace",
            where=str(out),
            allowed=f"a folder neither in nor around {home}",
            next_step="give a folder beside the workspace",
        )
    _require_parent(folder)
    if folder.exists() and not (folder.is_dir() and all(map(_is_of_spark, folder.iterdir()))):
        raise _taken(out, "a path without anything, an empty folder, or an earlier result of Spark")
    return folder


@contextmanager
def in_place_of(folder: Path) -> Iterator[Path]:
    """Give a path beside a checked folder to write to; what was written there takes the folder's place in the end.

    Where the work is broken off, what was written so far goes, and the folder stays as it was. Of the earlier result
    only files of Spark are removed: what somebody put there in the meantime stays, and is an error.

    Raises
    ------
    BadInputError
        If the folder can no longer be replaced.
    """
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        yield aside
        _replace(folder, aside)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _replace(folder: Path, aside: Path) -> None:
    try:
        if folder.exists():
            for part in filter(_is_of_spark, list(folder.iterdir())):
                part.unlink()
            folder.rmdir()
        aside.rename(folder)
    except OSError as error:
        raise BadInputError(
            "the result cannot be put in its place", where=f"{folder} ({error})", next_step="give another folder"
        ) from error


def _is_of_spark(path: Path) -> bool:
    """Tell whether Spark has written a file: `_SUCCESS`, `part-*`, and their hidden check sums."""
    name = path.name
    is_sum = name.startswith(".") and name.endswith(".crc")
    return path.is_file() and (is_sum or name == "_SUCCESS" or name.startswith("part-"))


def _require_parent(out: Path) -> None:
    if not out.parent.is_dir():
        raise BadInputError(
            "there is no folder to write to",
            where=str(out.parent),
            allowed="a path in a folder that is there",
            next_step=f"mkdir -p {out.parent}",
        )


def _taken(out: Path, allowed: str) -> BadInputError:
    return BadInputError(
        "something that is no feature table stands here, and is not written over",
        where=str(out),
        allowed=allowed,
        next_step="give another path, or move what is there",
    )
