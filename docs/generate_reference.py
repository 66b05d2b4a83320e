"""MkDocs hook: makes the reference pages from the registries when the site is built, so that they cannot go stale."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.main import get_command

from membergate.cli.app import app
from membergate.domain.errors import MembergateError
from membergate.learning.features import CATALOGUE
from membergate.market.declaring import Column, Kind
from membergate.market.mapping import shipped_mappings
from membergate.market.schema import TABLES
from membergate.operations.coverage import coverage
from membergate.operations.features import card
from membergate.operations.policies import LIBRARY, shipped_policy
from membergate.store.tabular import SCHEMA

KINDS = {
    Kind.ID: "id: text, at most 256 characters",
    Kind.TEXT: "text",
    Kind.CHOICE: "one of a few words",
    Kind.CURRENCY: "ISO 4217 code",
    Kind.MONEY: "whole number of minor units",
    Kind.COUNT: "whole number",
    Kind.NUMBER: "number",
    Kind.TIME: "instant",
    Kind.FLAG: "true or false",
}
TYPES = {"string": "text", "double": "number", "bool": "true or false", "list<item: string>": "list of texts"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    pages = {
        "reference/commands.md": commands,
        "reference/features.md": features,
        "reference/market-schema.md": market_schema,
        "reference/mappings.md": mappings,
        "reference/decision-record.md": decision_record,
        "reference/policy-rules.md": policy_rules,
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
            yield f"| {names} | {_default(parameter)} | {_cell(getattr(parameter, 'help', None))} |"
        yield ""


def features() -> Iterator[str]:
    """Write one card a feature."""
    yield "# Features\n\nEvery feature is computed as of an instant: nothing that became known later can reach it."
    yield "*Hard to evade* says what makes a feature dearer to evade, and how dear: `+` cheap, `++` moderate, `+++` it"
    yield "destroys the profit. *May harm* names the genuine members whom the feature may take for merchants.\n"
    for feature in CATALOGUE.values():
        yield f"## {feature.id} {feature.name}\n"
        yield "| property | value |\n|---|---|"
        lines = card(feature) | {"sql": f"`{feature.sql}`"}
        lines["needs"] = lines["needs"] or "any column that links accounts to an operator"
        yield from (f"| {name} | {_cell(text)} |" for name, text in lines.items() if name != "name")
        yield ""


def market_schema() -> Iterator[str]:
    """Write one table a canonical table."""
    yield "# Canonical market schema\n\nA market folder holds one `NAME.parquet`, `NAME.csv`, `NAME.jsonl` or folder"
    yield "`NAME/` of Parquet parts a table. Times are UTC; money is an integer in minor units; a name that ends in"
    yield "`_tok` holds a token.\n"
    for table in TABLES.values():
        yield f"## {table.name}{' (required)' if table.is_required else ''}\n"
        yield "| column | holds | required | allowed |\n|---|---|---|---|"
        for column in table.columns:
            required = "yes" if column.is_required else ""
            yield f"| `{column.name}` | {KINDS[column.kind]} | {required} | {_allowed(column)} |"
        yield ""


def mappings() -> Iterator[str]:
    """Write what every mapping that ships feeds, from the mapping files themselves."""
    yield "# Mappings that ship\n\nWhat each feeds where the export has everything that the mapping reads, as"
    yield "`membergate map coverage NAME` prints it. A question mark: only where the export has it.\n"
    for name in shipped_mappings():
        covered = coverage(name)
        yield f"## {name}\n\n{len(covered.computable)} of {len(covered.features)} features can be computed.\n"
        yield "| table | fed | not fed |\n|---|---|---|"
        for table in covered.tables:
            if table.fed:
                fed = ", ".join(f"`{column}`{'?' if column in table.if_there else ''}" for column in table.fed)
                yield f"| {table.table} | {fed} | {', '.join(f'`{column}`' for column in table.missing)} |"
        yield "\n| feature that cannot be computed | missing |\n|---|---|"
        yield from (f"| {f.id} {f.name} | {', '.join(f.missing)} |" for f in covered.features if f.missing)
        yield ""


def decision_record() -> Iterator[str]:
    """Write the decision record's columns."""
    yield "# Decision record\n\nOne row a decision, whatever made it, in this order and with these types. The texts"
    yield "`evidence`, `counterfactual`, `caps` and `contributions` are JSON documents.\n"
    yield "| column | type |\n|---|---|"
    yield from (f"| `{field.name}` | {_type(str(field.type))} |" for field in SCHEMA)


def policy_rules() -> Iterator[str]:
    """Write one section a rule of the library, with the examples that hit it."""
    library = shipped_policy(LIBRARY)
    yield "# Policy rules\n\nThe shipped library, `membergate policy show library`: rules to copy into your own policy."
    yield "Its thresholds come from reasoning, not from your data: try them with `membergate replay` first.\n"
    for rule in library.rules:
        yield f"## {rule.rule_id}\n\n{rule.purpose}\n"
        yield "| property | value |\n|---|---|"
        yield f"| checkpoint | {rule.checkpoint} |"
        yield f"| hits when | `{_cell(rule.when.text)}` |"
        yield f"| spared when | `{_cell(rule.unless.text if rule.unless else '')}` |"
        yield f"| at least | {rule.at_least} |"
        yield f"| reason | `{rule.reason}` |"
        yield f"| may hit | {_cell(rule.false_positives)} |"
        for example in library.examples:
            if rule.rule_id in example.hits:
                said = ", ".join(f"{name} = {witnessed.value}" for name, witnessed in example.evidence.items())
                yield f"| example | {said} |"
        yield ""


def errors() -> Iterator[str]:
    """Write one row an error code."""
    yield "# Errors\n\nEvery error says what, where, what is allowed and the next step.\n"
    yield "| code | exit code | meaning |\n|---|---|---|"
    for room in ("deciding", "engine", "learning", "market", "operations", "service", "store", "verification"):
        import_module(f"membergate.{room}")  # a room's errors exist once it is imported
    for kind in sorted(_subclasses(MembergateError), key=lambda kind: kind.code):
        yield f"| `{kind.code}` | {kind.exit_code} | {_cell((kind.__doc__ or '').splitlines()[0])} |"


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(command, typer.core.TyperGroup):
        for name, child in command.commands.items():
            yield from _walk(f"{path} {name}", child)
    else:
        yield path, command


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.default, bool):
        flags = parameter.opts if parameter.default else parameter.secondary_opts
        return f"`{flags[0]}`" if flags else "off"
    return "" if parameter.default is None else f"`{parameter.default}`"


def _allowed(column: Column) -> str:
    if column.choices:
        return ", ".join(column.choices)
    least, most = (None if end is None else _number(end) for end in (column.minimum, column.maximum))
    if least is not None and most is not None:
        return f"{least} to {most}"
    return "" if least is most is None else f"at least {least}" if most is None else f"at most {most}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def _type(arrow: str) -> str:
    return "instant, UTC" if arrow.startswith("timestamp") else TYPES[arrow]


def _subclasses(kind: type[MembergateError]) -> Iterator[type[MembergateError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _subclasses(child)


def _cell(text: object) -> str:
    return " ".join(str(text or "").split()).replace("|", "\\|")
