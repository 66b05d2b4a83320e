"""Ingest: a market folder goes into the workspace's warehouse, and every row of it is accounted for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from membergate.domain.errors import WorkspaceError
from membergate.domain.instants import Clock
from membergate.market.loading import LoadReport, Progress, load
from membergate.market.mapping import find_mapping, load_mapping
from membergate.market.mapping.tokens import KEY_BYTES
from membergate.market.warehouse import Warehouse

KEY_FILE = "token.key"
"""The workspace's key of its tokens. Whoever has it can try out which e-mail address a token stands for."""


def ingest(
    workspace: Path,
    market: Path,
    mapping: str | Path | None = None,
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
        A mapping file, or the name of one that ships, where the folder's tables or columns have names of their own.
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
    rules = load_mapping(find_mapping(mapping)) if mapping is not None else None
    warehouse = Warehouse.open_or_create(workspace / "warehouse")
    if rules is None or not rules.needs_tokens:
        return load(market, warehouse, rules, progress=progress, clock=clock)
    with _token_key(workspace / KEY_FILE) as key:
        return load(market, warehouse, rules, progress=progress, clock=clock, token_key=key)


@contextmanager
def _token_key(path: Path) -> Iterator[bytes]:
    """Give the workspace's key, which is made once: under another one nobody would be known again."""
    is_new = not path.exists()
    if is_new:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise WorkspaceError(
            "the key of the workspace's tokens is damaged",
            where=str(path),
            allowed=f"{KEY_BYTES} bytes",
            next_step="restore it from a backup; without it, ingest into a new workspace",
        )
    try:
        yield key
    except BaseException:
        if is_new:  # nothing was loaded under it
            path.unlink()
            with suppress(OSError):
                path.parent.rmdir()
        raise
