"""Settings: what the environment may say. The one room that reads it, through Typer's declarations."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from membergate.domain.instants import parse_instant

WorkspaceOption = Annotated[
    Path,
    typer.Option(
        "--workspace",
        "-w",
        envvar="MEMBERGATE_WORKSPACE",
        help="The folder in which everything of one membership programme lives.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
InstantOption = Annotated[str | None, typer.Option(metavar="INSTANT", help="ISO 8601; without an offset, UTC.")]
ByOption = Annotated[
    str, typer.Option("--by", envvar="MEMBERGATE_PERSON", help="Who does it: your name, for the audit.")
]

DEFAULT_WORKSPACE = Path("workspace")
DEFAULT_PORT = 8420


def present() -> datetime:
    """Read the wall clock: the only place in the project that does."""
    return datetime.now(tz=UTC)  # noqa: TID251 - the real Clock, handed to everyone else


def instant(text: str | None) -> datetime | None:
    """Read an optional instant from the command line."""
    return None if text is None else parse_instant(text)
