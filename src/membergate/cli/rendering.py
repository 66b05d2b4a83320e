"""How answers look on a terminal: tables for people, one JSON document for programs, errors in one readable block."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from membergate.domain.errors import MembergateError
from membergate.domain.measurement import Measurement

OUT = Console(highlight=False)
NOTHING = "\N{EN DASH}"
ERR = Console(stderr=True, highlight=False)


def print_json(answer: Any) -> None:
    """Print any answer as one JSON document."""
    print(json.dumps(msgspec.to_builtins(answer, enc_hook=_plain), indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; a column whose name begins with `>` is right-aligned."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="", box=None, pad_edge=False)
    for column in columns:
        table.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    OUT.print(table)
    OUT.print()


def say(text: str) -> None:
    """Print a sentence, never cut and never read as markup."""
    OUT.print(Text(text), soft_wrap=True)


def share(value: float | None) -> str:
    """Write a share as a percentage with one decimal; a dash where there is none."""
    return NOTHING if value is None else f"{100 * value:.1f} %"


def with_interval(measurement: Measurement) -> str:
    """Write a share with its interval, as 93.1 % [90.2, 95.4]."""
    if measurement.value is None:
        return NOTHING
    if measurement.low is None or measurement.high is None:
        return share(measurement.value)
    return f"{share(measurement.value)} [{100 * measurement.low:.1f}, {100 * measurement.high:.1f}]"


def print_error(error: MembergateError, *, as_json: bool = False) -> None:
    """Print an error: what, where, what is allowed, the next step."""
    if as_json:
        print(json.dumps({"error": error.as_record()}, ensure_ascii=False))
        return
    record = error.as_record()
    body = Text(record["what"])
    for label in ("where", "allowed", "next"):
        if label in record:
            body.append(f"\n{label + ':':<9}", style="bold").append(record[label])
    ERR.print(Panel(body, title=f"membergate: {record['code'].replace('_', ' ')}", title_align="left"))


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
