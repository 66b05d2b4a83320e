"""MkDocs hook: makes the reference pages from the registries when the site is built, so that they cannot go stale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.main import get_command

from membergate.cli.app import app
from membergate.domain.errors import MembergateError
from membergate.learning.features import CATALOGUE
from membergate.market.schema import TABLES
from membergate.operations.features import card
from membergate.store.tabular import SCHEMA


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    pages = {
        "reference/commands.md": commands,
        "reference/features.md": features,
        "reference/market-schema.md": market_schema,
        "reference/decision-record.md": decision_record,
        "reference/errors.md": errors,
    }
    for path, make in pages.items():
        files.append(File.generated(config, path, content="\n".join(make())))
    return files


def commands() -> Iterator[str]:
    """Write one section a command, from the same declarations that parse it."""
    yield "# Commands\n\nExit codes: 0 done, 1 refused by a gate, 2 wrong use or bad input, 130 interrupted.\n"
    root = get_command(app)
    for path, command in _walk("membergate", root):
        yield f"## `{path}`\n\n{(command.help or '').strip()}\n"
        yield "| parameter | default | meaning |\n|---|---|---|"
        for parameter in command.params:
            if parameter.name == "help":
                continue
            names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
            default = "" if parameter.required or parameter.default is None else f"`{parameter.default}`"
            yield f"| {names} | {default} | {_cell(getattr(parameter, 'help', None))} |"
        yield ""


def features() -> Iterator[str]:
    """Write one card a feature."""
    yield "# Features\n\nEvery feature is computed as of an instant: nothing that became known later can reach it.\n"
    for feature in CATALOGUE.values():
        yield f"## {feature.id} {feature.name}\n"
        yield "| | |\n|---|---|"
        yield from (f"| {name} | {_cell(text)} |" for name, text in card(feature).items())
        yield ""


def market_schema() -> Iterator[str]:
    """Write one table a canonical table."""
    yield "# Canonical market schema\n\nA market folder holds one `NAME.parquet`, `NAME.csv`, `NAME.jsonl` or folder"
    yield "`NAME/` of Parquet parts a table. Times are UTC; money is an integer in minor units; a name that ends in"
    yield "`_tok` holds a token.\n"
    for table in TABLES.values():
        yield f"## {table.name}{' (required)' if table.is_required else ''}\n"
        yield "| column | type | required | allowed |\n|---|---|---|---|"
        for column in table.columns:
            required, choices = "yes" if column.is_required else "", ", ".join(column.choices)
            yield f"| `{column.name}` | {column.kind} | {required} | {choices} |"
        yield ""


def decision_record() -> Iterator[str]:
    """Write the decision record's columns."""
    yield "# Decision record\n\nOne row a decision, whatever made it, in this order and with these types.\n"
    yield "| column | type |\n|---|---|"
    yield from (f"| `{field.name}` | {field.type} |" for field in SCHEMA)


def errors() -> Iterator[str]:
    """Write one row an error code."""
    yield "# Errors\n\nEvery error says what, where, what is allowed and the next step.\n"
    yield "| code | exit code | meaning |\n|---|---|---|"
    for kind in sorted(_subclasses(MembergateError), key=lambda kind: kind.code):
        yield f"| `{kind.code}` | {kind.exit_code} | {_cell((kind.__doc__ or '').splitlines()[0])} |"


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(command, typer.core.TyperGroup):
        for name, child in command.commands.items():
            yield from _walk(f"{path} {name}", child)
    else:
        yield path, command


def _subclasses(kind: type[MembergateError]) -> Iterator[type[MembergateError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _subclasses(child)


def _cell(text: object) -> str:
    return " ".join(str(text or "").split()).replace("|", "\\|")
