"""Exports that overlap: what stands in several files of one source counts once, as the last of them has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb

from membergate.market.mapping.form import SourceOptions
from membergate.market.mapping.viewing import listed, unknown_column
from membergate.market.sources import FILE_STRIDE, Opened


def keep_one_file(
    connection: duckdb.DuckDBPyConnection, source: Opened, options: SourceOptions, folder: Path
) -> tuple[Opened, str]:
    """Keep of every key's rows those of one file only, the last by name.

    Parts of one folder are one file here: what a program has cut into parts does not overlap.

    Parameters
    ----------
    connection
        The ingest's connection.
    source
        The source as it lies in its files.
    options
        Name the key, as `one_file_per`; without one the source stays as it is.
    folder
        The market's folder, in which the files lie.

    Returns
    -------
    tuple of Opened and str
        The source, and a note of what was left out; empty where that is nothing.

    Raises
    ------
    BadInputError
        If the source has not got a column of the key.
    """
    keys = options.one_file_per
    files = [Path(label).relative_to(folder).parts[0] for label in source.labels]
    for name in keys:
        if name not in source.columns:
            raise unknown_column(name, source.name, source.columns, options.where)
    if not keys or len(set(files)) == 1:
        return source, ""
    file = f"list_extract([{', '.join(str(files.index(name)) for name in files)}], _seq // {FILE_STRIDE} + 1)"
    several = listed((f"in several files of {source.name}",))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {several} AS SELECT {listed(keys)}, max({file}) AS _last "
        f"FROM {source.relation} GROUP BY ALL HAVING min({file}) < max({file})"
    )
    same = " AND ".join(f"kept.{listed((key,))} = s.{listed((key,))}" for key in keys)
    earlier = f"EXISTS (SELECT 1 FROM {several} AS kept WHERE {same} AND kept._last > {file})"
    found = connection.execute(
        f"SELECT count(*), count(DISTINCT ({listed(keys)})), min_by({file}, _seq) "
        f"FROM {source.relation} AS s WHERE {earlier}"
    ).fetchone()
    rows, times, first = found or (0, 0, 0)
    if not rows:
        return source, ""
    note = (
        f"{source.name}: {times:,} x {', '.join(keys)} in several files, such as {files[first]}; "
        f"each is read from the last of them, and {rows:,} rows of the others are left out"
    )
    relation = f"(SELECT * FROM {source.relation} AS s WHERE NOT {earlier})"
    return replace(source, relation=relation), note
