"""A proposal: which column feeds which, how sure that is and why, and the same as a mapping file with comments."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from membergate.market.sources import Source, scan
from membergate.market.suggesting.choosing import Choice, choose
from membergate.market.suggesting.matching import Match
from membergate.market.suggesting.profiling import SourceProfile, profile
from membergate.market.suggesting.writing import written
from membergate.market.warehouse import session

Progress = Callable[[str], None]
"""Told which source is looked at."""
_NUMBERED = re.compile(r"[-_. ]?\d+$")
_MEMORY_LIMIT = "1000MiB"


@dataclass(frozen=True, slots=True)
class ProposedColumn:
    """One line of a proposal.

    Parameters
    ----------
    table, column
        The canonical column.
    source, source_column
        Where its values are to come from.
    confidence
        How sure the proposal is, in [0, 1].
    reasons
        Why.
    """

    table: str
    column: str
    source: str
    source_column: str
    confidence: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A mapping proposed for a folder.

    Parameters
    ----------
    columns
        What feeds what, in the schema's order.
    missing
        Required canonical columns, `table.column`, that nothing was found for.
    unused
        Columns of the folder, `source.column`, that nothing was found for.
    text
        The mapping file, with a comment beside each line.
    """

    columns: tuple[ProposedColumn, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    text: str


def suggest(folder: Path, *, progress: Progress | None = None) -> Proposal:
    """Propose a mapping for a folder.

    Names are compared with many wordings of every canonical column, and a bounded sample of values says what a column
    can be: instants and their format, money and its unit, codes, keys, and what points at which key.

    Parameters
    ----------
    folder
        A folder with one file or folder of Parquet parts per table.
    progress
        Told which source is looked at.

    Raises
    ------
    BadInputError
        If there is no table in the folder, or a file cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="membergate-") as made:
        staging = Path(made)
        connection = session(staging / "spill", memory_limit=_MEMORY_LIMIT)
        try:
            sources: list[SourceProfile] = []
            for source, files in _together(scan(folder)):
                if progress is not None:
                    progress(source.name)
                sources.append(profile(connection, source, files, staging))
            chosen = choose(connection, sources)
        finally:
            connection.close()
    return _proposal(folder, sources, chosen)


def _together(found: dict[str, Source]) -> list[tuple[Source, str]]:
    """Put numbered files of one kind together: `orders_1`, `orders_2` are one source in two files."""
    groups: dict[tuple[str, str], list[Source]] = {}
    for source in found.values():
        groups.setdefault((_NUMBERED.sub("", source.name) or source.name, source.ending), []).append(source)
    put = []
    for (stem, _), parts in groups.items():
        is_one = len(parts) == 1
        name = parts[0].name if is_one else stem
        files = "" if is_one else f"{stem}*"
        put.append((Source(name, tuple(file for part in parts for file in part.files)), files))
    return put


def _proposal(folder: Path, sources: list[SourceProfile], chosen: dict[str, Choice]) -> Proposal:
    columns = tuple(
        _through_lookup(choice, found)
        if name == "account_id" and choice.lookup is not None
        else ProposedColumn(table, name, choice.source.name, found.column, found.confidence, found.reasons)
        for table, choice in chosen.items()
        for name, found in choice.columns.items()
    )
    used = {(column.source, column.source_column) for column in columns}
    text, missing = written(folder, sources, chosen)
    unused = (
        f"{source.name}.{name}"
        for source in sources
        for name in (*(column.name for column in source.columns), *source.nested)
        if (source.name, name) not in used
    )
    return Proposal(columns, missing, tuple(unused), text)


def _through_lookup(choice: Choice, found: Match) -> ProposedColumn:
    other, (ours, theirs), taken = choice.lookup or ("", ("", ""), "")
    reasons = (*found.reasons, f"{ours} leads to {other}.{theirs}, and that to {taken}")
    return ProposedColumn(choice.table.name, "account_id", other, taken, found.confidence, reasons)
