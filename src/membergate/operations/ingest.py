"""Ingest: a market folder goes into the workspace's warehouse, and every row of it is accounted for."""

from __future__ import annotations

from pathlib import Path

from membergate.domain.instants import Clock
from membergate.market.loading import LoadReport, Progress, load
from membergate.market.mapping import load_mapping
from membergate.market.warehouse import Warehouse


def ingest(
    workspace: Path,
    market: Path,
    mapping: Path | None = None,
    *,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> LoadReport:
    """Check a market folder and load it into a workspace, which comes into being if it is not there.

    Parameters
    ----------
    workspace
        The workspace folder.
    market
        The market folder.
    mapping
        A mapping file, where the folder's tables or columns have names or units of their own.
    progress
        Told what is being done, how many steps are done and how many there are.
    clock
        Gives the present; rows from after it are quarantined. Without one, only what `ingested_at` contradicts is.

    Raises
    ------
    BadInputError
        If the folder, a file of it or the mapping cannot be used; the workspace is as it was.
    WorkspaceError
        If the warehouse is busy or damaged, or the disk is full; the workspace is as it was.
    """
    rules = load_mapping(mapping) if mapping is not None else None
    return load(market, Warehouse.open_or_create(workspace / "warehouse"), rules, progress=progress, clock=clock)
