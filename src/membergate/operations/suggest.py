"""Suggest: a mapping for somebody's folder, to be looked through and confirmed before anything is ingested."""

from __future__ import annotations

from pathlib import Path

from membergate.domain.errors import BadInputError
from membergate.market.suggesting import Proposal
from membergate.market.suggesting import suggest as propose
from membergate.market.suggesting.proposing import Progress


def suggest(folder: Path, out: Path | None = None, *, progress: Progress | None = None) -> Proposal:
    """Propose a mapping for a folder, and write it where that is asked for.

    Parameters
    ----------
    folder
        A folder with one file or folder of Parquet parts per table.
    out
        The mapping file to write; one that is there already is not overwritten.
    progress
        Told which source is looked at.

    Raises
    ------
    BadInputError
        If there is no table in the folder, a file cannot be read, or `out` is there already.
    """
    if out is not None and out.exists():
        raise BadInputError(
            "the mapping file is there already",
            where=str(out),
            next_step="name another file; what somebody has confirmed is not overwritten",
        )
    proposal = propose(folder, progress=progress)
    if out is not None:
        out.write_text(proposal.text, encoding="utf-8")
    return proposal
